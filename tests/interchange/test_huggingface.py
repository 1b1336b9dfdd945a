"""Folders for transformers: the same probabilities there, in minicons and in surprisal, and the same tokens."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_cell import CELLS
from networks import Case, config
from safetensors import safe_open
from safetensors.numpy import load_file

import rnnlm
from rnnlm.errors import InputError, ResourceError
from rnnlm.files import log, model_file
from rnnlm.files.model_file import Trained
from rnnlm.interchange.huggingface import export, tokenizer
from rnnlm.language_model import LanguageModel
from rnnlm.network import build
from rnnlm.network.reference.cells import STEPS
from rnnlm.text import tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training.records import FinalTest

# What these packages and what they import warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore")

WORDS = Vocabulary(["</s>", "<unk>", *"abcdefgh", "ü"], range(11), "word", False)
NETWORKS = CELLS | {
    "sigmoid": {"cell": {"type": "elman", "activation": "sigmoid"}},
    "relu": {"cell": {"type": "elman", "activation": "relu"}},
}
SENTENCES = [
    "the dog sees the cat",
    "a bird sings",
    "the cats sleep",
    "every dog that sees a bird barks",
    "cats see dogs",
    "a zebra sings",
    "the dog",
    "dog dog dog dog",
    "the  cat   sees\ta bird",
    "sleep",
]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """transformers, which copies the code of models into a cache of its own and asks no server."""
    pytest.importorskip("torch")
    os.environ.update({"HF_HOME": str(tmp_path_factory.mktemp("hub")), "HF_HUB_OFFLINE": "1"})
    found = pytest.importorskip("transformers")
    found.logging.set_verbosity_error()
    found.logging.disable_progress_bar()
    return found


def trained(model: dict[str, Any], precision: str = "float32", state: str = "carry") -> Trained:
    """A random network of the words above with an initial state."""
    case = Case(config(d=5, precision=precision, model=model, state=state), len(WORDS))
    generator = np.random.default_rng(3)
    dtype = case.network.dtype
    initial = [generator.normal(0, 0.5, cell.state_size).astype(dtype) for cell in case.network.cells]
    path = Path("model.safetensors")
    return Trained(
        case.network.config, WORDS, case.network.named, {"updates": 1, "epoch": 1, "version": "0"}, path,
        initial=initial,
    )  # fmt: skip


def loaded(hub: Any, folder: Path) -> tuple[Any, Any]:
    """The model and the tokenizer, as their users load them (``dtype``: before transformers 5 it was float32)."""
    model = hub.AutoModelForCausalLM.from_pretrained(str(folder), trust_remote_code=True, dtype="auto")
    return model, hub.AutoTokenizer.from_pretrained(str(folder), trust_remote_code=True)


def log_probabilities(model: Any, ids: list[list[int]], **arguments: Any) -> np.ndarray:
    """log y^ of the token after each one, B x T x |V| + 1."""
    torch = importlib.import_module("torch")
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor(ids), **arguments).logits, -1).numpy()


def of_tokens(distributions: np.ndarray, ids: list[int]) -> np.ndarray:
    """log y^ of ids[1:], from those of a row."""
    return distributions[np.arange(len(ids) - 1), ids[1:]]


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden": 6},
        {"hidden": [4, 7, 5]},
        {"hidden": [4, 5], "tie_weights": True},
        {"hidden": [4, 6], "tie_weights": True, "layer_norm": True},
        {"hidden": [4, 6], "output": {"type": "mixture", "softmaxes": 3}},
        {"hidden": [4, 6], "output": {"type": "mixture", "softmaxes": 3}, "tie_weights": True},
    ],
    ids=["one layer", "different sizes", "tied", "projected", "mixture", "tied mixture"],
)
@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())
def test_transformers_gives_the_same_probabilities(
    hub: Any, tmp_path: Path, model: dict[str, Any], sizes: dict[str, Any]
) -> None:
    network = trained(model | sizes)
    export.export(network, tmp_path)
    ours, (theirs, _) = LanguageModel(network), loaded(hub, tmp_path)
    text = "a b ü zebra c c h e"
    found = log_probabilities(theirs, [[0, 2, 3, 10, 1, 4, 4, 9, 6]])[0]
    for end in range(9):
        prefix = " ".join(text.split()[:end])
        wanted = {token.token: token.log_probability for token in ours.next(prefix)}
        np.testing.assert_allclose(found[end, :-1], [wanted[token] for token in WORDS.tokens], rtol=0, atol=1e-5)
    assert (found[:, -1] < -1e8).all(), "the token that pads"


@pytest.mark.parametrize(
    "sizes",
    [
        {"hidden": [4, 7]},
        {"hidden": [4, 6], "tie_weights": True, "layer_norm": True},
        {"hidden": [4, 6], "output": "sampled"},
    ],
    ids=["untied", "tied", "sampled"],
)
@pytest.mark.parametrize("model", NETWORKS.values(), ids=NETWORKS.keys())
def test_the_tensors_are_the_network(tmp_path: Path, model: dict[str, Any], sizes: dict[str, Any]) -> None:
    """By the equations of each cell's reference and a few lines of NumPy, with nothing but the folder's files."""
    network = trained(model | sizes)
    export.export(network, tmp_path)
    tensors = {name: value.astype(float) for name, value in load_file(tmp_path / "model.safetensors").items()}
    settings = json.loads((tmp_path / "config.json").read_text())
    table, ids = tensors["model.embedding.weight"], [0, 2, 10, 1, 0]
    x = table[ids[:-1]]
    for layer, cell in enumerate(build.cells(network.config)):
        p = {name: tensors[f"model.cells.{layer}.{name}"] for name in settings["cell_shapes"][layer]}
        state, h = p["initial"][None], []
        for e in x:
            state = STEPS[type(cell)](cell, p, state, e[None])
            h.append(state[0, : settings["hidden_sizes"][layer]])
        x = np.array(h)
        if settings["layer_norm"]:
            x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
            x = x * tensors[f"model.norms.{layer}.weight"] + tensors[f"model.norms.{layer}.bias"]
    x = x @ tensors["output.P"] if "output.P" in tensors else x
    z2 = x @ (table.T if settings["tied_embeddings"] else tensors["output.U"]) + tensors["output.b2"]
    found = z2 - np.log(np.exp(z2).sum(1, keepdims=True))
    wanted = [score.log_probability for score in LanguageModel(network).surprisal("a ü zebra\n", "reset")]
    np.testing.assert_allclose(of_tokens(found, ids), wanted, rtol=0, atol=1e-5)


def test_a_float64_network_stays_one(hub: Any, tmp_path: Path) -> None:
    network = trained({"cell": "lstm"}, "float64")
    export.export(network, tmp_path)
    theirs, _ = loaded(hub, tmp_path)
    found = of_tokens(log_probabilities(theirs, [[0, 2, 3, 0]])[0], [0, 2, 3, 0])
    wanted = [score.log_probability for score in LanguageModel(network).surprisal("a b\n", "reset")]
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("state", ["carry", "reset"])
def test_lines_of_a_text_go_on_or_begin_anew(hub: Any, tmp_path: Path, state: str) -> None:
    network = trained({"cell": "gru", "layers": 2}, state=state)
    export.export(network, tmp_path)
    theirs, words = loaded(hub, tmp_path)
    text = "a b c\n\nd e\r\nzebra\n"
    ids = words(words.bos_token + text).input_ids
    wanted = [score.log_probability for score in LanguageModel(network).surprisal(text)]
    np.testing.assert_allclose(of_tokens(log_probabilities(theirs, [ids])[0], ids), wanted, rtol=0, atol=1e-5)


def test_padding_on_either_side_changes_nothing(hub: Any, tmp_path: Path) -> None:
    torch = importlib.import_module("torch")
    export.export(trained({"cell": "lstm", "layers": 2}, state="reset"), tmp_path)
    theirs, words = loaded(hub, tmp_path)
    lines = ["a b c d", "</s>e", "f g"]
    for side in ("left", "right"):
        batch = words(lines, padding=True, return_tensors="pt", padding_side=side)
        for mask in ({"attention_mask": batch.attention_mask}, {}):
            found = log_probabilities(theirs, batch.input_ids.tolist(), **mask)
            for row, line in enumerate(lines):
                alone = log_probabilities(theirs, [words(line).input_ids])[0]
                read = batch.attention_mask[row].bool().numpy()
                np.testing.assert_allclose(found[row][read], alone, rtol=0, atol=1e-6)
    assert torch.equal(batch.input_ids[1], torch.tensor([0, 6, 11, 11]))


def test_a_text_without_the_line_end_before_it_is_read_as_if_it_were_there(hub: Any, tmp_path: Path) -> None:
    export.export(trained({"cell": "gru"}), tmp_path)
    theirs, _ = loaded(hub, tmp_path)
    with_it, without = (log_probabilities(theirs, [ids])[0] for ids in ([0, 2, 3], [2, 3]))
    np.testing.assert_allclose(with_it[1:], without, rtol=0, atol=1e-6)


def test_a_text_may_be_read_in_parts(hub: Any, tmp_path: Path) -> None:
    torch = importlib.import_module("torch")
    export.export(trained({"cell": {"type": "scrn", "context": 2}}), tmp_path)
    theirs, _ = loaded(hub, tmp_path)
    whole = theirs(torch.tensor([[0, 2, 3, 4]]), output_hidden_states=True)
    part = theirs(torch.tensor([[0, 2]]))
    listed = theirs(torch.tensor([[0, 2]]), return_dict=False)
    assert torch.equal(listed[0], part["logits"])
    base = hub.AutoModel.from_pretrained(str(tmp_path), trust_remote_code=True)
    assert torch.equal(base(torch.tensor([[0, 2]])).last_hidden_state, part.last_hidden_state)
    rest = theirs(torch.tensor([[3, 4]]), state=part.state)
    assert torch.allclose(whole.logits[:, 2:], rest.logits, atol=1e-6)
    assert [value.shape for value in whole.hidden_states] == [(1, 4, 5), (1, 4, 6)]
    labels = torch.tensor([[-100, -100, 3, 4]])
    loss = theirs(torch.tensor([[0, 2, 3, 4]]), labels=labels).loss.item()
    own = of_tokens(torch.log_softmax(whole.logits, -1)[0].detach().numpy(), [0, 2, 3, 4])
    assert loss == pytest.approx(-own[1:].mean(), abs=1e-6)


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_generation_is_greedy_as_ours(hub: Any, tmp_path: Path, runs: dict[str, Path], unit: str) -> None:
    ours = rnnlm.load(runs[unit])
    export.export(ours.trained, tmp_path)
    theirs, words = loaded(hub, tmp_path)
    ids = words(words.bos_token + "the dog", return_tensors="pt")
    made = theirs.generate(**ids, max_new_tokens=12, do_sample=False, eos_token_id=-1, suppress_tokens=_unknown(ours))
    text = words.decode(made[0, 1:]).replace(" </s> ", "\n").removesuffix(" </s>")
    assert text.strip() == ours.sample("the dog", 12, top_k=1, unk=False).strip()


def test_a_beam_of_all_texts_finds_the_best_one(hub: Any, tmp_path: Path) -> None:
    """Of 4 tokens that may be drawn there are 64 texts of 3, and a beam of 16 keeps all that begin them."""
    network = trained({"cell": "lstm", "hidden": 12})
    export.export(network, tmp_path)
    theirs, _ = loaded(hub, tmp_path)
    allowed = [3, 4, 5, 6]
    others = [i for i in range(12) if i not in allowed]
    torch = importlib.import_module("torch")
    made = theirs.generate(
        torch.tensor([[0, 2]]), max_new_tokens=3, num_beams=16, do_sample=False, suppress_tokens=others,
        eos_token_id=-1, length_penalty=0.0,
    )  # fmt: skip
    scores = {}
    for continuation in itertools.product(allowed, repeat=3):
        ids = [0, 2, *continuation]
        found = log_probabilities(theirs, [ids])[0]
        found[:, others] = -np.inf
        scores[continuation] = of_tokens(found, ids)[1:].sum()
    assert tuple(made[0, 2:].tolist()) == max(scores, key=lambda continuation: scores[continuation])


def _unknown(model: LanguageModel) -> list[int] | None:
    return None if model.vocabulary.unk is None else [model.vocabulary.unk]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_minicons_gives_our_surprisals(hub: Any, tmp_path: Path, runs: dict[str, Path], unit: str) -> None:
    scorer = pytest.importorskip("minicons.scorer")
    ours = rnnlm.load(runs[unit])
    export.export(ours.trained, tmp_path)
    theirs = scorer.IncrementalLMScorer(str(tmp_path), "cpu", trust_remote_code=True)
    both = {"bos_token": True, "eos_token": True}
    found = theirs.token_score(SENTENCES, surprisal=True, base_two=True, **both)
    sums = theirs.sequence_score(SENTENCES, reduction=lambda scores: scores.sum().item(), **both)
    for line, scores, total in zip(SENTENCES, found, sums, strict=True):
        wanted = [score.surprisal for score in ours.surprisal(f"{line}\n", "reset")]
        np.testing.assert_allclose([score for _, score in scores[1:]], wanted, rtol=0, atol=1e-4)
        assert total == pytest.approx(ours.score([line])[0].log_probability, abs=1e-4)


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_surprisal_gives_our_surprisals(
    hub: Any, tmp_path: Path, runs: dict[str, Path], unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    surprisal = pytest.importorskip("surprisal.model")
    # It does not hand its trust on to the tokenizer, so that transformers asks on the terminal.
    monkeypatch.setattr("builtins.input", lambda question: "y")
    ours = rnnlm.load(runs[unit])
    export.export(ours.trained, tmp_path)
    theirs = surprisal.CausalHuggingFaceModel(str(tmp_path), trust_remote_code=True)
    theirs.tokenizer.pad_token = tokenizer.padding(ours.vocabulary)
    for line, found in zip(SENTENCES, theirs.surprise(SENTENCES), strict=True):
        wanted = [score.surprisal for score in ours.surprisal(f"{line}\n", "reset")][:-1]
        bits = np.array(found.surprisals[: len(wanted)], float) / np.log(2)
        np.testing.assert_allclose(bits, wanted, rtol=0, atol=1e-4)


# A sentence, and the end of it that is asked for.
COMPLETIONS = [(line, line) for line in SENTENCES if " " in line] + [
    ("the dog sees the cat", "the cat"),
    ("every dog that sees a bird barks", "barks"),
    ("a zebra sings", " sings"),
]


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_completions_are_scored_as_babylm_s_pipeline_does(
    hub: Any, tmp_path: Path, runs: dict[str, Path], unit: str
) -> None:
    """What its ``--backend causal`` asks of a folder: AutoProcessor, offsets, one batch padded on the right, and the
    sum over the tokens whose characters are the completion's. The first token of a sentence has no prediction."""
    torch = importlib.import_module("torch")
    ours = rnnlm.load(runs[unit])
    export.export(ours.trained, tmp_path)
    theirs, _ = loaded(hub, tmp_path)
    processor = hub.AutoProcessor.from_pretrained(str(tmp_path), padding_side="right", trust_remote_code=True)
    ids, masks, asked = [], [], []
    for sentence, completion in COMPLETIONS:
        made = processor(text=sentence, return_offsets_mapping=True)
        ids.append(torch.tensor(made["input_ids"]))
        masks.append(torch.tensor(made["attention_mask"]))
        asked.append(torch.tensor([end > len(sentence) - len(completion) for _, end in made["offset_mapping"]]))
    pad = torch.nn.utils.rnn.pad_sequence
    x, mask, phrase = pad(ids, True, processor.pad_token_id), pad(masks, True), pad(asked, True)
    found = log_probabilities(theirs, x[:, :-1].tolist(), attention_mask=mask[:, :-1])
    sums = np.where(phrase[:, 1:], np.take_along_axis(found, x[:, 1:, None].numpy(), 2)[..., 0], 0).sum(1)
    for (sentence, completion), total in zip(COMPLETIONS, sums, strict=True):
        scores = ours.surprisal(f"{sentence}\n", "reset")[:-1]
        last = len(tokenizers.split(completion, unit, False))
        wanted = sum(score.log_probability for score in scores[1:][-last:])
        assert total == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_evaluation_harness_gives_our_scores(hub: Any, tmp_path: Path, runs: dict[str, Path], unit: str) -> None:
    """lm-eval's own model of transformers on the folder: whole sentences, and continuations of a context."""
    models, instances = (pytest.importorskip(f"lm_eval.{name}") for name in ("models.huggingface", "api.instance"))
    ours = rnnlm.load(runs[unit])
    export.export(ours.trained, tmp_path)
    theirs = models.HFLM(str(tmp_path), trust_remote_code=True, device="cpu", batch_size=4)
    pairs = [("", line) for line in SENTENCES] + [("the dog", " sees the cat"), ("every dog that", " sees a bird")]
    requests = [instances.Instance("loglikelihood", {}, pair, i) for i, pair in enumerate(pairs)]
    for (context, continuation), (found, _) in zip(pairs, theirs.loglikelihood(requests), strict=True):
        whole = ours.score([context + continuation], line_end=False)[0].log_probability
        before = ours.score([context], line_end=False)[0].log_probability if context else 0
        assert found == pytest.approx(whole - before, abs=1e-4)


HARD = [
    "",
    "the dog sees",
    "  the\t\tdog\u00a0sees \u2003 é\x1f!\x85x ",
    "the dog\r\nsees\n\n\nthe\n",
    "The DOG ÉLAN ΣΑΣ ΣΑΣ. İstanbul",
    "<unk> <unk>dog dog<unk>dog </s <pad>",
    "\u200b\ufeff𝔘 e\u0301 ﷺ ü",
    "a" * 300,
]


@pytest.mark.parametrize("lowercase", [False, True])
@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_tokenizer_gives_our_ids(unit: str, lowercase: bool, tmp_path: Path) -> None:
    library = pytest.importorskip("tokenizers")
    known = tokenizers.split("the dog sees σας é <unk>\n", unit, lowercase)
    tokens = [*dict.fromkeys([*known, tokenizers.line_end(unit), "<unk>"])]
    if unit == "byte":
        tokens = [chr(i) for i in random.Random(1).sample(range(256), 256)]
    vocabulary = Vocabulary(tokens, range(len(tokens)), unit, lowercase)
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer.tokenizer(vocabulary)), encoding="utf-8")
    found = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert found.get_vocab_size() == len(vocabulary) + 1
    assert found.token_to_id(tokenizer.padding(vocabulary)) == len(vocabulary)
    for text in HARD:
        wanted = vocabulary.to_unk(vocabulary.encode(tokenizers.split(text, unit, lowercase)))
        assert found.encode(text).ids == wanted.tolist(), text
    if unit != "word":
        text = "the dog\nsees"
        assert found.decode(found.encode(text).ids, skip_special_tokens=False) == text


def test_the_token_that_pads_is_none_of_the_vocabulary() -> None:
    words = Vocabulary(["</s>", "<unk>", "<|pad|>"], range(3), "word", False)
    assert tokenizer.padding(words) not in words


def test_the_folder(tmp_path: Path, call: Any, runs: dict[str, Path]) -> None:
    folder = tmp_path / "made" / "hf"
    status, out, err = call("export", runs["word"], "--to", "hf", "-o", folder)
    assert (status, err) == (0, "")
    assert "config.json" in out
    assert sorted(path.name for path in folder.iterdir()) == sorted(export.FILES)
    found = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    ours = rnnlm.load(runs["word"])
    count, end = len(ours.vocabulary), ours.vocabulary.line_end
    ids = {"bos_token_id": end, "eos_token_id": end, "pad_token_id": count}
    assert found["generation_config.json"] == ids
    assert found["config.json"] | ids == found["config.json"]
    assert (found["config.json"]["vocab_size"], found["config.json"]["hidden_sizes"]) == (count + 1, [16])
    assert (folder / "modeling_rnnlm.py").read_text() == Path(str(export.__file__)).with_name(
        "modeling_rnnlm.py"
    ).read_text()
    with safe_open(folder / "model.safetensors", "numpy") as file:
        assert file.metadata() == {"format": "pt"}
        np.testing.assert_array_equal(file.get_tensor("output.U")[:, :-1], ours.parameters["output.U"])
        np.testing.assert_array_equal(file.get_tensor("model.cells.0.H"), ours.parameters["cell.0.H"])
        np.testing.assert_array_equal(file.get_tensor("model.cells.0.initial"), ours.trained.initial[0])
        assert file.get_tensor("output.b2")[-1] == -1e9


def test_the_model_card_says_what_the_perplexity_stands_on(tmp_path: Path, runs: dict[str, Path]) -> None:
    shutil.copytree(runs["word"], tmp_path / "run")
    ours = rnnlm.load(tmp_path / "run")
    test = ours.evaluate(path=ours.config.data.test)
    record = FinalTest(9, 4, 1, 1.0, 0.5, test.perplexity, test.tokens, test.unknown)
    log.append(tmp_path / "run", record)
    export.export(ours.trained, tmp_path / "hf")
    card = (tmp_path / "hf" / "README.md").read_text()
    counts = f"({test.tokens:,} tokens, {test.unknown:,} of them out of vocabulary)"
    assert f"- test text: {test.perplexity:,.2f} {counts}" in card
    assert f"- validation text: {ours.trained.training['best_validation_perplexity']:,.2f}, the best" in card
    assert f"SHA-256 of the test text: `{ours.trained.texts['test']}`" in card
    assert "goes on over line ends" in card

    shutil.copy(runs["word"] / "model.safetensors", tmp_path / "alone.safetensors")
    alone = model_file.load(tmp_path / "alone.safetensors")
    export.export(replace(alone, training={"updates": 0, "epoch": 1, "version": "0"}), tmp_path / "alone")
    card = (tmp_path / "alone" / "README.md").read_text()
    assert "Not measured: there was no validation text." in card
    assert "test text:" not in card
    assert "0 updates, 1 epoch." in card


def test_folders_that_nothing_is_written_to(tmp_path: Path, call: Any, runs: dict[str, Path]) -> None:
    run, full, file, other = (tmp_path / name for name in ("run", "full", "file", "other"))
    shutil.copytree(runs["word"], run)
    shutil.copytree(runs["char"], other)
    full.mkdir()
    (full / "README.md").write_text("mine")
    file.write_text("mine")
    (tmp_path / "twisted" / "config.json").mkdir(parents=True)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    for folder, flags, message in (
        (run, ["--force"], "this command reads model.safetensors there; give another folder"),
        (other, ["--force"], "is the folder of a run, whose model would be written over; give another folder"),
        (full, [], "is there already and has files; --force replaces those of the same names"),
        (file, ["--force"], "is no folder, and one is written; give another name"),
        (tmp_path / "twisted", ["--force"], "config.json: cannot be written: it is a folder"),
        (file / "below", [], "cannot be written"),
    ):
        status, out, err = call("export", run, "--to", "hf", "-o", folder, *flags)
        assert (status in (1, 2), out) == (True, ""), message
        assert len(err.splitlines()) == 1
        assert message in err
        assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert call("export", run, "--to", "hf", "-o", full, "--force")[0] == 0
    assert (full / "README.md").read_text() != "mine"


def test_what_has_no_code_and_what_breaks_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = trained({"cell": "gru"})
    with monkeypatch.context() as patch:
        patch.setattr(export, "_CELLS", ("elman", "lstm"))
        with pytest.raises(InputError, match="hf has no code for the cell gru; it has it for elman, lstm$"):
            export.export(network, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(export, "_OUTPUTS", ("mixture",))
        with pytest.raises(InputError, match="hf has no code for the output layer softmax; it has it for mixture$"):
            export.export(network, tmp_path)
    assert not list(tmp_path.iterdir())
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(ResourceError, match="cannot be written"):
        export.export(network, tmp_path)
    assert not (tmp_path / "config.json").exists(), "transformers loads nothing without it"
