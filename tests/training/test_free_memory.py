"""The memory that a container leaves of its limit."""

from __future__ import annotations

from pathlib import Path

import pytest

from rnnlm.training import free_memory


def group(folder: Path, version: int, limit: str, used: int, cache: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    prefix = "" if version == 2 else "total_"
    (folder / "memory.stat").write_text(f"anon 5\n{prefix}inactive_file {cache}\nactive_file 7\n")


def system(root: Path, cgroup: str) -> Path:
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "self" / "cgroup").write_text(cgroup)
    return root


V1 = "12:cpu,cpuacct:/a\n11:memory:/docker/0123\n1:name=systemd:/docker/0123\n"


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("namespace", [True, False], ids=["own namespace", "path of the host"])
def test_the_limit_of_a_container(tmp_path: Path, version: int, namespace: bool) -> None:
    """In a container its own group is the root, or stands under the path that the host knows it by."""
    root = system(tmp_path, V1 if version == 1 else "0::/\n" if namespace else "0::/docker/0123\n")
    mount = root / "sys/fs/cgroup" / ("memory" if version == 1 else "")
    group(mount if namespace else mount / "docker/0123", version, "1000", 700, 200)
    assert [value for value in free_memory._of_groups(root) if value is not None] == [500]


def test_the_tightest_of_all_groups_above_counts(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/user/service/own\n")
    mount = root / "sys/fs/cgroup"
    group(mount / "user/service/own", 2, "max", 10, 0)
    group(mount / "user/service", 2, "5000", 1000, 100)
    group(mount / "user", 2, "9000", 8000, 500)
    assert [value for value in free_memory._of_groups(root) if value is not None] == [4100, 1500]


@pytest.mark.parametrize("cgroup", ["", "0::/gone\n", "3:cpu:/\n"])
def test_no_groups(tmp_path: Path, cgroup: str) -> None:
    assert not [value for value in free_memory._of_groups(system(tmp_path, cgroup)) if value is not None]


def test_nothing_is_known_of_them(tmp_path: Path) -> None:
    assert list(free_memory._of_groups(tmp_path)) == []


def test_the_least_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (free_memory.available_memory() or 1) > 0
    monkeypatch.setattr(free_memory, "_of_groups", lambda root: iter([None, 1000, 2000]))
    assert free_memory.available_memory() == 1000
    monkeypatch.setattr(free_memory, "_of_system", lambda: 300)
    assert free_memory.available_memory() == 300
