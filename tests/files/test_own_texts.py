"""The files that a model names: read only where they can be texts."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from rnnlm.files import tensors


def renamed(model: Path, folder: Path, **data: str | None) -> Path:
    """The model, naming other texts."""
    arrays, metadata = tensors.read_tensors(model / "model.safetensors")
    metadata["config"]["data"] |= data
    path = folder / "model.safetensors"
    tensors.write_tensors(path, arrays, metadata)
    return path


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("named", ["/dev/zero", "pipe", "link", "folder"])
@pytest.mark.parametrize("command", ["eval", "gradcheck"])
def test_a_strangers_model_names_what_never_ends(
    runs: dict[str, Path], tmp_path: Path, call: Any, named: str, command: str
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    path = str(tmp_path / named)
    model = renamed(runs["word"], tmp_path, train=path, valid=path, test=path)
    status, _, err = call(command, model)
    assert status == 2
    assert f"names {path} as its own " in err
    assert "which is no regular file; give a TEXT" in err


@pytest.mark.parametrize("named", ["gone", "x" * 5000, "nul\0byte"])
def test_a_text_that_cannot_be_there(runs: dict[str, Path], tmp_path: Path, call: Any, named: str) -> None:
    model = renamed(runs["word"], tmp_path, train=named, valid=None, test=named)
    status, _, err = call("eval", model)
    assert (status, "the run's own test text is not there (any more); give a TEXT" in err) == (2, True)


def test_a_text_in_the_runs_folder_that_is_a_link_to_what_never_ends(
    runs: dict[str, Path], tmp_path: Path, call: Any
) -> None:
    run = Path(shutil.copytree(runs["word"], tmp_path / "run"))
    model = renamed(run, run, train=None, valid=None, test=None, text="whole.txt")
    (run / "text").mkdir(exist_ok=True)
    (run / "text" / "test.txt").symlink_to("/dev/zero")
    status, _, err = call("eval", model)
    assert (status, "no regular file" in err) == (2, True)
