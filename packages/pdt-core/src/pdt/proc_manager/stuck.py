"""What keeps a process that was killed from ending."""

from __future__ import annotations

from .processes import carriers

__all__ = ["hindrance_of"]

#: What the letter of a process's state means, where such a process does not end by SIGKILL at once.
STATES = {"D": "asleep in the kernel", "T": "stopped", "t": "stopped by a debugger", "Z": "a zombie"}


def hindrance_of(token: str) -> str | None:
    """Return the first process of an attempt that is left, and what it waits for; None if there is none."""
    for pid in carriers([token])[token]:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                name, _, fields = file.read().decode(errors="replace").rpartition(")")
        except OSError:
            continue  # it has ended
        state = fields.split()[0]
        return f"process {name}) is {STATES.get(state, f'in state {state}')}{_waits(pid)}"
    return None


def _waits(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/wchan", encoding="ascii", errors="replace") as file:
            place = file.read().strip()
    except OSError:
        return ""  # not everybody may look there
    return f", in {place}" if place not in ("", "0") else ""
