"""Free memory: what the system has, and what this process's container leaves of its limit.

A container's limit is that of its control group or of one above it (Linux: cgroup v2 ``memory.max``, v1
``memory.limit_in_bytes``). ``MemAvailable`` knows nothing of it; whoever goes over it is killed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# Of v2 and v1: the limit, what is used, and what of that is cache of files, which makes room.
_FILES = {
    "memory.max": ("memory.current", "inactive_file"),
    "memory.limit_in_bytes": ("memory.usage_in_bytes", "total_inactive_file"),
}


def available_memory() -> int | None:
    """Bytes that can be had without swapping; None where the system does not say."""
    found = [value for value in (_of_system(), *_of_groups(Path("/"))) if value is not None]
    return min(found, default=None)


def _of_system() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _of_groups(root: Path) -> Iterator[int | None]:
    """What the control groups of this process leave, from its own up; None for one without a limit. root: where
    ``proc`` and ``sys`` are."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        mount = root / "sys/fs/cgroup" / controllers
        # Inside a container the path may be that of the host, which is not there: its root then is the container's.
        own = mount / path.lstrip("/")
        for folder in (own, *own.parents):
            yield _left(folder)
            if folder == mount:
                break


def _left(group: Path) -> int | None:
    for limit, (usage, cache) in _FILES.items():
        try:
            most = int((group / limit).read_text())  # "max" where there is none
            used = int((group / usage).read_text())
            kept = [line.split() for line in (group / "memory.stat").read_text().splitlines()]
            return max(0, most - used + sum(int(value) for name, value in kept if name == cache))
        except (OSError, ValueError):
            continue
    return None
