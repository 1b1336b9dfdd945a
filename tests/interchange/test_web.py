"""The page for the browser: its files, and where its runtime comes from. (What it shows: test_web_page.py.)"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import web_runtime

from rnnlm import user_cache
from rnnlm.files import model_file
from rnnlm.files.atomic import atomic_write
from rnnlm.interchange.onnx.export import to_onnx
from rnnlm.interchange.web import export, runtime
from rnnlm.text.vocabulary import Vocabulary

FILES = ["index.html", "model.onnx.js", f"{runtime.MODULE}.js", f"{runtime.WASM}.js"]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    pytest.importorskip("onnx")
    return web_runtime.write_archive(tmp_path / "package.tgz")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, empty."""
    pytest.importorskip("onnx")
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(user_cache, "folder", lambda name: folder)
    return folder


def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """A program npm that does this, and nothing else in the PATH but what the script needs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / "npm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)


def content(script: Path) -> tuple[str, bytes]:
    """The name and the bytes of the file that a script holds."""
    found = re.fullmatch(r'files\["([^"]+)"\] = "([A-Za-z0-9+/=]+)";\n', script.read_text())
    assert found
    return found[1], gzip.decompress(base64.b64decode(found[2]))


def refused(call: Any, status: int, message: str, output: Path, *arguments: object) -> None:
    """One line, and nothing is left behind."""
    found, out, err = call("export", *arguments, "--to", "web", "-o", output)
    assert (found, out) == (status, "")
    assert err.splitlines()[-1].startswith("error: ")
    assert message in err.splitlines()[-1]
    assert len([line for line in err.splitlines() if "by npm (33 MB" not in line]) == 1
    assert not output.is_dir() or not list(output.glob("*.js"))


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_files(unit: str, call: Any, runs: dict[str, Path], package: Path, tmp_path: Path) -> None:
    page = tmp_path / "page"
    status, out, err = call("export", runs[unit], "--to", "web", "-o", page, "--runtime", package)
    assert (status, err) == (0, "")
    assert out == f"{page / 'index.html'}: open it in a browser; the folder is all that it needs\n"
    assert sorted(path.name for path in page.iterdir()) == sorted(FILES)
    trained = model_file.load(runs[unit])
    wanted = {"model.onnx": to_onnx(trained).SerializeToString(), **web_runtime.CONTENTS}
    assert dict(content(page / name) for name in FILES[1:]) == wanted
    index = (page / "index.html").read_text(encoding="utf-8")
    assert re.findall(r'<script src="([^"]+)">', index) == FILES[1:]
    assert "{{" not in index
    found = re.search(r'<script type="application/json" id="model">(.*?)</script>', index, re.S)
    assert found
    facts = json.loads(found[1])
    assert tuple(facts["vocabulary"]) == trained.vocabulary.tokens
    assert (facts["name"], facts["cell"], facts["units"], facts["unit"]) == (unit, "elman", [16], unit)
    assert (facts["unk"], facts["line_end"]) == (trained.vocabulary.unk, trained.vocabulary.line_end)
    assert (facts["lowercase"], facts["reset"]) == (False, trained.config.train.state == "reset")
    assert facts["initial_state"] == [state.tolist() for state in trained.initial or ()]


def test_a_model_without_an_initial_state_begins_with_zeros(
    runs: dict[str, Path], package: Path, tmp_path: Path
) -> None:
    trained = replace(model_file.load(runs["word"]), initial=None)
    assert export._facts(trained)["initial_state"] == [[0] * 16]


def test_the_package_as_a_folder(call: Any, runs: dict[str, Path], package: Path, tmp_path: Path) -> None:
    dist = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    dist.mkdir(parents=True)
    for name, value in web_runtime.CONTENTS.items():
        (dist / name).write_bytes(value)
    for number, copy in enumerate((dist, dist.parent)):
        page = tmp_path / str(number)
        assert call("export", runs["word"], "--to", "web", "-o", page, "--runtime", copy)[0] == 0
        assert dict(content(page / name) for name in FILES[2:]) == web_runtime.CONTENTS
    (dist / runtime.WASM).unlink()
    refused(call, 2, "cannot be read: No such file", tmp_path / "page", runs["word"], "--runtime", dist.parent)


def test_copies_that_are_none(call: Any, runs: dict[str, Path], package: Path, tmp_path: Path) -> None:
    whole = package.read_bytes()
    files = {"text": b"no archive", "cut": whole[:-200], "empty": b"", "changed": whole[:60] + b"!" + whole[61:]}
    for name, value in files.items():
        (tmp_path / name).write_bytes(value)
    web_runtime.write_archive(tmp_path / "other", {runtime.MODULE: b""})
    (tmp_path / "folder").mkdir()
    run = runs["word"]
    for name in files:
        refused(call, 2, f"{tmp_path / name}: ", tmp_path / "page", run, "--runtime", tmp_path / name)
    for name, message in (
        ("other", f"no package/dist/{runtime.WASM} in it"),
        ("folder", f"no dist/{runtime.MODULE} in this folder"),
        ("nowhere", "cannot be read: No such file or directory"),
    ):
        refused(call, 2, message, tmp_path / "page", run, "--runtime", tmp_path / name)


def test_files_that_are_there_already(call: Any, runs: dict[str, Path], package: Path, tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.mkdir()
    (page / "index.html").write_text("mine")
    arguments = (runs["word"], "--runtime", package)
    refused(call, 2, f"{page / 'index.html'}: is there already; --force replaces it", page, *arguments)
    assert (page / "index.html").read_text() == "mine"
    assert call("export", "--to", "web", "-o", page, *arguments, "--force")[0] == 0
    assert (page / "index.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    refused(call, 2, "a folder is written", tmp_path / "page.html", *arguments)
    refused(call, 2, "a folder is written", package, *arguments)
    assert package.is_file()


def test_a_full_disk_leaves_no_page(
    call: Any, runs: dict[str, Path], package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def full(path: Path) -> Iterator[BinaryIO]:
        with atomic_write(path) as file:
            if path.name == FILES[-1]:
                raise OSError(28, "No space left on device")
            yield file

    monkeypatch.setattr(export, "atomic_write", full)
    refused(call, 1, "No space left on device", tmp_path / "page", runs["word"], "--runtime", package)
    assert not [path for path in (tmp_path / "page").rglob("*") if path.is_file()]


def test_a_name_and_a_vocabulary_with_markup(runs: dict[str, Path]) -> None:
    words = Vocabulary(["</s>", "<unk>", "</script>"], range(3), "word", False)
    trained = replace(model_file.load(runs["word"]), path=Path("a<b>.safetensors"), vocabulary=words)
    index = export._page(trained)
    assert index.count("</script>") == 3 + len(FILES[1:])
    assert '"name": "a\\u003cb>"' in index
    assert '["\\u003c/s>", "\\u003cunk>", "\\u003c/script>"]' in index


def test_the_runtime_belongs_to_the_page_alone(call: Any, runs: dict[str, Path], tmp_path: Path) -> None:
    status, out, err = call("export", runs["word"], "-o", tmp_path / "x.onnx", "--runtime", tmp_path)
    assert (status, out, err) == (2, "", "error: --runtime goes with --to web\n")


def test_without_the_package_onnx(
    call: Any, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    copy = web_runtime.write_archive(tmp_path / "package.tgz")
    refused(call, 2, "the package onnx is not installed", tmp_path / "page", runs["word"], "--runtime", copy)


def test_a_model_that_is_too_large(
    call: Any, runs: dict[str, Path], package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "_LARGEST", 1000)
    refused(call, 2, "this one is larger", tmp_path / "page", runs["word"], "--runtime", package)


# -- npm


def test_npm_gets_the_package_once(
    call: Any, runs: dict[str, Path], package: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = f"onnxruntime-web-{runtime.VERSION}.tgz"
    # npm pack NAME@VERSION --pack-destination FOLDER ...
    npm(tmp_path, monkeypatch, f'echo "$1 $2" >> {tmp_path}/asked; cp {package} "$4/{archive}"')
    digest = hashlib.sha512(package.read_bytes()).digest()
    monkeypatch.setattr(runtime, "INTEGRITY", f"sha512-{base64.b64encode(digest).decode()}")
    for number in range(2):
        status, _, err = call("export", runs["word"], "--to", "web", "-o", tmp_path / f"page{number}")
        assert status == 0, err
        assert ("by npm (33 MB" in err) == (number == 0)
        assert dict(content(tmp_path / f"page{number}" / name) for name in FILES[2:]) == web_runtime.CONTENTS
    assert [path.name for path in cache.iterdir()] == [archive]
    # A damaged one is got again.
    (cache / archive).write_bytes(b"")
    assert call("export", runs["word"], "--to", "web", "-o", tmp_path / "page2")[0] == 0
    assert (tmp_path / "asked").read_text() == f"pack onnxruntime-web@{runtime.VERSION}\n" * 2


def test_npm_brings_another_package(
    call: Any, runs: dict[str, Path], package: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm(tmp_path, monkeypatch, f'cp {package} "$4/onnxruntime-web-{runtime.VERSION}.tgz"')
    refused(call, 1, f"expected {runtime.INTEGRITY}", tmp_path / "page", runs["word"])
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ("npm error code E404\nnpm error 404 Not Found - GET x", "404 Not Found - GET x"),
        ("npm error code X\nnpm error errno X\nnpm error network request to x failed.\n", "request to x failed"),
        ("npm ERR! code X\nnpm ERR! FetchError: refused", "refused"),
        ("", "it gives no reason"),
    ],
)
def test_npm_fails(
    call: Any, runs: dict[str, Path], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, errors: str,
    reason: str,
) -> None:  # fmt: skip
    (tmp_path / "errors").write_text(errors)
    npm(tmp_path, monkeypatch, f"cat {tmp_path}/errors >&2; exit 1")
    message = f"npm cannot get onnxruntime-web {runtime.VERSION}: {reason}; look at the connection, or give a copy"
    refused(call, 1, message, tmp_path / "page", runs["word"])
    assert not list(cache.iterdir())


def test_without_npm(
    call: Any, runs: dict[str, Path], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused(call, 2, "install npm (Node.js), or give a copy of onnxruntime-web@", tmp_path / "page", runs["word"])


def test_without_a_cache(call: Any, runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    monkeypatch.setattr(user_cache, "folder", lambda name: None)
    refused(call, 1, "set XDG_CACHE_HOME", tmp_path / "page", runs["word"])
