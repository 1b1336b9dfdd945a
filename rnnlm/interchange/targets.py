"""What a model is exported for: the check of the output, and the export, of each target."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from rnnlm.files import output as output_file
from rnnlm.files.model_file import Trained
from rnnlm.interchange import pytorch, whole_words, word2vec
from rnnlm.interchange.huggingface import export as huggingface
from rnnlm.interchange.onnx import export as onnx
from rnnlm.interchange.onnx import sherpa

_BY_ENDING = {".onnx": "onnx"} | dict.fromkeys((".txt", ".vec", ".bin"), "word2vec")


class Target(NamedTuple):
    """A target. what: the output, one of ``output.ENDINGS``, or None: a folder with `files`."""

    write: Callable[[Trained, Path], str]
    what: str | None = None
    files: tuple[str, ...] = ()

    def check(self, output: Path, reads: Iterable[Path], force: bool) -> None:
        """Check the output, before any work; as ``output.check``."""
        if self.what is None:
            output_file.check_folder(output, self.files, reads, force)
        else:
            output_file.check(output, self.what, reads, force)


def by_ending(output: Path) -> str:
    """The target that a file's name speaks of."""
    return _BY_ENDING.get(output.suffix.lower(), "pytorch")


def _onnx(trained: Trained, output: Path) -> str:
    return _graph(onnx.export(trained, output).graph)


def _sherpa(trained: Trained, output: Path) -> str:
    return _graph(sherpa.export(trained, output).graph)


def _graph(graph: Any) -> str:
    """The inputs and outputs of an ONNX graph."""
    given, answered = (", ".join(value.name for value in values) for values in (graph.input, graph.output))
    return f"{given} -> {answered}"


def _pytorch(trained: Trained, output: Path) -> str:
    return ", ".join(pytorch.export(trained, output))


def _espnet(trained: Trained, output: Path) -> str:
    whole_words.check(trained, "espnet")
    return ", ".join(pytorch.export(trained, output, pytorch.ESPNET))


def _huggingface(trained: Trained, output: Path) -> str:
    return ", ".join(huggingface.export(trained, output))


def _word2vec(trained: Trained, output: Path) -> str:
    count, size = word2vec.export(trained, output)
    return f"{count:,} vectors of {size:,} numbers"


# By the name that ``rnnlm export --to`` gives it; `write` returns what is said of the output.
TARGETS = {
    "pytorch": Target(_pytorch, "safetensors file"),
    "espnet": Target(_espnet, "safetensors file"),
    "onnx": Target(_onnx, "ONNX graph"),
    "sherpa": Target(_sherpa, "ONNX graph"),
    "hf": Target(_huggingface, files=huggingface.FILES),
    "word2vec": Target(_word2vec, "file of trained word vectors"),
}
