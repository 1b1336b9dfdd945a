"""gradcheck, gradients and derive as a person calls them."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from every_cell import every_cell

from rnnlm import api
from rnnlm.config import file as config_file
from rnnlm.files import model_file
from rnnlm.network import build
from rnnlm.network.cells import recurrence
from rnnlm.network.parameters import flatten
from rnnlm.text.vocabulary import Vocabulary

Call = Any


@pytest.fixture
def text(runs: dict[str, Path]) -> Path:
    return runs["word"].parent / "test.txt"


# -- gradcheck
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_gradcheck_of_a_model(unit: str, runs: dict[str, Path], call: Call) -> None:
    status, out, err = call("gradcheck", runs[unit])
    assert status == 0, err
    assert "passed: every gradient is the derivative of the loss" in out
    for name in ("embedding.table", "cell.0.I", "cell.0.H", "cell.0.b1", "output.U", "output.b2"):
        assert name in out


def test_gradcheck_of_a_configuration(config: Path, call: Call) -> None:
    status, out, _ = call(
        "gradcheck", config, "--set", "model.cell.activation=sigmoid", "--set", "model.layers=2", "--json"
    )
    assert status == 0
    found = json.loads(out)
    assert found["passed"]
    assert {one["name"] for one in found["parameters"]} >= {"cell.0.H", "cell.1.H"}
    assert found["steps"] == 8
    assert found["loss"] == pytest.approx(found["plain_loss"], rel=1e-12)


def test_gradcheck_draws_no_vectors(config: Path, call: Call) -> None:
    """skipgram takes long, and the table's numbers change no derivative."""
    status, _, err = call("gradcheck", config, "--set", "embedding.init=skipgram")
    assert status == 0
    assert "skipgram takes long" in err


def test_gradcheck_through_all_reports_the_bias(runs: dict[str, Path], call: Call) -> None:
    status, out, _ = call("gradcheck", runs["word"], "--through", "all", "--steps", 3, "--at", 9, "--json")
    assert status == 0
    found = json.loads(out)
    assert found["through"] == 9
    bias = {one["name"]: one for one in found["bias"]}
    assert bias["output.U"]["cosine"] == pytest.approx(1)
    assert bias["cell.0.H"]["difference"] > 0
    assert {one["name"] for one in found["untruncated"]} == set(bias)
    _, out, _ = call("gradcheck", runs["word"], "--through", 2, "--steps", 3)
    assert "truncation bias" in out


def test_gradcheck_fails_with_status_1_and_names_the_parameter(
    runs: dict[str, Path], call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recurrence._weights_back

    def broken(*arguments: Any) -> None:
        real(*arguments)
        arguments[6].dH[...] *= -1

    monkeypatch.setattr(recurrence, "_weights_back", broken)
    status, out, _ = call("gradcheck", runs["word"])
    assert status == 1
    assert "FAILED: first wrong on the way back: cell.0.H: look at dJ/dH = h(t-1)' delta1(t)" in " ".join(out.split())
    status, out, _ = call("gradcheck", runs["word"], "--json")
    assert status == 1
    assert [one["name"] for one in json.loads(out)["parameters"] if not one["passed"]] == ["cell.0.H"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--through", "some"], "'--through': 'some' is neither all nor a number"),
        (["--through", "0"], "'--through': '0' is neither"),
        (["--through", "all", "--at", "0"], "no step stands before the window"),
        (["--set", "model.hidden=3"], "--set goes with a CONFIG"),
        (["--at", "100000"], "tokens in each of its 2 streams; the window wants 8 after the first 100000"),
        (["no-such-text.txt"], "no-such-text.txt"),
    ],
)
def test_gradcheck_refuses(arguments: list[str], message: str, runs: dict[str, Path], call: Call) -> None:
    status, out, err = call("gradcheck", runs["word"], *arguments)
    assert status == 2
    assert message in err
    assert out == ""
    assert err.count("\n") == 1


# -- gradients
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["word", "char", "byte"])
def test_the_ledger_in_the_terminal(unit: str, runs: dict[str, Path], text: Path, call: Call) -> None:
    status, out, err = call("gradients", runs[unit], text, "--at", 3)
    assert status == 0, err
    assert "tokens 4 to 11: 8 steps, the last 8 with a loss" in out
    assert "keeps 99% of this gradient's norm" in out
    assert "all parts added up are the training kernels' gradient to" in out
    assert out.count("nats") == 1


def test_the_ledgers_words_are_the_texts(runs: dict[str, Path], call: Call, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("the dog sees the cat\na zebra sings\ncats see dogs\n")
    _, out, _ = call("gradients", runs["word"], path, "--json")
    found = json.loads(out)
    assert found["targets"] == ["the", "dog", "sees", "the", "cat", "</s>", "a", "<unk:zebra>"]
    assert found["inputs"] == ["</s>", *found["targets"][:-1]]
    _, out, _ = call("gradients", runs["char"], path, "--at", 4, "--json")
    assert json.loads(out)["targets"] == list("dog␣sees")
    _, out, _ = call("gradients", runs["char"], path, "--at", 19, "--steps", 3, "--json")
    assert json.loads(out)["targets"] == ["t", "\\n", "a"]


def test_the_ledgers_surprisal_is_that_of_eval(runs: dict[str, Path], text: Path, call: Call) -> None:
    _, out, _ = call("gradients", runs["word"], text, "--at", 11, "--json")
    scores = api.load(runs["word"], initial_state="zero").surprisal(text.read_text())[11:19]
    found = json.loads(out)
    assert found["targets"] == [one.token for one in scores]
    assert found["surprisal_nats"] == pytest.approx([one.surprisal * math.log(2) for one in scores], abs=1e-6)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_the_parts_of_a_trained_model_add_up(precision: str, runs: dict[str, Path], text: Path, call: Call) -> None:
    _, out, _ = call("gradients", runs["word"], text, "--precision", precision, "--json")
    bound = 1e-6 if precision == "float32" else 1e-12
    assert all(value < bound for layer in json.loads(out)["layers"] for value in layer["agreement"].values())


def test_the_ledger_says_when_the_kernels_disagree(
    runs: dict[str, Path], text: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recurrence._weights_back

    def broken(*arguments: Any) -> None:
        real(*arguments)
        arguments[6].dH[...] *= 1.001

    _, out, _ = call("gradients", runs["word"], text)
    assert "more than rounding explains" not in out
    monkeypatch.setattr(recurrence, "_weights_back", broken)
    _, out, _ = call("gradients", runs["word"], text)
    assert "more than rounding explains" in out


def test_the_table_has_every_part(runs: dict[str, Path], text: Path, call: Call, tmp_path: Path) -> None:
    path = tmp_path / "parts.tsv"
    _, out, _ = call("gradients", runs["word"], text, "--steps", 6, "--losses", 2, "--tsv", path, "--json")
    lines = path.read_text().splitlines()
    columns = lines[0].split("\t")
    assert columns == [
        "position", "target", "surprisal_nats", "layer", "lag", "input", "norm_H", "share_H", "cosine_H", "norm_I",
        "share_I", "cosine_I", "norm_b1", "share_b1", "cosine_b1", "norm_e", "share_e", "cosine_e", "jacobian_norm",
    ]  # fmt: skip
    rows = [dict(zip(columns, line.split("\t"), strict=True)) for line in lines[1:]]
    assert [(row["position"], row["lag"]) for row in rows] == [
        *(("5", str(lag)) for lag in range(5)), *(("6", str(lag)) for lag in range(6)),
    ]  # fmt: skip
    assert sum(float(row["share_H"]) for row in rows) == pytest.approx(1, abs=1e-4)
    found = json.loads(out)
    assert float(rows[0]["norm_b1"]) == pytest.approx(found["layers"][0]["norm"]["b1"][0][0], rel=1e-5)
    assert rows[2]["input"] == found["inputs"][2]


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        ("the dog\n", [], "3 tokens; the window wants 8; lower --steps"),
        ("the dog sees\n", ["--steps", "4", "--at", "1"], "the window wants 4 after the first 1"),
        ("qq ww ee rr tt yy uu ii oo pp " * 10 + "\n", [], "of its tokens are not in the vocabulary"),
        ("", [], "empty"),
        (
            "the dog sees the cat\na bird\n",
            ["--losses", "9"],
            "--losses: found 9; must be at most the window's steps (8)",
        ),
        ("the dog sees the cat\na bird\n", ["--precision", "float16"], "'--precision': 'float16' is not one of"),
    ],
)
def test_gradients_refuses(
    text: str, arguments: list[str], message: str, runs: dict[str, Path], call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "text.txt"
    path.write_text(text)
    status, out, err = call("gradients", runs["word"], path, *arguments, "--html", tmp_path / "page.html")
    assert status == 2
    assert message in err
    assert out == ""
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize("command", [["gradcheck"], ["gradients"], ["derive"]])
def test_a_damaged_model_is_refused(
    command: list[str], runs: dict[str, Path], text: Path, call: Call, tmp_path: Path
) -> None:
    whole = (runs["word"] / "model.safetensors").read_bytes()
    damaged = tmp_path / "model.safetensors"
    for content in (whole[: len(whole) // 2], whole[:5], b"", b"\xff" * 1000):
        damaged.write_bytes(content)
        status, out, err = call(*command, damaged, text)
        assert status == 2
        assert str(damaged) in err
        assert out == ""
    status, _, err = call(*command, tmp_path / "nothing.safetensors", text)
    assert status == 2
    assert "nothing.safetensors" in err


@pytest.mark.slow
def test_the_ledger_of_a_window_of_a_large_model(tmp_path: Path, call: Call) -> None:
    """The size of the Penn Treebank's: 10,000 words, 200 units, 35 steps."""
    folder = _large_model(tmp_path)
    words = np.random.default_rng(0).integers(2, 10_000, 200)
    text = tmp_path / "text.txt"
    text.write_text(" ".join(f"w{word}" for word in words) + "\n")
    status, out, _ = call("gradients", folder, text, "--at", 50, "--json")
    assert status == 0
    assert json.loads(out)["steps"] == 35


@every_cell
def test_the_ledger_of_every_cell(model: dict[str, Any], call: Call, tmp_path: Path) -> None:
    text, table = tmp_path / "text.txt", tmp_path / "parts.tsv"
    text.write_text("w2 w3 w5 w4\nw3 w7 w2 w6 w5\n")
    folder = _untrained_model(tmp_path, model | {"layers": 2, "hidden": 6}, 5, 8)
    status, out, err = call("gradients", folder, text, "--steps", 8, "--json", "--tsv", table)
    assert status == 0, err
    found = json.loads(out)
    cell = model["cell"]["type"]
    assert (found["cell"], found["activation"]) == (cell, "tanh" if cell == "elman" else None)
    columns, *rows = (line.split("\t") for line in table.read_text().splitlines())
    assert len(rows) == 2 * 36
    assert {len(row) for row in rows} == {len(columns)}
    for layer in found["layers"]:
        assert all(value < 1e-6 for value in layer["agreement"].values())
        assert bool(layer["gates"]) == (cell != "elman")
        last = dict(zip(columns, [row for row in rows if row[3] == layer["name"]][-1], strict=True))
        for name in layer["norm"]:
            assert float(last[f"norm_{name}"]) == pytest.approx(layer["norm"][name][7][7], rel=1e-5)
        for state, norms in layer["jacobians"].items():
            assert float(last[f"jacobian_norm_{state}"]) == pytest.approx(norms[7][7], rel=1e-5)
        if layer["carried"]:
            product = layer["carried"]["largest"][7][7]
            assert float(last[f"product_{layer['carried']['gate']}"]) == pytest.approx(product, rel=1e-5)
    status, out, _ = call("gradients", folder, text, "--steps", 8)
    assert status == 0
    assert out.count("cell.1, by gate") == (cell != "elman")
    assert out.count("the product of") == (0 if cell == "elman" else 2)
    assert "more than rounding explains" not in out


def _kept_models(folder: Path, **model: Any) -> tuple[Path, Path]:
    """A run's folder with the models of two checkpoints, and a text."""
    text = folder / "text.txt"
    text.write_text("w2 w3 w5 w4\nw3 w7 w2 w6 w5\n")
    for updates, seed in ((1200, 2), (300, 3)):
        path = _untrained_model(folder, {"hidden": 6, **model}, 5, 8, seed) / "model.safetensors"
        path.rename(folder / model_file.numbered(updates))
    return folder, text


def test_the_ledgers_of_the_kept_models_stand_side_by_side(call: Call, tmp_path: Path) -> None:
    folder, text = _kept_models(tmp_path, cell="lstm", layers=2)
    window = ["--steps", 7, "--losses", 3]
    status, out, err = call("gradients", "--over", folder, text, *window, "--json")
    assert status == 0, err
    found = json.loads(out)["models"]
    assert [one["model"] for one in found] == ["update 300", "update 1,200"]
    for one, updates in zip(found, (300, 1200), strict=True):
        _, out, _ = call("gradients", folder / model_file.numbered(updates), text, *window, "--json")
        alone = json.loads(out) | {"model": one["model"], "seconds": one["seconds"]}
        assert alone == one
    status, out, _ = call("gradients", "--over", folder, text, *window)
    assert status == 0
    assert [line.split()[0] for line in out.splitlines() if line.startswith("cell.")] == ["cell.0:", "cell.1:"] * 2
    last = [line.split() for line in out.splitlines() if line.startswith(" update 1,200")][-1]
    assert last[2:] == [f"{found[1]['layers'][1]['lags'][lag]['jacobians']['c']:.1e}" for lag in (1, 2, 5, 6)]


def test_another_model_stands_beside_the_first(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    a = _untrained_model(tmp_path / "a", {"cell": "lstm", "hidden": 6}, 5, 8)
    b = _untrained_model(tmp_path / "b", {"cell": {"type": "elman", "activation": "tanh"}, "hidden": 4}, 3, 8)
    text = tmp_path / "text.txt"
    text.write_text("w2 w3 w5 w4\nw3 w7 w2 w6 w5\n")
    status, out, err = call("gradients", a, text, "--steps", 6, "--beside", b)
    assert status == 0, err
    assert out.count("dh(t)/dh(t-k)") == 1
    assert out.count("dc(t)/dc(t-k)") == 1
    assert sum(line.startswith(f" {a}") for line in out.splitlines()) == 4
    assert sum(line.startswith(f" {b}") for line in out.splitlines()) == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--over"],
            "holds no model of an earlier checkpoint (model-UPDATES.safetensors); train with train.checkpoint",
        ),
        (["--over", "--html", "page.html"], "--html: shows one model; leave out --over and --beside"),
        (["--beside", "OTHER", "--tsv", "parts.tsv"], "--tsv: shows one model; leave out --over and --beside"),
        (["--beside", "OTHER"], "cuts the text into other tokens than"),
    ],
)
def test_several_ledgers_are_refused(
    arguments: list[str], message: str, runs: dict[str, Path], text: Path, call: Call, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    given = [runs["char"] if one == "OTHER" else one for one in arguments]
    status, out, err = call("gradients", runs["word"], text, "--steps", 6, *given)
    assert (status, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def _large_model(folder: Path) -> Path:
    """An untrained network of the size of the Penn Treebank's, as a file."""
    return _untrained_model(folder, {"cell": {"type": "elman", "activation": "tanh"}, "hidden": 200}, 200, 10_000)


def _untrained_model(folder: Path, model: dict[str, Any], d: int, tokens: int, seed: int = 1) -> Path:
    """A folder with an untrained network as a file."""
    config = config_file.validate(
        {"data": {"train": str(folder / "text.txt")}, "embedding": {"size": d}, "model": model}
    )
    vocabulary = Vocabulary(["<unk>", "</s>", *(f"w{i}" for i in range(2, tokens))], [1] * tokens, "word", False)
    table = np.random.default_rng(seed).normal(0, 0.1, (tokens, d))
    parameters = flatten(build.init(config, tokens, table))
    model_file.save_model(folder / "model.safetensors", config, vocabulary, parameters, {"updates": 0, "epoch": 0})
    return folder


# -- derive
# -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments", [[], ["--scalar"], ["--activation", "sigmoid"], ["--scalar", "--activation", "sigmoid"]]
)
def test_derive_alone(arguments: list[str], call: Call) -> None:
    status, out, _ = call("derive", *arguments)
    assert status == 0
    assert "quantities checked, all of them right" in out
    assert out.count("✓") > 20
    assert "✗" not in out
    assert ("does w belong there" in out) == ("--scalar" in arguments)


def test_derive_a_model(runs: dict[str, Path], text: Path, call: Call) -> None:
    status, out, err = call("derive", runs["word"], text, "--at", 2)
    assert status == 0
    assert "token 3 of" in err
    assert "all of them right" in out
    assert "D_h x |V| = (D_h x 1)(1 x |V|)" in out


def test_derive_abridges_a_large_model_unless_asked(tmp_path: Path, call: Call) -> None:
    folder = _large_model(tmp_path)
    (tmp_path / "text.txt").write_text("w5 w6 w7\nw8 w9\n")
    status, out, _ = call("derive", folder)
    assert status == 0
    assert "200 x 10000" in out
    assert "..." in out
    assert len(out) < 30_000
    assert max(map(len, out.splitlines())) < 150


def test_derive_shows_every_number_when_asked(call: Call) -> None:
    _, short, _ = call("derive", "--hidden", 9, "--vocabulary", 10)
    _, full, _ = call("derive", "--hidden", 9, "--vocabulary", 10, "--full")
    assert "..." in short
    assert "..." not in full
    assert "where shown" in short
    assert "where shown" not in full


def test_derive_as_json(call: Call) -> None:
    status, out, _ = call("derive", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["passed"]
    by_name = {one["name"]: one for one in found["derivation"] if "name" in one}
    h, before, delta1 = (np.array(by_name[name]["value"]) for name in ("h(t)", "h(t-1)", "dJ/dz1(t)"))
    np.testing.assert_allclose(by_name["dJ/dH"]["value"], before.T @ delta1, rtol=1e-12)
    np.testing.assert_allclose(by_name["dJ/dU"]["value"], h.T @ np.array(by_name["dJ/dz2(t)"]["value"]), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--activation", "selu"], "'--activation': 'selu' is not one of 'tanh', 'sigmoid', 'relu'"),
        (["--hidden", "0"], "--hidden"),
    ],
)
def test_derive_refuses(arguments: list[str], message: str, call: Call) -> None:
    status, out, err = call("derive", *arguments)
    assert status == 2
    assert message in err
    assert out == ""


def test_derive_refuses_a_small_networks_options_with_a_model(runs: dict[str, Path], call: Call) -> None:
    for option in (["--scalar"], ["--activation", "tanh"], ["--hidden", "9"], ["--seed", "1"], ["--embedding", "2"]):
        status, _, err = call("derive", runs["word"], *option)
        assert status == 2
        assert f"{option[0]} is for a small network" in err


@pytest.mark.parametrize(
    "arguments", [["--at", "3"], ["--scalar", "--hidden", "3"], ["--scalar", "--vocabulary", "2"]]
)
def test_derive_refuses_options_that_would_do_nothing(arguments: list[str], call: Call) -> None:
    status, out, err = call("derive", *arguments)
    assert (status, out) == (2, "")
    assert f"error: {arguments[-2]} " in err


@pytest.mark.parametrize("arguments", [[], ["--scalar"]])
def test_derive_shows_what_goes_in_before_what_comes_out(arguments: list[str], call: Call) -> None:
    _, out, _ = call("derive", *arguments)
    given, rest = out.split("\nforward\n")
    letters = ["w", "v", "b", "u", "c", "y"] if arguments else ["e(t)", "h(t-1)", "H", "I", "b1", "U", "b2", "y(t)"]
    for letter in letters:
        assert f"\n  {letter} = " in given
        assert f"\n  {letter} = " not in rest
    assert re.search(r"y(\(t\))? = 1 at index \d+, the token that came", given)
    heads = [line for line in out.splitlines() if line.startswith("  ") and "    1 x" in line]
    assert not [line for line in heads if line.split("    1 x")[0].count(" = ") > 2]


RIGHT, WRONG = "dJ/dH = h(t-1)' delta1(t)", "dJ/dH = delta1(t)' h(t-1)"


def test_derive_checks_formulas(call: Call) -> None:
    status, out, _ = call("derive", "--check", RIGHT)
    assert status == 0
    given, checks = out.split(f"\n  {RIGHT}\n")
    assert "  h(t-1) = the state that the step begins from" in given
    assert "forward" not in out
    assert "✓ right; central differences: largest difference" in checks
    assert checks.endswith("\n1 formula checked, right\n")
    status, out, _ = call("derive", "--check", RIGHT, "--check", WRONG, "--hidden", 5)
    assert status == 1
    assert "right is dJ/dH = h(t-1)' delta1(t)\n" in out
    assert out.endswith("\n2 formulas checked, 1 of them WRONG\n")
    status, out, _ = call("derive", "--check", "dJ/dH = h(t-1) delta1(t)", "--check", RIGHT)
    assert status == 1
    assert "✗ WRONG: it has no value\n    column 16: (1 x D_h)(1 x D_h) is no product of matrices" in out
    assert "the formula gives" not in out.split(RIGHT)[0]
    assert "✓ right" in out


def test_derive_checks_formulas_of_the_scalar_network(call: Call) -> None:
    right = "ds(1)/ds(0) = w f'(z(1))"
    assert call("derive", "--scalar", "--activation", "sigmoid", "--check", right)[0] == 0
    status, out, _ = call("derive", "--scalar", "--check", "dJ/dw = dJ/ds(2) f'(z(2)) s(1)")
    assert status == 1
    assert "the part of step 1 is missing, which is dJ/dw|1" in out


def test_derive_checks_formulas_as_json(call: Call) -> None:
    status, out, _ = call("derive", "--check", RIGHT, "--check", WRONG, "--json")
    found = json.loads(out)
    assert (status, found["passed"], [one["passed"] for one in found["checks"]]) == (1, False, [True, False])
    right, wrong = found["checks"]
    np.testing.assert_allclose(np.array(wrong["value"]).T, right["value"], rtol=1e-12)
    np.testing.assert_allclose(wrong["right"], right["value"], rtol=1e-7)
    assert {one["name"] for one in found["given"]} == {"e(t)", "h(t-1)", "H", "I", "b1", "U", "b2", "y(t)"}


def test_derive_refuses_a_formula_that_it_cannot_read(runs: dict[str, Path], call: Call) -> None:
    status, out, err = call("derive", "--check", RIGHT, "--check", "dJ/dH = foo")
    assert (status, out) == (2, "")
    assert err.startswith("error: --check: column 9, at 'foo' after 'dJ/dH = ': no quantity is called foo; there are")
    assert err.count("\n") == 1
    for arguments, message in (
        ([runs["word"], "--check", RIGHT], "--check goes with a YAML file of numbers or a small network"),
        (["--scalar", "--html", "page.html", "--check", RIGHT], "--html does not go with --check"),
        (["--full", "--check", RIGHT], "--full does not go with --check"),
        (["--hidden", "65", "--check", RIGHT], "--hidden: found 65; with --check at most 64"),
    ):
        status, out, err = call("derive", *arguments)
        assert (status, out) == (2, "")
        assert message in err
