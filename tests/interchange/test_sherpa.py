"""ONNX files for sherpa-onnx: icefall's inputs, output and metadata, and the lines' own log-probabilities."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transducer
from every_cell import CELLS
from networks import Case, config

import rnnlm
from rnnlm.errors import InputError
from rnnlm.files.model_file import Trained
from rnnlm.interchange.onnx import sherpa
from rnnlm.language_model import LanguageModel
from rnnlm.text.vocabulary import Vocabulary

WORDS = Vocabulary([*"abc", "</s>", "<unk>", *"defgh"], range(10), "word", False)
LINES = ["a b c d e", "", "h", "g g g", "zebra f"]


def trained(
    model: dict[str, Any], initial: bool = True, state: str = "carry", vocabulary: Vocabulary = WORDS
) -> Trained:
    case = Case(config(d=5, precision="float32", model=model, state=state), len(vocabulary))
    generator = np.random.default_rng(3)
    states = [generator.normal(0, 0.5, cell.state_size).astype(np.float32) for cell in case.network.cells]
    made = {"updates": 1, "epoch": 1, "version": "0"}
    path = Path("model.safetensors")
    return Trained(
        case.network.config, vocabulary, case.network.named, made, path, initial=states if initial else None
    )


def session(model: str | bytes) -> Any:
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def rows(lines: list[str], vocabulary: Vocabulary) -> dict[str, np.ndarray]:
    """The lines as a recogniser gives them: padded with 0, which is a token like any other."""
    ids = [vocabulary.to_unk(vocabulary.encode(line.split())) for line in lines]
    x = np.zeros((len(ids), max(map(len, ids))), np.int64)
    for row, own in zip(x, ids, strict=True):
        row[: len(own)] = own
    return {"x": x, "x_lens": np.array(list(map(len, ids)), np.int64)}


@pytest.mark.parametrize(
    "sizes",
    [{"hidden": 6}, {"hidden": [4, 6], "layer_norm": True}, {"hidden": [4, 6], "tie_weights": True}],
    ids=["one layer", "two layers", "projected"],
)
@pytest.mark.parametrize("model", CELLS.values(), ids=CELLS.keys())
def test_a_row_costs_what_its_line_does(model: dict[str, Any], sizes: dict[str, Any]) -> None:
    onnx = pytest.importorskip("onnx")
    network = trained(model | sizes)
    made = sherpa.to_sherpa(network)
    onnx.checker.check_model(made, full_check=True)
    (found,) = session(made.SerializeToString()).run(None, rows(LINES, WORDS))
    wanted = [-score.log_probability for score in LanguageModel(network).score(LINES)]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_without_an_initial_state_it_is_zero(state: str) -> None:
    pytest.importorskip("onnx")
    network = trained({"cell": "gru"}, initial=False, state=state)
    made = session(sherpa.to_sherpa(network).SerializeToString())
    for lines in (["a b"], [""], ["", ""]):
        (found,) = made.run(None, rows(lines, WORDS))
        wanted = [-score.log_probability for score in LanguageModel(network).score(lines)]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_command_line_and_the_metadata(runs: dict[str, Path], tmp_path: Path, call: Any) -> None:
    pytest.importorskip("onnx")
    path = tmp_path / "lm.onnx"
    status, out, err = call("export", runs["word"], "--to", "sherpa", "-o", path)
    assert (status, err) == (0, "")
    assert "lm.onnx: x, x_lens -> nll" in " ".join(out.split())
    model, made = rnnlm.load(runs["word"]), session(str(path))
    end = str(model.vocabulary.line_end)
    assert made.get_modelmeta().custom_metadata_map == {
        "model_type": "rnnlm", "version": "1", "model_author": "rnnlm", "comment": "rnnlm without state",
        "sos_id": end, "eos_id": end, "vocab_size": str(len(model.vocabulary)),
    }  # fmt: skip
    assert [(value.name, value.type, value.shape) for value in made.get_inputs()] == [
        ("x", "tensor(int64)", ["N", "L"]),
        ("x_lens", "tensor(int64)", ["N"]),
    ]
    assert [(value.name, value.type, value.shape) for value in made.get_outputs()] == [
        ("nll", "tensor(float)", ["N"])
    ]
    lines = ["the dog sees the cat", "a zebra"]
    (found,) = made.run(None, rows(lines, model.vocabulary))
    wanted = [-score.log_probability for score in model.score(lines)]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", [{"cell": "lstm", "layers": 2}, {"cell": "mingru"}], ids=["lstm", "mingru"])
def test_sherpa_chooses_hypotheses_by_our_scores(model: dict[str, Any], tmp_path: Path) -> None:
    """A recogniser hears 81 token sequences in every sound. Which one it takes depends on the scale of the language
    model, and changes where our own scores say, to a thousandth."""
    pytest.importorskip("onnx")
    sherpa_onnx = pytest.importorskip("sherpa_onnx")
    tokens = ["<blk>", "</s>", "<unk>", *"abcdefgh"]
    network = trained(model, vocabulary=Vocabulary(tokens, [1] * len(tokens), "word", False))
    network.parameters["output.U"] *= 3  # so that hypotheses differ
    sherpa.export(network, tmp_path / "lm.onnx")
    generator = np.random.default_rng(1)
    heard = [["a", "b", "c"], ["d", "e", "<blk>"], ["f", "g", "h"], ["<blk>", "a", "d"]]
    frames = np.full((len(heard), len(tokens)), -50.0)
    for row, own in zip(frames, heard, strict=True):
        row[[tokens.index(token) for token in own]] = generator.normal(0, 0.5, len(own))
    frames -= np.log(np.exp(frames).sum(1, keepdims=True))
    files = transducer.write(tmp_path, tokens, frames)

    paths = [*itertools.product(*heard)]
    spoken = [[token for token in path if token != "<blk>"] for path in paths]
    acoustic = np.array(
        [sum(row[tokens.index(token)] for row, token in zip(frames, path, strict=True)) for path in paths]
    )
    own = np.array(
        [each.log_probability for each in LanguageModel(network).score([" ".join(each) for each in spoken])]
    )
    lengths = np.array([len(each) + transducer.CONTEXT for each in spoken])

    def best(scale: float) -> str:
        return "".join(spoken[int(np.argmax((acoustic + scale * own) / lengths))])

    def recognised(scale: float) -> str:
        recogniser = sherpa_onnx.OfflineRecognizer.from_transducer(
            **files, decoding_method="modified_beam_search", max_active_paths=len(paths),
            lm=str(tmp_path / "lm.onnx"), lm_scale=scale,
        )  # fmt: skip
        stream = recogniser.create_stream()
        stream.accept_waveform(16000, np.zeros(8000, np.float32))
        recogniser.decode_stream(stream)
        return str(stream.result.text)

    grid = np.geomspace(1e-3, 10, 1000)
    changes = [(low, high) for low, high in itertools.pairwise(grid) if best(low) != best(high)]
    assert len(changes) >= 3, "the language model matters"
    for low, high in changes:
        first, last = best(low), best(high)
        while high - low > 1e-6 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if best(middle) == first else (low, middle)
        assert (recognised(low * 0.999), recognised(high * 1.001)) == (first, last)


def test_without_the_package_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install '\.\[onnx\]' in a clone of rnnlm"):
        sherpa.export(trained({}), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
