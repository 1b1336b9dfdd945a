"""ONNX files: onnxruntime gives the same probabilities and states, and the file holds all that a caller needs."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_cell import CELLS
from networks import Case, config

from rnnlm.errors import InputError, ResourceError
from rnnlm.files import model_file
from rnnlm.files.model_file import Trained
from rnnlm.interchange.onnx import export as onnx_file
from rnnlm.text.vocabulary import Vocabulary

WORDS = Vocabulary(["</s>", "<unk>", *"abcdefgh", "ü"], range(11), "word", False)
NETWORKS = {name: model for name, model in CELLS.items() if model["cell"]["type"] in onnx_file._CELLS} | {
    "sigmoid": {"cell": {"type": "elman", "activation": "sigmoid"}},
    "relu": {"cell": {"type": "elman", "activation": "relu"}},
}
every_network = pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())


def trained(model: dict[str, Any], precision: str = "float32") -> tuple[Case, Trained]:
    settings = config(d=5, precision=precision, model=model)
    case = Case(settings, len(WORDS), resets=False)
    return case, Trained(settings, WORDS, case.network.named, {"updates": 1, "epoch": 1}, Path("model.safetensors"))


def run(model: str | bytes, tokens: np.ndarray, states: list[np.ndarray]) -> list[np.ndarray]:
    """log y^ (T x B x |V|) and the state after every layer."""
    onnxruntime = pytest.importorskip("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    given = {f"state.{layer}": state.astype(np.float32) for layer, state in enumerate(states)}
    names = ["log_probability", *(f"state_after.{layer}" for layer in range(len(states)))]
    return session.run(names, {"tokens": tokens.astype(np.int64), **given})


def own(case: Case) -> list[np.ndarray]:
    """The same of the network itself."""
    network = case.network
    trace = case.forward()
    columns = [network.scores(trace, np.full_like(case.targets, token))[0].copy() for token in range(case.vocabulary)]
    return [np.stack(columns, axis=2), *network.states_after(trace, case.steps)]


def check(found: list[np.ndarray], wanted: list[np.ndarray]) -> None:
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden": 6},
        {"hidden": 6, "layers": 2},
        {"hidden": [4, 7, 5]},
        {"hidden": [4, 5], "tie_weights": True},
        {"hidden": [4, 5], "layer_norm": True},
        {"hidden": [4, 6], "tie_weights": True},
        {"hidden": [4, 6], "output": {"type": "mixture", "softmaxes": 3}},
        {"hidden": [4, 6], "output": {"type": "mixture", "softmaxes": 3}, "tie_weights": True},
    ],
    ids=["one layer", "two layers", "different sizes", "tied", "normalised", "projected", "mixture", "tied mixture"],
)
@every_network
def test_onnxruntime_gives_the_same_probabilities(model: dict[str, Any], sizes: dict[str, Any]) -> None:
    onnx = pytest.importorskip("onnx")
    case, network = trained(model | sizes)
    made = onnx_file.to_onnx(network)
    onnx.checker.check_model(made, full_check=True)
    check(run(made.SerializeToString(), case.inputs, case.states), own(case))


@pytest.mark.parametrize(
    "model",
    [
        {"output": {"type": "adaptive", "cutoffs": [3, 7], "factor": 2}},
        {"output": {"type": "adaptive", "cutoffs": [3, 7], "factor": 1}, "hidden": 5, "tie_weights": True},
        {"output": {"type": "adaptive", "cutoffs": [3, 7], "factor": 1.2}, "tie_weights": True},
        {"output": {"type": "sampled", "samples": 5}},
        {"output": {"type": "sampled", "objective": "nce"}, "tie_weights": True},
    ],
    ids=["adaptive", "tied adaptive", "projected adaptive", "sampled", "tied sampled"],
)
def test_output_layers_for_large_vocabularies(model: dict[str, Any]) -> None:
    onnx = pytest.importorskip("onnx")
    case, network = trained({"hidden": [4, 6]} | model)
    made = onnx_file.to_onnx(network)
    onnx.checker.check_model(made, full_check=True)
    check(run(made.SerializeToString(), case.inputs, case.states), own(case))


@every_network
def test_two_windows_are_one_long_window(model: dict[str, Any]) -> None:
    pytest.importorskip("onnx")
    case, network = trained(model | {"hidden": [4, 6]})
    file = onnx_file.to_onnx(network).SerializeToString()
    first, *between = run(file, case.inputs[:1], case.states)
    second, *after = run(file, case.inputs[1:], between)
    check([np.concatenate([first, second]), *after], own(case))


def test_a_float64_network_becomes_float32() -> None:
    pytest.importorskip("onnx")
    case, network = trained({"cell": {"type": "lstm", "coupled_gates": True, "peepholes": True}}, "float64")
    check(run(onnx_file.to_onnx(network).SerializeToString(), case.inputs, case.states), own(case))


def test_tied_weights_stand_in_the_file_once() -> None:
    pytest.importorskip("onnx")
    case, network = trained({"cell": "gru", "hidden": 5, "tie_weights": True})
    found = [tensor.name for tensor in onnx_file.to_onnx(network).graph.initializer]
    assert "embedding.table" in found
    assert "output.U" not in found


def test_the_metadata_and_the_axes() -> None:
    onnx = pytest.importorskip("onnx")
    _, network = trained({"cell": "lstm", "hidden": [4, 6]})
    network = replace(network, initial=[np.full(8, 0.5, np.float32), np.full(12, 0.25, np.float32)])
    made = onnx.load_from_string(onnx_file.to_onnx(network).SerializeToString())
    metadata = {entry.key: json.loads(entry.value) for entry in made.metadata_props}
    assert metadata.pop("initial_state") == [[0.5] * 8, [0.25] * 12]
    assert metadata == json.loads(json.dumps(model_file.header(network.config, WORDS, network.training)))
    assert metadata["vocabulary"][-1] == "ü"
    assert metadata["config"]["model"]["cell"]["type"] == "lstm"
    axes = {
        value.name: [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*made.graph.input, *made.graph.output)
    }
    assert axes == {
        "tokens": ["T", "B"],
        "state.0": ["B", 8],
        "state.1": ["B", 12],
        "log_probability": ["T", "B", 11],
        "state_after.0": ["B", 8],
        "state_after.1": ["B", 12],
    }


def test_the_command_line(tmp_path: Path, call: Any) -> None:
    pytest.importorskip("onnx")
    case, network = trained({"cell": "gru", "layers": 2})
    path, file = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    model_file.save_model(path, network.config, WORDS, network.parameters, network.training)
    status, out, err = call("export", path, "--to", "onnx", "-o", file)
    assert (status, err) == (0, "")
    assert "model.onnx: tokens, state.0, state.1 -> log_probability, state_after.0, state_after.1" in " ".join(
        out.split()
    )
    check(run(str(file), case.inputs, case.states), own(case))


def test_what_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    _, network = trained({})
    with pytest.raises(ResourceError, match="cannot be written"):
        onnx_file.export(network, tmp_path)
    monkeypatch.setattr(onnx_file, "_LARGEST", 1000)
    with pytest.raises(InputError, match="less than 2 GiB"):
        onnx_file.export(network, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_what_has_no_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnx")
    _, network = trained({})
    with monkeypatch.context() as patch:
        patch.delitem(onnx_file._CELLS, "elman")
        with pytest.raises(InputError, match="no nodes for the cell elman; it has them for gru, "):
            onnx_file.to_onnx(network)
    monkeypatch.delitem(onnx_file._OUTPUTS, "softmax")
    with pytest.raises(InputError, match="no nodes for the output layer softmax; it has them for adaptive, mixture"):
        onnx_file.to_onnx(network)


def test_without_the_package_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError, match=r"pip install '\.\[onnx\]' in a clone of rnnlm"):
        onnx_file.export(trained({})[1], tmp_path / "model.onnx")
