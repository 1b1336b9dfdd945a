"""Every output layer in a whole network: gradients, token by token, files, training, and who refuses it."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import WAYS, take_way
from networks import Case, checked, config
from small import settings as small_settings
from small import write_texts

from rnnlm import api
from rnnlm.config import file as config_file
from rnnlm.config.network import Adaptive as AdaptiveSection
from rnnlm.config.schema import Config
from rnnlm.errors import InputError
from rnnlm.files import model_file
from rnnlm.files import tensors as storage
from rnnlm.gradients.ledger import ledger
from rnnlm.gradients.window import Window
from rnnlm.interchange import pytorch as interchange
from rnnlm.network import build
from rnnlm.network.decoder import Decoder
from rnnlm.network.outputs import OUTPUTS, Adaptive, Classes, Hierarchical, Sampled
from rnnlm.network.outputs.classes import words
from rnnlm.network.outputs.hierarchical import paths
from rnnlm.network.outputs.mixture import heads, responsibilities
from rnnlm.network.protocols import Draw
from rnnlm.network.reference import outputs as plain_outputs
from rnnlm.network.reference import outputs_backward
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.training import loop as training
from rnnlm.training import memory
from rnnlm.training.records import Updates
from rnnlm.work import run_to_end

# The embedding has 5 numbers and the layers 6 units, unless `hidden` says 5.
LAYERS: dict[str, dict[str, Any]] = {
    "softmax, tied": {"tie_weights": True, "hidden": 5},
    "softmax, tied and projected": {"tie_weights": True},
    "softmax, variance": {"output": {"type": "softmax", "variance_regularization": 0.7}},
    "softmax, tied, variance": {"output": {"type": "softmax", "variance_regularization": 0.7}, "tie_weights": True},
    "direct": {"output": {"type": "direct", "order": 4, "size": 50}},
    "direct, tied": {"output": {"type": "direct", "size": 3000}, "tie_weights": True, "hidden": 5},
    "direct, tied and projected": {"output": {"type": "direct", "order": 2, "size": 700}, "tie_weights": True},
    "adaptive": {"output": {"type": "adaptive", "cutoffs": [3, 6], "factor": 2.0}},
    "adaptive, cutoffs chosen": {"output": "adaptive"},
    "adaptive, tied": {
        "output": {"type": "adaptive", "cutoffs": [3, 6], "factor": 2.0},
        "tie_weights": True,
        "hidden": 5,
    },
    "adaptive, clusters tied": {
        "output": {"type": "adaptive", "cutoffs": [3, 6], "factor": 1.0},
        "tie_weights": True,
        "hidden": 5,
    },
    "adaptive, tied and projected": {
        "output": {"type": "adaptive", "cutoffs": [3, 6], "factor": 1.2},
        "tie_weights": True,
    },
    "classes": {"output": {"type": "classes", "classes": 4}},
    "classes by exchange": {"output": {"type": "classes", "by": "exchange"}},
    "hierarchical": {"output": "hierarchical"},
    "mixture": {"output": {"type": "mixture", "softmaxes": 4}},
    "mixture of one": {"output": {"type": "mixture", "softmaxes": 1}},
    "mixture, tied": {"output": {"type": "mixture", "softmaxes": 4}, "tie_weights": True, "hidden": 5},
    "mixture, tied to another size": {"output": {"type": "mixture", "softmaxes": 4}, "tie_weights": True},
    "sampled": {"output": {"type": "sampled", "samples": 9}},
    "sampled, direct": {"output": {"type": "sampled", "samples": 9, "direct": {"order": 4, "size": 50}}},
    "sampled, tied": {"output": {"type": "sampled", "samples": 9}, "tie_weights": True},
    "nce": {"output": {"type": "sampled", "objective": "nce", "samples": 9, "noise_power": 0.5}},
    "nce, tied": {"output": {"type": "sampled", "objective": "nce", "samples": 9}, "tie_weights": True, "hidden": 5},
    "nce, tied, direct": {
        "output": {"type": "sampled", "objective": "nce", "samples": 9, "direct": {"order": 2, "size": 900}},
        "tie_weights": True,
    },
    "mixture of one, tied": {"output": {"type": "mixture", "softmaxes": 1}, "tie_weights": True},
}


def softmaxes(layer: dict[str, Any]) -> int:
    output = layer.get("output", {"type": "softmax"})
    if isinstance(output, dict) and output["type"] in ("softmax", "direct"):
        return 1
    return int(output.get("softmaxes", 2)) if isinstance(output, dict) else 2


every_layer = pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS.keys())
NEW = [name for name in LAYERS if name != "softmax, tied"]
every_new_layer = pytest.mark.parametrize("layer", [LAYERS[name] for name in NEW], ids=NEW)


def test_there_are_equations_for_every_layer() -> None:
    assert set(plain_outputs.LOG_Y_HAT) == set(outputs_backward.DJ_DH) == set(OUTPUTS.values())


@every_layer
@pytest.mark.parametrize("vocabulary", [11, 200])
def test_the_backward_reference_is_the_derivative_of_the_forward_one(layer: dict[str, Any], vocabulary: int) -> None:
    case = Case(config(model=layer), vocabulary, steps=6, batch=1)
    network, targets, seen = case.network, case.targets[:, 0], case.forward().seen
    history = None if seen is None else seen[:, 0]
    p, h = network.output_parameters, np.random.default_rng(2).normal(size=(6, network.cells[-1].D_h))
    found = outputs_backward.DJ_DH[type(network.output)](network.output, p, h, targets, history)
    for j in range(h.shape[1]):
        moved = h.astype(complex)
        moved[:, j] += 1e-40j
        log_y_hat = plain_outputs.log_y_hat(network.output, p, moved, history)
        exact = -log_y_hat[np.arange(6), targets].imag / 1e-40
        np.testing.assert_allclose(found[:, j], exact, rtol=1e-11, atol=1e-14)


@every_layer
@pytest.mark.parametrize(("precision", "bound"), [("float64", 1e-12), ("float32", 1e-6)])
def test_the_parts_of_the_ledger_add_up(layer: dict[str, Any], precision: str, bound: float) -> None:
    case = Case(config(layers=2, precision=precision, model=layer), 40, steps=8, batch=1)
    window = Window(case.inputs, case.targets, case.reset, case.states, 5, 0)
    words = tuple(map(str, case.inputs[:, 0])), tuple(map(str, case.targets[:, 0]))
    found = run_to_end(ledger.ledger(case.network, window, words, "text"))
    assert found.surprisal == pytest.approx(
        -case.network.scores(case.forward(), case.targets).log_probability[3:, 0], rel=bound
    )
    for one in found.layers:
        assert {"H", "I", "b1"} <= set(one.agreement)
        assert all(value < bound for value in one.agreement.values()), one.agreement


def test_shapes() -> None:
    def of(layer: dict[str, Any]) -> dict[str, tuple[int, ...]]:
        found = build.shapes(config(model=layer), 9)
        return {name: shape for name, shape in found.items() if name.startswith("output.")}

    assert of(LAYERS["softmax, tied"]) == {"output.b2": (9,)}
    assert of(LAYERS["softmax, tied and projected"]) == {"output.P": (6, 5), "output.b2": (9,)}
    own = {"output.W": (6, 4), "output.b2": (9,)}
    assert of(LAYERS["mixture"]) == own | {"output.P": (6, 24), "output.c": (24,), "output.U": (6, 9)}
    assert of(LAYERS["mixture, tied to another size"]) == own | {"output.P": (6, 20), "output.c": (20,)}


@every_layer
@pytest.mark.parametrize(
    ("vocabulary", "layers", "dropout", "loss_steps"),
    [
        (11, 1, {}, 7),
        (11, 3, {"dropout": 0.3}, 4),
        (600, 1, {"dropout": {"output": 0.4, "words": 0.3}}, 5),
        (600, 3, {}, 1),
    ],
)
def test_gradients(
    layer: dict[str, Any], vocabulary: int, layers: int, dropout: dict[str, float], loss_steps: int
) -> None:
    case = Case(config(layers=layers, threads=1, model={**layer, **dropout}), vocabulary)
    found = checked(case, loss_steps)
    assert found.passed, found.verdict
    assert found.frozen == ()
    assert {one.name for one in found.parameters} == set(case.network.named)
    for one in found.parameters:
        if softmaxes(layer) == 1 and one.name == "output.W":  # one softmax is all there is, whatever W says
            assert one.absolute < 1e-10
            continue
        assert one.relative < 1e-7, one.name
        assert one.complex_step < 1e-12, one.name


@every_new_layer
def test_gradients_with_every_penalty(layer: dict[str, Any]) -> None:
    """Label smoothing is refused for another layer than the softmax."""
    own = layer.get("output", {})
    plain = not own or (isinstance(own, dict) and own["type"] == "softmax")
    smoothing = {"label_smoothing": 0.1} if plain else {}
    penalties: dict[str, float] = {"activation": 2.0, "temporal": 1.0, **smoothing}
    model = {"dropout": {"output": 0.3}, **layer}
    found = checked(Case(config(layers=2, threads=1, model=model, penalties=penalties)), 5)
    assert found.passed, found.verdict
    assert all(one.relative < 1e-7 or one.absolute < 1e-10 for one in found.parameters)


@every_layer
def test_the_gradient_does_not_depend_on_the_number_of_threads(layer: dict[str, Any]) -> None:
    one, two = (
        Case(config(threads=threads, model=layer), 600, steps=20, batch=9).gradients(20) for threads in (1, 2)
    )
    for name, found in two.items():
        np.testing.assert_allclose(found, one[name], rtol=0, atol=1e-13 * np.abs(one[name]).max(), err_msg=name)


@every_layer
def test_a_pickled_network_scores_the_same(layer: dict[str, Any]) -> None:
    """So ranks get it."""
    case = Case(config(threads=1, model=layer))
    copy = Case(pickle.loads(pickle.dumps(case.network)))
    wanted, found = (one.network.scores(one.forward(), one.targets, details=True) for one in (case, copy))
    for column, other in zip(wanted, found, strict=True):
        assert column.tobytes() == other.tobytes()


@every_layer
@pytest.mark.parametrize("way", WAYS)
def test_bfloat16_is_float32_within_the_rounding(
    layer: dict[str, Any], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_way(monkeypatch, way)
    layer = layer | {"hidden": 24 if layer.get("hidden") == 5 else 40}
    cases = [Case(config(d=24, precision=p, model=layer), 600, steps=9) for p in ("bfloat16", "float32")]
    for case in cases:
        for parameter in case.network.named.values():
            parameter *= 0.5  # far from saturated, where small errors grow
    rough, exact = cases
    # The loss of NCE is small beside the logits, which are what is rounded.
    bound = {"abs": 0.01} if "nce" in str(layer) else {"rel": 1e-3}
    assert rough.loss(9, mask=(1, 2)) == pytest.approx(exact.loss(9, mask=(1, 2)), **bound)
    wanted = exact.gradients(9, mask=(1, 2))
    for name, found in rough.gradients(9, mask=(1, 2)).items():
        if (softmaxes(layer) == 1 and name == "output.W") or not wanted[name].any():  # a cluster without a target
            assert not found.any()
            continue
        difference = np.linalg.norm(found - wanted[name])
        assert 0 < difference < 0.02 * np.linalg.norm(wanted[name]), name
    found, exactly = (case.network.scores(case.forward(), case.targets)[0] for case in cases)
    assert (found == exactly).all(), "scores are not rounded"


@every_layer
@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("vocabulary", [11, 1500])
def test_token_by_token_is_a_window(layer: dict[str, Any], precision: str, layers: int, vocabulary: int) -> None:
    case = Case(config(layers=layers, precision=precision, model=layer), vocabulary, steps=6)
    network, close = case.network, {"rtol": 0, "atol": 1e-12 if precision == "float64" else 3e-5}
    decoder = Decoder(network, case.states)
    p = {
        name: value.astype(np.float64) if value.dtype.kind == "f" else value  # tables are integers
        for name, value in network.output_parameters.items()
    }
    for t in range(case.steps):
        decoder.step(case.inputs[t], case.reset[t])
        trace = case.forward(steps=t + 1)
        found = network.log_distribution(trace)
        np.testing.assert_allclose(decoder.log_distribution(), found, **close)
        h = trace.hidden()[-1][0][-1].astype(np.float64)
        seen = None if trace.seen is None else trace.seen[-1]
        wanted = plain_outputs.log_y_hat(network.output, p, h, seen)
        np.testing.assert_allclose(found, wanted, **close)
        np.testing.assert_allclose(np.exp(found).sum(axis=1), 1, rtol=1e-13)
        own = np.take_along_axis(found, case.targets[t][:, None].astype(int), axis=1)[:, 0]
        for details in (False, True):
            np.testing.assert_allclose(network.scores(trace, case.targets[: t + 1], details)[0][t], own, **close)
        chosen = decoder.draw(Draw(0.0, np.zeros(case.batch)))
        assert (found[np.arange(case.batch), chosen] >= found.max(axis=1) - 1e-6).all()
        own = np.empty(case.batch)
        excluded = np.flatnonzero(found[0] > np.median(found[0]))  # which does not change log y^
        chosen = decoder.draw(Draw(1.7, np.linspace(0, 0.99, case.batch), excluded, own))
        assert not np.isin(chosen, excluded).any()
        np.testing.assert_allclose(own, found[np.arange(case.batch), chosen], **close)


@every_layer
def test_a_stream_is_the_same_whatever_the_number_of_streams(layer: dict[str, Any]) -> None:
    case = Case(config(precision="float32", model=layer), vocabulary=600, batch=64)
    many, one = Decoder(case.network, case.states), Decoder(case.network, [state[:1] for state in case.states])
    for t in range(case.steps):
        many.step(case.inputs[t])
        one.step(case.inputs[t, :1])
        assert (many.log_distribution()[0] == one.log_distribution()[0]).all()


def test_draws_have_the_probabilities() -> None:
    case = Case(config(model=LAYERS["mixture"]), vocabulary=11, batch=1)
    decoder = Decoder(case.network, [np.repeat(state, 20_000, axis=0) for state in case.states])
    decoder.step(np.repeat(case.inputs[0], 20_000))
    wanted = np.exp(decoder.log_distribution()[0])
    found = decoder.draw(Draw(1.0, (np.arange(20_000) + 0.5) / 20_000))
    np.testing.assert_allclose(np.bincount(found, minlength=11) / 20_000, wanted, rtol=0, atol=1e-4)


@pytest.fixture(params=NEW)
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Config:
    """A configuration of a small run with this output layer."""
    write_texts(tmp_path)
    made = small_settings(tmp_path, epochs=3, log={"every_updates": 1}, learning_rate=0.01)
    layer = {"hidden": 12, **LAYERS[request.param]}
    values = made.model_dump()
    values["model"] |= layer | {"hidden": 8 if layer["hidden"] == 5 else 12}
    return Config.model_validate(values)


def steps(config: Config, **options: Any) -> Iterator[float]:
    return (record.loss for record in training.train(config, **options) if isinstance(record, Updates))


@pytest.mark.parametrize("run", ["adaptive, cutoffs chosen"], indirect=True)
def test_chosen_cutoffs_are_written_down(run: Config) -> None:
    """And a run goes on with the configuration that leaves the choice open."""
    made = training.train(run)
    for _ in range(9):
        next(made)
    made.close()
    kept = config_file.load(Path(run.run) / "config.yaml")
    trained = model_file.load(run.run)
    assert isinstance(kept.model.output, AdaptiveSection)
    assert kept.model.output.cutoffs == [round(len(trained.vocabulary) ** 0.9)]
    assert trained.config.model == kept.model
    assert list(steps(run, resume=True))


def test_training_lowers_the_loss_and_goes_on_to_the_same_bytes(run: Config) -> None:
    losses = list(steps(run))
    assert np.mean(losses[-5:]) < 0.7 * losses[0]
    parts = run.model_copy(update={"run": run.run + "-parts"})
    remaining = iter(range(7))
    list(steps(parts, stop=lambda: next(remaining, None) == 6))
    list(steps(parts, resume=True))
    for name in ("model.safetensors", "vocab.txt"):
        one, other = (hashlib.sha256((Path(config.run) / name).read_bytes()).digest() for config in (run, parts))
        assert one == other, name
    trained = model_file.load(run.run)
    assert set(trained.parameters) == set(build.shapes(run, len(trained.vocabulary)))


def test_commands_of_a_trained_network(run: Config, tmp_path: Path, call: Any) -> None:
    list(steps(run))
    text = tmp_path / "test.txt"
    loaded = api.load(run.run)
    assert loaded.perplexity(text.read_text()) < len(loaded.vocabulary) / 2
    surprisal = sum(one.surprisal for one in loaded.surprisal(text.read_text()))
    found = loaded.evaluate(path=text)
    assert found.bits_per_token * found.tokens == pytest.approx(surprisal, rel=1e-5)
    assert loaded.sample(tokens=5, top_k=3)
    status, out, _ = call("gradcheck", run.run, "--steps", 4, "--json")
    assert status == 0
    assert json.loads(out)["passed"]
    status, out, _ = call("inspect", run.run)
    assert status == 0
    for name in (name for name in loaded.parameters if name.startswith("output.")):
        assert name in out
    status, out, _ = call("gradients", run.run, text, "--steps", 4, "--json")
    assert status == 0
    assert all(value < 1e-5 for layer in json.loads(out)["layers"] for value in layer["agreement"].values())
    status, out, err = call("derive", run.run, text)
    if loaded.config.model.output.type == "softmax" and not loaded.config.model.tie_weights:
        assert status == 0
        return  # derive takes it, and so does PyTorch
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert "derive: takes plain Elman networks, GRUs and LSTMs apart; this model's " in err
    names = ("mixture", "adaptive", "classes", "direct", "hierarchical", "sampled", "projection")
    assert any(name in err for name in names)
    output, path = loaded.config.model.output, tmp_path / "out.safetensors"
    if output.type == "sampled" and output.direct is None and "output.P" not in loaded.parameters:
        assert "output.weight" in interchange.export(loaded.trained, path)
        return  # a full softmax
    refused = "PyTorch has no module for this model: (output: [a-z]+|a projection)|no export holds direct n-gram"
    with pytest.raises(InputError, match=refused):
        interchange.export(loaded.trained, path)


def test_a_table_of_another_size_is_no_output_layer(tmp_path: Path) -> None:
    """PyTorch's weights without an output layer, which had to be the table."""
    case = Case(config(d=5, hidden=6, precision="float32", model={"cell": "lstm"}))
    tensors = interchange.to_pytorch(case.network.config, case.network.named)
    del tensors["output.weight"]
    storage.write_tensors(
        tmp_path / "torch.safetensors", {k: np.ascontiguousarray(v) for k, v in tensors.items()}, {}
    )
    words = Vocabulary(["</s>", "<unk>", *"abcdefghi"], range(11), "word", False)
    with pytest.raises(
        InputError, match="the embedding .5 numbers a token. cannot stand for it: the last layer gives 6"
    ):
        interchange.import_(tmp_path / "torch.safetensors", words, "word")


@every_layer
def test_what_it_takes(layer: dict[str, Any]) -> None:
    settings = config(d=50, model=layer | {"hidden": 50 if layer.get("hidden") == 5 else 60}, batch=20)
    needs = memory.needs(settings, 3000, 10_000, 2)
    assert needs.parameters == sum(int(np.prod(shape)) for shape in build.shapes(settings, 3000).values())
    output = build.output(settings, 3000)
    plain = settings.model.sizes[-1] if not settings.model.tie_weights else 50
    count = softmaxes(layer)
    weights = 8 * needs.parameters
    assert needs.training_bytes > 2 * weights
    if isinstance(output, Adaptive | Classes | Hierarchical | Sampled):  # see the tests of each
        return
    assert 1 <= output.multiplications() / (count * plain * 3000) < 1.03
    assert needs.training_bytes > 2 * weights + min(count * 700 * 3000 * 8, 96 << 20)


def test_a_wrong_gradient_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = heads.backward

    def broken(parameters: Any, gradients: Any, *rest: Any) -> None:
        real(parameters, gradients, *rest)
        gradients["W"] *= -1

    monkeypatch.setattr(heads, "backward", broken)
    found = checked(Case(config(model=LAYERS["mixture"])), 5)
    assert "output.W: look at dJ/dW = h(t)' (pi(t) - r(t)) (the opposite" in found.verdict


@pytest.mark.parametrize(
    ("output", "module", "line"),
    [("classes", words, "dJ/dW_w = delta2_w(t) h(t)"), ("hierarchical", paths, "dJ/dW_n = dJ(t)/dz_n h(t)")],
)
def test_a_wrong_gradient_by_rows_is_named(
    output: str, module: Any, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.backward

    def broken(*given: Any) -> Any:
        J, (tokens, dW) = real(*given)
        return J, (tokens, 2 * dW)

    monkeypatch.setattr(module, "backward", broken)
    found = checked(Case(config(model={"output": output})), 5)
    assert f"output.W: look at {line} (the right direction, 2 times" in found.verdict


def test_a_wrong_responsibility_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = responsibilities.backward

    def broken(log_pi: Any, log_q: Any, scale: float, weights: Any, d_prior: Any) -> float:
        loss: float = real(log_pi, log_q, scale, weights, d_prior)
        weights *= 2
        d_prior *= 2
        return loss

    monkeypatch.setattr(responsibilities, "backward", broken)
    found = checked(Case(config(model=LAYERS["mixture"])), 5)
    assert "look at dJ/dz_k(t) = r_k(t) (q_k(t) - y(t)) (the right direction, 2 times" in found.verdict
