"""Files that are whole or not there, and tensors that come back as they went."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rnnlm.errors import ModelError, ResourceError
from rnnlm.files import atomic as storage
from rnnlm.files import tensors

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_old_file_stands_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with storage.atomic_write(path) as file:
        file.write(b"new" * 100_000)
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" * 100_000
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, OSError(28, "No space left on device")])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_leaves_nothing_behind(tmp_path: Path, error: Any, old: bytes | None) -> None:
    path = tmp_path / "file"
    if old is not None:
        path.write_bytes(old)
    full = isinstance(error, OSError)
    message = "file: cannot be written: No space left on device" if full else None

    def interrupted() -> None:
        with storage.atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(ResourceError if full else error, match=message):
        interrupted()
    assert names(tmp_path) == ([] if old is None else ["file"])
    assert old is None or path.read_bytes() == old


def test_a_failed_rename_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResourceError, match="folder: cannot be written: Is a directory"):
        storage.write_text(tmp_path / "folder", "x")
    assert names(tmp_path) == ["folder"]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "far" / "file")
    storage.write_text(link, "x")
    assert link.is_symlink()
    assert (tmp_path / "far" / "file").read_text() == "x"
    assert names(tmp_path / "far") == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    """As root, a rename over /dev/null would replace it for the whole system."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text()), daemon=True)
    reader.start()
    storage.write_text(pipe, "x")
    reader.join(5)
    assert read == ["x"]
    assert pipe.is_fifo()
    assert names(tmp_path) == ["pipe"]


DTYPES = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint16, np.uint8, np.bool_])


@SETTINGS
@given(st.data(), arrays.arrays(DTYPES, arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
def test_arrays_of_every_layout_come_back(tmp_path: Path, data: st.DataObject, array: np.ndarray) -> None:
    order = data.draw(st.permutations(range(array.ndim)))
    steps = data.draw(st.tuples(*[st.sampled_from([1, 2, -1, -2])] * array.ndim))
    layouts = {
        "plain": array,
        "transposed": array.transpose(order),
        "fortran": np.asfortranarray(array) if array.ndim else array,
        "strided": array[tuple(slice(None, None, step) for step in steps)] if array.ndim else array,
    }
    tensors.write_tensors(tmp_path / "x.safetensors", layouts, {"format": 2, "text": "é"})
    found, metadata = tensors.read_tensors(tmp_path / "x.safetensors")
    assert metadata == {"format": 2, "text": "é"}
    for name, value in layouts.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(found[name], value)


def test_the_same_tensors_are_the_same_bytes(tmp_path: Path) -> None:
    x, y = np.arange(6.0), np.ones((2, 3), np.float32)
    tensors.write_tensors(tmp_path / "a", {"x": x, "y": y}, {"format": 2, "more": {"p": 1, "q": 2}})
    tensors.write_tensors(tmp_path / "b", {"y": y, "x": x}, {"more": {"q": 2, "p": 1}, "format": 2})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def damaged() -> list[bytes]:
    generator = random.Random(0)
    return [b"", b"{}", b"\0" * 64, (5).to_bytes(8, "little") + b"{not}"] + [
        generator.randbytes(size) for size in (1, 7, 8, 9, 100, 5000)
    ]


@pytest.mark.parametrize("content", damaged(), ids=lambda content: f"{len(content)} bytes")
def test_bytes_that_are_no_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    for read in (tensors.read_tensors, tensors.read_metadata):
        with pytest.raises(ModelError, match=r"x.safetensors: ") as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("metadata", [{}, {"format": 0}, {"format": 3}, {"format": "2"}, {"format": None}])
def test_another_format(tmp_path: Path, metadata: dict[str, Any]) -> None:
    tensors.write_tensors(tmp_path / "x", {"x": np.zeros(3)}, metadata)
    with pytest.raises(ModelError, match=f"x: format {metadata.get('format')}; this rnnlm reads format 2"):
        tensors.read_tensors(tmp_path / "x")


@pytest.mark.parametrize("tenth", range(10))
def test_a_file_that_was_cut_off(tmp_path: Path, tenth: int) -> None:
    path = tmp_path / "x.safetensors"
    tensors.write_tensors(path, {"x": np.arange(100.0)}, {"format": 2})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * tenth // 10])
    with pytest.raises(ModelError, match=r"x.safetensors: (not a whole safetensors file|damaged): ") as caught:
        tensors.read_tensors(path)
    assert "\n" not in str(caught.value)
