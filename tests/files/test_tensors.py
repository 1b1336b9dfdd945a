"""Tensors that come back as they went, and files that are no tensors."""

from __future__ import annotations

import random
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from rnnlm.errors import ModelError
from rnnlm.files import tensors

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
DTYPES = st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint16, np.uint8, np.bool_])


def finite_arrays(dtype: type) -> st.SearchStrategy[np.ndarray]:
    """Arrays of any shape; what is not finite is not written."""
    elements = arrays.from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    return arrays.arrays(dtype, shapes, elements=elements)


@SETTINGS
@given(st.data(), DTYPES.flatmap(finite_arrays))
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


def test_arrays_of_any_layout_are_written_right(tmp_path: Path) -> None:
    """safetensors itself writes an array that is not C-contiguous wrong, without a word."""
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    layouts = {
        "plain": x,
        "transposed": x.T,
        "fortran": np.asfortranarray(x),
        "strided": x[::2, ::3],
        "back": x[::-1],
    }
    tensors.write_tensors(tmp_path / "x.safetensors", layouts, {"format": 2})
    found, _ = tensors.read_tensors(tmp_path / "x.safetensors")
    for name, value in layouts.items():
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


def test_the_library_reads_what_we_write(tmp_path: Path) -> None:
    from safetensors.numpy import load_file

    wanted = {
        "b": np.arange(5, dtype=np.uint8), "a": np.arange(6.0).reshape(2, 3), "é": np.zeros((0, 3), np.float32),
        "c": np.float32(3), "d": np.array([True, False]),
    }  # fmt: skip
    tensors.write_tensors(tmp_path / "x", {name: np.asarray(value) for name, value in wanted.items()}, {"format": 2})
    found = load_file(tmp_path / "x")
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value)


def test_writing_makes_no_copy(tmp_path: Path) -> None:
    """A checkpoint beside the network that it is of: a second copy of the weights may not be there."""
    arrays = {f"x{i}": np.ones((1000, 250), np.float32) for i in range(8)}
    one = next(iter(arrays.values())).nbytes
    tensors.write_tensors(tmp_path / "x", arrays, {"format": 2})
    tracemalloc.start()
    tensors.write_tensors(tmp_path / "x", arrays, {"format": 2})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < one / 2


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_not_finite(value: float) -> None:
    array = np.full((50, 7), 3e38, np.float32)
    assert tensors.is_finite(array)
    assert tensors.is_finite(np.full(9, 1e308))
    assert tensors.is_finite(np.empty((0, 3)))
    array[40, 3] = value
    assert not tensors.is_finite(array)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tensors.write_tensors(tmp_path / "x", {"a": np.ones(3)}, {"format": 2})

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tensors, "open", refuse, raising=False)
    with pytest.raises(ModelError, match=r"x: Permission denied; give a file that can be read$"):
        tensors.read_tensors(tmp_path / "x")
