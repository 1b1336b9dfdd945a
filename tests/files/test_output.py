"""Outputs: nothing that a command reads, and nothing that is there, loses its place to one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnnlm.errors import InputError, ResourceError
from rnnlm.files import output


def test_a_new_file_leaves_nothing_behind_before_the_work(tmp_path: Path) -> None:
    output.check(tmp_path / "a" / "b" / "new.txt", "text", [], force=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_stays_without_force(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"mine.txt: is there already; --force replaces it"):
        output.check(path, "text", [], force=False)
    output.check(path, "text", [], force=True)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("link", ["itself", "symbolic", "hard", "relative"])
def test_what_is_read_is_never_written_over(tmp_path: Path, link: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path, other = tmp_path / "mine.txt", tmp_path / "other.txt"
    path.write_text("mine")
    if link == "symbolic":
        other.symlink_to(path)
    elif link == "hard":
        os.link(path, other)
    elif link == "relative":
        monkeypatch.chdir(tmp_path)
        other = Path("mine.txt")
    else:
        other = path
    with pytest.raises(InputError, match="this command reads it"):
        output.check(other, "text", [path], force=True)


def test_two_outputs_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this command reads it"):
        output.check(tmp_path / "a.txt", "table", [tmp_path / "a.txt"], force=True)


@pytest.mark.parametrize(
    ("what", "name"),
    [("page", "a.tsv"), ("table", "a.html"), ("safetensors file", "a.onnx"), ("ONNX graph", "a.safetensors"),
     ("file of word vectors", "a.gz"), ("vocabulary", "a.yaml"), ("text", "a.pt")],
)  # fmt: skip
def test_a_name_that_promises_another_format(tmp_path: Path, what: str, name: str) -> None:
    with pytest.raises(InputError, match=f"{name}: an? {what} is written; name it NAME"):
        output.check(tmp_path / name, what, [], force=True)


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="cannot be written"):
        output.check(tmp_path / "file" / "a.txt", "text", [], force=True)
    with pytest.raises(InputError, match="it is a folder; name a file"):
        output.check(tmp_path, "text", [], force=True)


def test_devices_are_written_to() -> None:
    output.check(Path(os.devnull), "table", [], force=False)
