"""Processes found and signalled by what they carry, never by their number alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdt.proc_manager.processes import TOKEN, carriers, carries, kill_carriers, signal_group

LAST_PID = Path("/proc/sys/kernel/ns_last_pid")
REUSING = """
import os, signal, subprocess, sys
from pdt.proc_manager.processes import TOKEN, carriers, carries, kill_carriers, signal_group
from pathlib import Path

ours = subprocess.Popen(["sleep", "60"], env={**os.environ, TOKEN: sys.argv[1]}, start_new_session=True)
pid = ours.pid
assert carries(pid, sys.argv[1])
ours.kill()
ours.wait()
for _ in range(200):
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    stranger = subprocess.Popen(["sleep", "60"], start_new_session=True)
    if stranger.pid == pid:
        break
    stranger.kill()
    stranger.wait()
else:
    sys.exit("the number was not used again")
assert not carries(pid, sys.argv[1])
assert carriers([sys.argv[1]]) == {sys.argv[1]: []}
assert not signal_group(pid, sys.argv[1], signal.SIGKILL)
kill_carriers([sys.argv[1]])
assert stranger.poll() is None
stranger.kill()
print("spared")
"""


@pytest.fixture
def token() -> Iterator[str]:
    token = uuid.uuid4().hex
    yield token
    kill_carriers([token])


def started(token: str, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command or ("sleep", "60"), env={**os.environ, TOKEN: token}, start_new_session=True, stdout=subprocess.PIPE
    )


def ended(process: subprocess.Popen[bytes]) -> int:
    assert process.stdout is not None
    process.stdout.close()
    return process.wait(10)


def all_gone(token: str) -> None:
    deadline = time.monotonic() + 10
    while carriers([token])[token]:  # some may not have been scheduled to end
        assert time.monotonic() < deadline


def test_processes_are_found_by_their_tokens(token: str) -> None:
    first, second = started(token), started(token, "sh", "-c", "sleep 60 & wait")
    try:
        assert carries(first.pid, token)
        assert not carries(first.pid, token[:-1])
        assert not carries(os.getpid(), token)
        found = carriers([token, "0" * 32])
        assert {first.pid, second.pid} <= set(found[token])
        assert found["0" * 32] == []
        assert carriers([]) == {}
    finally:
        kill_carriers([token])
        assert {ended(first), ended(second)} == {-signal.SIGKILL}
    all_gone(token)


def test_a_zombie_is_not_alive(token: str) -> None:
    process = started(token, "true")
    assert os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT) is not None
    os.kill(process.pid, 0)  # its number is still there
    assert not carries(process.pid, token)
    assert carriers([token]) == {token: []}
    assert not signal_group(process.pid, token, signal.SIGKILL)
    assert ended(process) == 0


def test_one_that_becomes_another_program_again_and_again_is_found(token: str, tmp_path: Path) -> None:
    """It shows no environment while it does."""
    (tmp_path / "script").write_text('exec sh "$0"\n')
    process = started(token, "sh", str(tmp_path / "script"))
    for _ in range(300):
        # As a lookout does: a listing is none of one moment.
        assert any(carriers([token]) == {token: [process.pid]} for _ in range(2))
    kill_carriers([token])
    assert ended(process) == -signal.SIGKILL


def test_what_forks_while_it_is_killed_is_killed_as_well(token: str) -> None:
    process = started(token, "sh", "-c", "while :; do setsid sleep 60 & done")
    while len(carriers([token])[token]) < 5:
        assert process.poll() is None
    kill_carriers([token])
    assert ended(process) == -signal.SIGKILL
    all_gone(token)


def test_one_may_be_spared(token: str) -> None:
    spared, other = started(token), started(token)
    kill_carriers([token], spare=spared.pid)
    assert ended(other) == -signal.SIGKILL
    assert carriers([token]) == {token: [spared.pid]}
    kill_carriers([token])
    assert ended(spared) == -signal.SIGKILL


def test_another_signal_is_sent_once(token: str) -> None:
    process = started(token, "sh", "-c", "trap 'echo asked' TERM; echo ready; while :; do sleep 0.01; done")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    kill_carriers([token], signal.SIGTERM)
    assert process.stdout.readline() == b"asked\n"
    kill_carriers([token])
    assert process.stdout.read() == b""
    assert ended(process) == -signal.SIGKILL


def test_a_group_is_signalled_as_a_whole(token: str) -> None:
    process = started(token, "sh", "-c", "env -u PDT_ATTEMPT sleep 60 & echo $!; wait")
    assert process.stdout is not None
    without_token = int(process.stdout.readline())
    assert signal_group(process.pid, token, signal.SIGTERM)
    assert ended(process) == -signal.SIGTERM
    for _ in range(500):
        if not Path(f"/proc/{without_token}/environ").exists() or not carries_anything(without_token):
            return
        time.sleep(0.01)
    pytest.fail("the process without a token is alive")


def carries_anything(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes() != b""
    except OSError:
        return False


def test_what_is_gone_is_signalled_by_nobody(token: str) -> None:
    process = started(token, "true")
    ended(process)
    assert not signal_group(process.pid, token, signal.SIGTERM)
    kill_carriers([token])
    kill_carriers([])


def test_f16_a_number_that_is_used_again_is_a_strangers(token: str) -> None:
    command = [sys.executable, "-c", REUSING, token]
    if not os.access(LAST_PID, os.W_OK):
        command = ["unshare", "-Urpf", "--mount-proc", *command]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in ran.stderr or "PermissionError" in ran.stderr:
        pytest.skip(f"no process number can be used again here: {ran.stderr.strip().splitlines()[-1]}")
    assert ran.stdout == "spared\n", ran.stderr
