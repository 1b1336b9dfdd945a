"""Export of a model as a page: a folder with the ONNX model, its runtime, and index.html.

    index.html                        page.html, with what it has to know of the model
    model.onnx.js                     the model, as ``rnnlm.interchange.onnx`` makes it
    ort.wasm.bundle.min.mjs.js        ONNX Runtime
    ort-wasm-simd-threaded.wasm.js

A browser that opens a page from the disk (file://) lets it load scripts and nothing else. So each of the other files
is a script: ``files["model.onnx"] = "..."``, the file's bytes by gzip and base64.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rnnlm.errors import InputError
from rnnlm.files import output as output_file
from rnnlm.files.atomic import atomic_write
from rnnlm.files.model_file import MODEL, Trained
from rnnlm.interchange import whole_words
from rnnlm.interchange.onnx.export import to_onnx
from rnnlm.interchange.web import runtime
from rnnlm.network import build
from rnnlm.work import Task

_PAGE = Path(__file__).with_name("page.html")
_INDEX, _MODEL = "index.html", "model.onnx"
_SCRIPTS = tuple(f"{name}.js" for name in (_MODEL, runtime.MODULE, runtime.WASM))

# The longest string of Chromium has 2^29 characters; what is left is for the lines around it.
_LARGEST = 2**29 - 2**20


def check(folder: Path, reads: Iterable[Path], force: bool) -> None:
    """Check the files that `export` writes; see ``rnnlm.files.output``.

    Raises:
        InputError: it is a file, or named like one; its files are there already and `force` is not given.
        ResourceError: it cannot be written.
    """
    if folder.is_file() or folder.suffix.lower() in (".html", ".htm", ".onnx", ".js"):
        raise InputError(f"{folder}: a folder is written, with {_INDEX} in it; name a folder")
    reads = list(reads)
    output_file.check(folder / _INDEX, "page", reads, force)
    for name in _SCRIPTS:
        output_file.check(folder / name, "script", reads, force)


def export(trained: Trained, folder: Path, runtime_copy: Path | None = None) -> Task[list[Path]]:
    """Write the page of a model; returns the paths of its files, index.html first.

    Args:
        runtime_copy: see ``runtime.load``.

    Raises:
        InputError: see ``to_onnx`` and ``runtime.load``; the model is too large for a browser; words
            are not cut at white space alone.
        ResourceError: see ``runtime.load``; the folder cannot be written.
    """
    whole_words.check(trained, "web")
    if trained.config.data.document is not None:
        raise InputError("the page has no code for data.document, after which the hidden state begins anew")
    model = to_onnx(trained).SerializeToString()
    files = {_MODEL: model, **(yield from runtime.load(runtime_copy))}
    written = {_INDEX: _page(trained).encode()} | {f"{name}.js": _script(name, files[name]) for name in files}
    # They take their places when all are written, the last one first: where index.html is, the others are too.
    with ExitStack() as stack:
        for name, content in written.items():
            file = stack.enter_context(atomic_write(folder / name))
            file.write(content)
            file.flush()
    return [folder / name for name in (_INDEX, *_SCRIPTS)]


def _script(name: str, content: bytes) -> bytes:
    encoded = base64.b64encode(gzip.compress(content, 6, mtime=0))
    if len(encoded) > _LARGEST:
        raise InputError(f"a page holds a model of {_LARGEST * 3 // 4 / 2**20:.0f} MiB; this one is larger")
    return f'files["{name}"] = "'.encode() + encoded + b'";\n'


def _page(trained: Trained) -> str:
    data = json.dumps(_facts(trained), ensure_ascii=False).replace("<", "\\u003c")
    scripts = "\n".join(f'<script src="{name}"></script>' for name in _SCRIPTS)
    page = _PAGE.read_text(encoding="utf-8")
    return page.replace("{{SCRIPTS}}", scripts).replace("{{MODEL}}", data)


def _facts(trained: Trained) -> dict[str, Any]:
    """What the page has to know of the model besides its graph."""
    config, vocabulary, path = trained.config, trained.vocabulary, trained.path
    cells = build.cells(config)
    initial = [state.tolist() for state in trained.initial] if trained.initial else None
    return {
        "name": path.resolve().parent.name if path.name == MODEL else path.stem,
        "cell": config.model.cell.type,
        "units": [cell.D_h for cell in cells],
        "unit": vocabulary.unit,
        "lowercase": vocabulary.lowercase,
        "reset": config.train.state == "reset",
        "vocabulary": vocabulary.tokens,
        "unk": vocabulary.unk,
        "line_end": vocabulary.line_end,
        # Of each layer, S numbers.
        "initial_state": initial or [[0] * cell.state_size for cell in cells],
    }
