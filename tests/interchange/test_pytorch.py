"""Weights to PyTorch and back: the same probabilities there, the same bytes here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import Case, config
from safetensors.numpy import load_file, save_file

import rnnlm
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


def saved(folder: Path, model: dict[str, Any], tokens: list[str] = WORDS) -> tuple[Case, Path]:
    settings = config(d=5, hidden=5 if model.get("tie_weights") else 6, precision="float32", model=model)
    case = Case(settings, len(tokens), resets=False)
    path = folder / "model.safetensors"
    words = Vocabulary(tokens, range(len(tokens)), "word", False)
    generator = np.random.default_rng(5)
    initial = [generator.normal(size=cell.state_size).astype(np.float32) for cell in case.network.cells]
    model_file.save_model(path, settings, words, case.network.named, {"updates": 1, "epoch": 1}, initial)
    return case, path


@pytest.mark.parametrize("model", NETWORKS, ids=str)
def test_there_and_back(model: dict[str, Any], tmp_path: Path, call: Any) -> None:
    case, path = saved(tmp_path, model)
    there, back = tmp_path / "torch.safetensors", tmp_path / "back.safetensors"
    assert call("export", path, "-o", there)[0] == 0
    assert "weights for another program, as rnnlm export writes them; rnnlm import" in call("inspect", there)[2]
    assert call("import", "--force", there, "-o", back)[0] == 0
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
            options = {"nonlinearity": settings.cell.activation} if settings.cell.type == "elman" else {}
            module = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[settings.cell.type]
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


@pytest.mark.parametrize("model", NETWORKS, ids=str)
def test_espnet_gives_the_same_probabilities(model: dict[str, Any], tmp_path: Path, call: Any) -> None:
    """By the modules of its SequentialRNNLM, whose first axis is the batch."""
    torch = pytest.importorskip("torch")
    case, path = saved(tmp_path, model)
    file = tmp_path / "espnet.safetensors"
    status, out, err = call("export", path, "--to", "espnet", "-o", file)
    assert (status, err) == (0, "")
    assert "encoder.weight, rnn.weight_ih_l0" in " ".join(out.split())
    settings = case.network.config.model
    cell, hidden, layers = settings.cell.type, settings.sizes[0], len(settings.sizes)
    options = {"nonlinearity": settings.cell.activation} if cell == "elman" else {}
    rnn = {"elman": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[cell]
    net = torch.nn.ModuleDict(
        {
            "encoder": torch.nn.Embedding(len(WORDS), 5, padding_idx=0),
            "rnn": rnn(5, hidden, layers, batch_first=True, **options),
            "decoder": torch.nn.Linear(hidden, len(WORDS)),
        }
    )
    if settings.tie_weights:
        net.decoder.weight = net.encoder.weight
    tensors, metadata = storage.read_tensors(file)
    net.load_state_dict({name: torch.from_numpy(value) for name, value in tensors.items()})
    assert metadata["vocabulary"] == WORDS
    with torch.no_grad():
        h, _ = net.rnn(net.encoder(torch.from_numpy(case.inputs.T).long()))
        wanted = torch.log_softmax(net.decoder(h), 2).numpy().swapaxes(0, 1)
    case.states = case.network.initial_states(case.batch)
    found = case.network.scores(case.forward(), case.targets).log_probability
    own = np.take_along_axis(wanted, case.targets[..., None].astype(int), 2)[..., 0]
    np.testing.assert_allclose(found, own, rtol=0, atol=1e-5)
    assert call("import", "--force", file, "-o", tmp_path / "back.safetensors")[0] == 0
    back = model_file.load(tmp_path / "back.safetensors").parameters
    assert all((back[name] == value).all() for name, value in case.network.named.items())


@pytest.mark.parametrize("model", NETWORKS, ids=str)
def test_espnet_itself_gives_our_scores(model: dict[str, Any], tmp_path: Path, call: Any) -> None:
    """Its own classes, with the file that the guide makes for it; its sentences begin with the state 0."""
    torch = pytest.importorskip("torch")
    networks, models = (pytest.importorskip(f"espnet2.lm.{name}") for name in ("seq_rnn_lm", "espnet_model"))
    tokens = ["<blank>", "<unk>", *"abcdefg", "</s>"]
    case, path = saved(tmp_path, model, tokens)
    assert call("export", path, "--to", "espnet", "-o", tmp_path / "lm.safetensors")[0] == 0
    torch.save(
        {f"lm.{name}": torch.from_numpy(value) for name, value in load_file(tmp_path / "lm.safetensors").items()},
        tmp_path / "lm.pth",
    )

    settings = case.network.config.model
    kind = f"rnn_{settings.cell.activation}" if settings.cell.type == "elman" else settings.cell.type
    network = networks.SequentialRNNLM(
        len(tokens), unit=5, nhid=settings.sizes[0], nlayers=len(settings.sizes), tie_weights=settings.tie_weights,
        rnn_type=kind,
    )  # fmt: skip
    theirs = models.ESPnetLanguageModel(network, len(tokens)).eval()
    theirs.load_state_dict(torch.load(tmp_path / "lm.pth"))

    ours, lines = rnnlm.load(path, initial_state="zero"), ["a b c d e", "g", "f f zebra"]
    ids = [torch.tensor([tokens.index(word) if word in tokens else 1 for word in line.split()]) for line in lines]
    with torch.no_grad():
        found, _ = theirs.nll(torch.nn.utils.rnn.pad_sequence(ids, True), torch.tensor([*map(len, ids)]))
    wanted = [-score.log_probability for score in ours.score(lines)]
    np.testing.assert_allclose(found.sum(1), wanted, rtol=0, atol=1e-5)


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
    status, out, err = call("import", "--force", path, "--vocab", words, "-o", tmp_path / "model.safetensors")
    assert (status, err) == (0, "")
    assert "lstm, 1 x 4 units, 3 tokens" in out
    found = model_file.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(
        found.parameters["cell.0.H"], tensors["model.lstm.weight_hh_l0"].T.astype(np.float32)
    )
    np.testing.assert_array_equal(found.parameters["embedding.table"], tensors["encoder.weight"].astype(np.float32))
    assert not found.parameters["cell.0.b1"].any()

    words.write_text("</s>\t2\n<unk>\t0\na\t5\nb\t1\n")
    status, _, err = call("import", "--force", path, "--vocab", words, "-o", tmp_path / "model.safetensors")
    assert (status, "has 3 rows, the vocabulary 4 tokens" in err) == (2, True)


Edit = Callable[[dict[str, np.ndarray]], Any]


@pytest.fixture
def foreign(tmp_path: Path, call: Any) -> Callable[..., tuple[int, str, Path]]:
    """Imports a GRU with d = D_h, so that shapes alone do not tell the embedding from the output layer."""

    def make(names: dict[str, str] | None = None, edit: Edit | None = None, *flags: str, hidden: int = 4) -> Any:
        generator = np.random.default_rng(1)
        tensors = {
            "rnn.weight_ih_l0": generator.normal(size=(3 * hidden, 4)),
            "rnn.weight_hh_l0": generator.normal(size=(3 * hidden, hidden)),
            "rnn.bias_ih_l0": generator.normal(size=3 * hidden),
            "rnn.bias_hh_l0": generator.normal(size=3 * hidden),
            "embedding.weight": generator.normal(size=(3, 4)),
            "output.weight": generator.normal(size=(3, hidden)),
            "output.bias": generator.normal(size=3),
        }
        tensors = {(names or {}).get(name, name): value.astype(np.float32) for name, value in tensors.items()}
        if edit is not None:
            edit(tensors)
        # Sorted by other names than these: what comes first says nothing.
        path, words, out = tmp_path / "x.safetensors", tmp_path / "vocab.txt", tmp_path / "model.safetensors"
        save_file({name: np.ascontiguousarray(value) for name, value in tensors.items() if name}, path)
        if not words.exists():
            words.write_text("</s>\t2\n<unk>\t0\na\t5\n")
        status, _, err = call("import", "--force", path, "--vocab", words, "-o", out, *flags)
        return status, err, out

    return make


def table(path: Path) -> float:
    return float(model_file.load(path).parameters["embedding.table"][0, 0])


EMBEDDINGS = [
    "embedding.weight",
    "encoder.weight",
    "input.weight",
    "model.embed_tokens.weight",
    "a.weight",
    "z.weight",
]
OUTPUTS = ["head", "out", "decoder", "proj", "fc", "output", "lm_head", "model.fc2", "net.out_proj"]


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_the_output_layer_is_known_by_its_name(foreign: Any, embedding: str, output: str) -> None:
    wanted = table(foreign()[2])
    names = {"embedding.weight": embedding, "output.weight": f"{output}.weight", "output.bias": f"{output}.bias"}
    status, err, path = foreign(names)
    assert (status, err) == (0, "")
    assert table(path) == wanted
    status, err, path = foreign(names, lambda tensors: tensors.pop(f"{output}.bias"))
    assert (status, err) == (0, "")
    assert table(path) == wanted


def test_the_output_layer_is_known_by_its_bias_or_its_width(foreign: Any) -> None:
    wanted = table(foreign()[2])
    unknown = {"embedding.weight": "x.weight", "output.weight": "b.weight", "output.bias": "b.bias"}
    status, err, path = foreign(unknown)
    assert (status, err, table(path)) == (0, "", wanted)
    status, err, path = foreign(unknown, lambda tensors: tensors.pop("b.bias"), hidden=5)
    assert (status, err) == (0, "")


def test_what_cannot_be_told_apart_is_asked(foreign: Any) -> None:
    wanted = table(foreign()[2])
    unknown = {"embedding.weight": "x.weight", "output.weight": "b.weight", "output.bias": ""}
    status, err, _ = foreign(unknown)
    assert status == 2
    assert "which is the embedding and which the output layer?" in err
    assert "give --embedding NAME" in err
    for flags in (("--embedding", "x.weight"), ("--head", "b.weight")):
        status, err, path = foreign(unknown, None, *flags)
        assert (status, err, table(path)) == (0, "", wanted)
    status, err, _ = foreign(unknown, None, "--embedding", "y.weight")
    assert (status, "y.weight: no such tensor; beside the layers there are b.weight, x.weight" in err) == (2, True)


def changed(name: str, value: np.ndarray | None) -> Edit:
    """Another tensor in a tensor's place, or none."""
    return lambda tensors: tensors.pop(name) if value is None else tensors.update({name: value})


FAULTS = [
    (changed("rnn.weight_hh_l0", None), "the tensor rnn.weight_hh_l0 is missing"),
    (changed("rnn.bias_hh_l0", None), "the tensor rnn.bias_hh_l0 is missing"),
    (changed("rnn.weight_ih_l2", np.zeros((12, 4), np.float32)), "the tensor rnn.weight_ih_l1 is missing"),
    (changed("rnn.weight_ih_l0", None), "no tensor ...weight_ih_l0"),
    (changed("rnn.weight_ih_l0", np.zeros(12, np.float32)), "are no matrices"),
    (changed("rnn.weight_hh_l0", np.zeros((12, 0), np.float32)), "are no matrices"),
    (
        changed("rnn.weight_hh_l0", np.full((12, 4), np.nan, np.float32)),
        "rnn.weight_hh_l0 holds numbers .* not finite",
    ),
    (changed("output.bias", np.full(3, np.inf, np.float32)), "output.bias holds numbers that are not finite"),
    (changed("rnn.bias_ih_l0", np.zeros(5, np.float32)), r"rnn.bias_ih_l0 is \(5,\); \(12,\) is needed"),
    (changed("rnn.weight_hh_l0", np.zeros((11, 4), np.float32)), r"rnn.weight_hh_l0 is \(11, 4\); \(12, 4\)"),
    (changed("rnn.weight_ih_l0", np.zeros((13, 4), np.float32)), "has 13 rows for 4 units; not 1, 3 or 4 times"),
    (changed("output.weight", np.full((3, 4), 1e300)), "output.U would hold numbers too large for float32"),
    (changed("output.bias", np.zeros(4, np.float32)), "output.b2 would be"),
    (changed("embedding.weight", np.zeros((3, 4), np.int32)), "embedding.weight has numbers of type int32"),
    (changed("norm.weight", np.zeros(4, np.float32)), "beside the layers; an embedding and at most an output layer"),
    (changed("scale", np.zeros((), np.float32)), "beside the layers; an embedding and at most an output layer"),
]


@pytest.mark.parametrize(("edit", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_a_state_dict_that_is_not_what_it_should_be(foreign: Any, edit: Edit, message: str) -> None:
    status, err, path = foreign(None, edit)
    assert status == 2
    assert re.search(message, err)
    assert len(err.splitlines()) == 1
    assert not path.exists()


def test_one_matrix_alone_is_tied(foreign: Any) -> None:
    """A safetensors file keeps one name of tensors that are shared, and that may be either."""
    status, err, path = foreign(None, changed("embedding.weight", None))
    assert (status, err) == (0, "")
    assert model_file.load(path).config.model.tie_weights
    status, err, _ = foreign(None, changed("embedding.weight", None), hidden=5)
    assert status == 2
    assert "output.weight has 5 numbers a token, the first layer reads 4" in err


def test_files_that_no_weights_are_read_from(tmp_path: Path, call: Any) -> None:
    path, words = tmp_path / "x.safetensors", tmp_path / "vocab.txt"
    words.write_text("</s>\t2\n<unk>\t0\na\t5\n")
    header = b'{"rnn.weight_ih_l0":{"dtype":"BF16","shape":[2,1],"data_offsets":[0,4]}}'
    for content, message in (
        (len(header).to_bytes(8, "little") + header + b"\0" * 4, "rnn.weight_ih_l0 has numbers of type BF16"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"PK\x03\x04", "PyTorch"),
        (b"\x80\x02}", "PyTorch"),
        (b"", "not a whole safetensors file"),
    ):
        path.write_bytes(content)
        for flags in (("--vocab", words), ()):
            status, _, err = call("import", "--force", path, *flags, "-o", tmp_path / "model.safetensors")
            assert status == 2
            assert message in err or "give --vocab FILE" in err
            assert len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["<eos>", "<EOS>"])
def test_another_name_of_the_line_end(foreign: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "vocab.txt").write_text(f"{name}\t2\n<unk>\t0\na\t5\n")
    status, err, _ = foreign()
    assert status == 2
    assert f"</s> was added to it: if {name} has that meaning, write </s> in its place" in err


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
