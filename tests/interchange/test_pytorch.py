"""Weights to PyTorch and back: the same probabilities there, the same bytes here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Case, config
from safetensors.numpy import load_file

from rnnlm.errors import InputError
from rnnlm.files import model_file
from rnnlm.files import tensors as storage
from rnnlm.interchange import pytorch as interchange
from rnnlm.text.vocabulary import Vocabulary

WORDS = ["</s>", "<unk>", *"abcdefghi"]
NETWORKS = [
    {"cell": {"type": "elman", "activation": "tanh"}},
    {"cell": {"type": "elman", "activation": "relu"}, "layers": 2},
    {"cell": "gru", "layers": 3},
    {"cell": "lstm"},
    {"cell": "lstm", "layers": 2, "tie_weights": True},
]


def saved(folder: Path, model: dict[str, Any]) -> tuple[Case, Path]:
    settings = config(d=5, hidden=5 if model.get("tie_weights") else 6, precision="float32", model=model)
    case = Case(settings, len(WORDS), resets=False)
    path = folder / "model.safetensors"
    words = Vocabulary(WORDS, range(len(WORDS)), "word", False)
    generator = np.random.default_rng(5)
    initial = [generator.normal(size=cell.state_size).astype(np.float32) for cell in case.network.cells]
    model_file.save_model(path, settings, words, case.network.named, {"updates": 1, "epoch": 1}, initial)
    return case, path


@pytest.mark.parametrize("model", NETWORKS, ids=str)
def test_there_and_back(model: dict[str, Any], tmp_path: Path, call: Any) -> None:
    case, path = saved(tmp_path, model)
    there, back = tmp_path / "torch.safetensors", tmp_path / "back.safetensors"
    assert call("export", path, "-o", there)[0] == 0
    assert call("import", there, "-o", back)[0] == 0
    found = model_file.load(back)
    assert found.vocabulary.tokens == tuple(WORDS)
    assert not [name for name in load_file(there) if "initial" in name], "load_state_dict would refuse it"
    given = model_file.load(path).initial
    assert given is not None
    assert found.initial is not None
    assert all((one == other).all() for one, other in zip(found.initial, given, strict=True))
    assert found.config.model.model_dump() == case.network.config.model.model_dump()
    for name, value in case.network.named.items():
        assert (found.parameters[name] == value).all(), name


@pytest.mark.parametrize("model", NETWORKS, ids=str)
def test_pytorch_gives_the_same_probabilities(model: dict[str, Any], tmp_path: Path, call: Any) -> None:
    torch = pytest.importorskip("torch")
    case, path = saved(tmp_path, model)
    call("export", path, "-o", tmp_path / "torch.safetensors")
    tensors, _ = storage.read_tensors(tmp_path / "torch.safetensors")
    settings = case.network.config.model

    class Net(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            options = {"nonlinearity": settings.activation} if settings.cell == "elman" else {}
            module = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[settings.cell]
            self.embedding = torch.nn.Embedding(len(WORDS), 5)
            self.rnn = module(5, settings.sizes[0], len(settings.sizes), **options)
            self.output = torch.nn.Linear(settings.sizes[0], len(WORDS))

    net = Net()
    net.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    with torch.no_grad():
        h, _ = net.rnn(net.embedding(torch.from_numpy(case.inputs).long()))
        wanted = torch.log_softmax(net.output(h), 2).numpy()
    case.states = case.network.initial_states(case.batch)
    found = case.network.scores(case.forward(), case.targets).log_probability
    own = np.take_along_axis(wanted, case.targets[..., None].astype(int), 2)[..., 0]
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-5)


def test_weights_of_another_program(tmp_path: Path, call: Any) -> None:
    """Other names, no biases, a vocabulary file."""
    generator = np.random.default_rng(1)
    tensors = {
        "model.lstm.weight_ih_l0": generator.normal(size=(16, 3)),
        "model.lstm.weight_hh_l0": generator.normal(size=(16, 4)),
        "decoder.weight": generator.normal(size=(3, 4)),
        "encoder.weight": generator.normal(size=(3, 3)),
    }
    path, words = tmp_path / "other.safetensors", tmp_path / "vocab.txt"
    storage.write_tensors(path, {name: value.astype(np.float32) for name, value in tensors.items()}, {})
    words.write_text("</s>\t2\n<unk>\t0\na\t5\n")
    status, out, err = call("import", path, "--vocab", words, "-o", tmp_path / "model.safetensors")
    assert (status, err) == (0, "")
    assert "lstm, 1 x 4 units, 3 tokens" in out
    found = model_file.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(
        found.parameters["cell.0.H"], tensors["model.lstm.weight_hh_l0"].T.astype(np.float32)
    )
    np.testing.assert_array_equal(found.parameters["embedding.table"], tensors["encoder.weight"].astype(np.float32))
    assert not found.parameters["cell.0.b1"].any()

    words.write_text("</s>\t2\n<unk>\t0\na\t5\nb\t1\n")
    status, _, err = call("import", path, "--vocab", words, "-o", tmp_path / "model.safetensors")
    assert (status, "has 3 rows, the vocabulary 4 tokens" in err) == (2, True)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ({"cell": {"type": "elman", "activation": "sigmoid"}}, "sigmoid"),
        ({"cell": {"type": "lstm", "peepholes": True}}, "peepholes"),
        ({"cell": "gru_before"}, "gru_before"),
        ({"cell": {"type": "scrn", "context": 2}}, "scrn"),
        ({"cell": "gru", "hidden": [3, 4]}, "different sizes"),
        ({"cell": "gru", "layer_norm": True}, "layer_norm"),
    ],
)
def test_what_pytorch_has_no_module_for(model: dict[str, Any], says: str, tmp_path: Path) -> None:
    _, path = saved(tmp_path, model)
    with pytest.raises(InputError, match=says):
        interchange.export(model_file.load(path), tmp_path / "out.safetensors")
