"""Allocating and releasing tokens in memory: seconds, with few and with many that are held meanwhile.

Usage: python tokens.py PAIRS
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import pdt

ONE = pdt.Resources.parse(1, "1Mi", 0)
HALF = pdt.Constraints(project=0.5)
SCOPE = pdt.Scope("pipeline", "project", "namespace")


async def pairs(manager: pdt.ResourceManager, count: int) -> float:
    """Allocate and release so many tokens, one after another, and return the seconds."""
    start = time.perf_counter()
    for number in range(count):
        answer = await manager.allocate(str(number), ONE, scope=SCOPE, constraints=HALF)
        assert answer.is_granted
        await manager.release(str(number))
    return time.perf_counter() - start


async def measure(count: int) -> None:
    """Measure it with nothing held, and with a tenth as many tokens held."""
    manager = pdt.ResourceManager(pdt.Resources.parse(10**9, "1Ei"))
    alone = await pairs(manager, count)
    for number in range(count // 10):
        await manager.allocate(f"held-{number}", ONE, scope=SCOPE)
    print(json.dumps({"seconds": alone, "among_many": await pairs(manager, count)}))


if __name__ == "__main__":
    asyncio.run(measure(int(sys.argv[1])))
