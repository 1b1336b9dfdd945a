"""The page of the scalar derivation in headless Chromium: its numbers are the program's, whatever is moved."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Page, browser

from rnnlm.gradients import commands
from rnnlm.gradients.derivation.page import write_html
from rnnlm.network.reference import equations

SLIDERS = ("w", "v", "b", "s(0)", "e(1)", "e(2)")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("derive") / "page.html"
    write_html(commands.one_unit("tanh", 1), path)
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium: Page, path: Path) -> Iterator[Page]:
    """The page, newly opened; none of its scripts may fail."""
    chromium.errors.clear()
    chromium.open(path.as_uri())
    chromium.wait("document.documentElement.dataset.drawn === 'yes'")
    yield chromium
    assert chromium.errors == []


def data(path: Path) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', path.read_text(encoding="utf-8"), re.S)
    assert found
    result: dict[str, Any] = json.loads(found[1])
    return result


def move(page: Page, name: str, value: float) -> None:
    page.run(
        f"(() => {{ const slider = document.querySelector('input[data-slider=\"{name}\"]'); slider.value = {value};"
        "slider.dispatchEvent(new Event('input')); })()"
    )


def choose(page: Page, id: str, value: object, event: str) -> None:
    page.run(
        f"(() => {{ const at = document.getElementById('{id}'); at.value = {json.dumps(value)};"
        f"at.dispatchEvent(new Event('{event}')); }})()"
    )


def numbers(page: Page) -> dict[str, float]:
    """All numbers on the page by their names; one that is there twice must be the same."""
    pairs = page.run(
        "[...document.querySelectorAll('[data-name]')].map((one) => [one.dataset.name, Number(one.dataset.value)])"
    )
    found: dict[str, float] = {}
    for name, value in pairs:
        assert found.setdefault(name, value) == value, name
    return found


def J(given: dict[str, Any], fixed: dict[str, Any], activation: str, steps: int) -> tuple[Any, dict[str, Any]]:
    """The loss, and all numbers on the way; a given ``z(t)``, ``s(t)``, or ``w(t)`` ... stands for what the equations
    give. Complex numbers pass through."""
    values, s = dict(given), given["s(0)"]
    for t in range(1, steps + 1):
        w, v, b = (given.get(f"{name}({t})", given[name]) for name in "wvb")
        z = values[f"z({t})"] = w * s + v * given[f"e({t})"] + b + given.get(f"more z({t})", 0)
        s = values[f"s({t})"] = equations.f(np.array(z), activation)[()] + given.get(f"more s({t})", 0)
    o = s * np.array(fixed["u"]) + np.array(fixed["c"])
    y_hat = np.exp(o) / np.exp(o).sum()
    return -np.log(y_hat[fixed["target"]]), values


def check(page: Page, given: dict[str, float], fixed: dict[str, Any], activation: str, steps: int) -> None:
    """Every number is that of the equations, every derivative that of a complex step through them."""
    found = numbers(page)
    loss, values = J(given, fixed, activation, steps)
    assert found["J"] == pytest.approx(float(loss), rel=1e-9)
    for name, value in values.items():
        if name in found:
            assert found[name] == pytest.approx(float(value), rel=1e-6, abs=1e-12), name

    def derivative(name: str) -> float:
        return float(J({**given, name: given.get(name, 0) + 1e-30j}, fixed, activation, steps)[0].imag / 1e-30)

    for t in range(1, steps + 1):
        assert found[f"dJ/dz({t})"] == pytest.approx(derivative(f"more z({t})"), rel=1e-6, abs=1e-12)
        assert found[f"dJ/ds({t})"] == pytest.approx(derivative(f"more s({t})"), rel=1e-6, abs=1e-12)
        for name in "wvb":
            own = {**given, f"{name}({t})": given[name] + 1e-30j}
            part = float(J(own, fixed, activation, steps)[0].imag / 1e-30)
            assert found[f"part of dJ/d{name} at {t}"] == pytest.approx(part, rel=1e-6, abs=1e-12)
    for name in "wvb":
        assert found[f"kept dJ/d{name}"] == pytest.approx(derivative(name), rel=1e-6, abs=1e-12)


def test_the_page_names_no_other_file_and_may_load_none(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"\b(src|href|action)=", text)
    assert "default-src 'none'" in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "{{" not in text


def test_the_given_numbers_are_those_that_derive_shows(path: Path) -> None:
    shown = {record.name: record for record in commands.derive_scalar("tanh", 1) if hasattr(record, "name")}
    found = data(path)
    for name, key in (("w", "w"), ("v", "v"), ("b", "b"), ("s(0)", "before")):
        assert found[key] == float(shown[name].value), name
    assert found["inputs"] == [float(shown[name].value) for name in ("e(1)", "e(2)")]


@needs_browser
def test_it_opens_with_the_gradients_of_the_kernels(page: Page, path: Path) -> None:
    network, window, _ = commands.one_unit("tanh", 1)
    loss, gradients = network.backward(network.forward(window.read), window.targets, 1)
    found = numbers(page)
    assert found["J"] == pytest.approx(loss, rel=1e-9)
    for name, parameter in (("w", "H"), ("v", "I"), ("b", "b1")):
        wanted = float(gradients.dense[f"cell.0.{parameter}"].ravel()[0])
        assert found[f"kept dJ/d{name}"] == pytest.approx(wanted, rel=1e-9)


@needs_browser
def test_twenty_moves(page: Page, path: Path) -> None:
    fixed, generator = data(path), np.random.default_rng(0)
    given = {"s(0)": fixed["before"], **{name: fixed[name] for name in "wvb"}}
    given |= {f"e({t + 1})": x for t, x in enumerate(fixed["inputs"])}
    check(page, given, fixed, "tanh", 2)
    for _ in range(20):
        name, value = str(generator.choice(SLIDERS)), round(float(generator.uniform(-2.9, 2.9)), 2)
        move(page, name, value)
        given[name] = value
        check(page, given, fixed, "tanh", 2)


@needs_browser
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_more_steps_and_another_f(page: Page, path: Path, activation: str) -> None:
    fixed = data(path)
    given = {"s(0)": fixed["before"], **{name: fixed[name] for name in "wvb"}}
    given |= {f"e({t})": fixed["inputs"][(t - 1) % 2] for t in range(1, 9)}
    choose(page, "steps", 6, "input")
    choose(page, "activation", activation, "change")
    for name, value in (("b", 0.9), ("e(5)", -1.5)):  # with which no unit of relu is silent
        move(page, name, value)
        given[name] = value
    check(page, given, fixed, activation, 6)


@needs_browser
def test_truncation(page: Page) -> None:
    choose(page, "steps", 5, "input")
    whole = numbers(page)
    for K in range(1, 6):
        choose(page, "truncation", K, "input")
        found = numbers(page)
        gradient = np.array([whole[f"kept dJ/d{name}"] for name in "wvb"])
        kept = np.array([sum(whole[f"part of dJ/d{name} at {t}"] for t in range(6 - K, 6)) for name in "wvb"])
        np.testing.assert_allclose([found[f"kept dJ/d{name}"] for name in "wvb"], kept, rtol=1e-9)
        lengths = np.linalg.norm(kept), np.linalg.norm(gradient)
        assert found["share"] == pytest.approx(lengths[0] / lengths[1], rel=1e-9)
        assert found["cosine"] == pytest.approx(kept @ gradient / lengths[0] / lengths[1], rel=1e-9)
    assert found["share"] == pytest.approx(1, rel=1e-12)


@needs_browser
def test_steps_forward_and_back(page: Page) -> None:
    """At the beginning only what is given is there; a step forward adds one number."""
    page.run("document.getElementById('first').click()")
    place = "document.querySelectorAll('#network [data-name]').length"
    given = page.run(place)
    assert given == 3  # s(0), e(1), e(2)
    for count in range(1, 13):
        page.press("ArrowRight", 39)
        assert page.run(place) == given + count
    page.run("document.getElementById('back').click()")
    assert page.run(place) == given + 11
    assert page.run("document.getElementById('told').textContent").startswith("dJ/ds(1) = dJ/dz(2) w")


def ask(page: Page) -> str:
    page.run("document.getElementById('ask').click()")
    return str(page.run("document.getElementById('question').textContent"))


def answer(page: Page, value: object) -> str:
    page.run(f"document.getElementById('answer').value = {json.dumps(str(value))}")
    page.run("document.getElementById('check').click()")
    return str(page.run("document.getElementById('verdict').textContent"))


@needs_browser
def test_the_exercise(page: Page) -> None:
    move(page, "w", 0.83)  # e(2) has the same number
    whole, asked = numbers(page), set()
    totals = {f"dJ/d{name}": whole[f"kept dJ/d{name}"] for name in "wvb"}
    for _ in range(40):
        hidden = ask(page)
        asked.add(hidden)
        wanted = {**whole, **totals}[hidden]
        shown = numbers(page)
        assert hidden not in shown
        assert f"kept {hidden}" not in shown
        assert [name for name, value in shown.items() if abs(value - wanted) < 1e-12] == [], (
            f"{hidden} can be read off"
        )
        assert answer(page, "much") == "Type a number, as in -0.123."
        assert not answer(page, wanted * 1.5).startswith("Right")
        assert answer(page, -wanted) == "The sign is the other way."
        assert answer(page, f"{wanted:.4g}").startswith(f"Right: {hidden} = ")
        assert hidden in numbers(page) or hidden in totals
    assert len(asked) > 8


@needs_browser
def test_the_exercise_says_what_is_missing(page: Page) -> None:
    whole, told = numbers(page), {}
    for _ in range(200):
        hidden = ask(page)
        if hidden == "dJ/dz(1)":
            told[hidden] = answer(page, whole["dJ/ds(1)"])
        elif hidden == "dJ/ds(1)":
            told[hidden] = answer(page, whole["dJ/dz(2)"])
        elif hidden == "dJ/dw":
            told[hidden] = answer(page, whole["part of dJ/dw at 2"])
        if len(told) == 3:
            break
    assert told == {
        "dJ/dz(1)": "That is dJ/ds(1): f'(z(1)) is missing.",
        "dJ/ds(1)": "That is dJ/dz(2): w is missing.",
        "dJ/dw": "That is the part of step 2 alone: add up all steps.",
    }


NUMBERS = "{s(-1): 0.5, x0: 1, x1: -0.4, w: 0.8, v: 0.5, b: 0.1, u: [0.9, -0.7, 0.2], target: 1, activation: sigmoid}"


@needs_browser
def test_own_numbers_by_their_own_names(chromium: Page, tmp_path: Path, call: Any) -> None:
    numbers_file, page_file = tmp_path / "numbers.yaml", tmp_path / "own.html"
    numbers_file.write_text(NUMBERS)
    assert call("derive", numbers_file, "--html", page_file)[0] == 0
    chromium.open(page_file.as_uri())
    chromium.wait("document.documentElement.dataset.drawn === 'yes'")
    network, window, _ = commands.one_unit("tanh", 1, numbers_file)
    loss, gradients = network.backward(network.forward(window.read), window.targets, 1)
    found = numbers(chromium)
    assert found["J"] == pytest.approx(loss, rel=1e-9)
    assert {"s(-1)", "x(0)", "x(1)", "z(1)", "dJ/ds(0)", "part of dJ/dw at 0"} <= found.keys()
    assert found["kept dJ/dw"] == pytest.approx(float(gradients.dense["cell.0.H"][0, 0]), rel=1e-9)


def test_matrices_have_no_page(tmp_path: Path, call: Any) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text("{e: [1, 0.5], I: [[1, 2], [3, 4]], H: [[1, 0], [0, 1]], U: [[1, 2], [3, 4]], target: 0}")
    status, out, err = call("derive", path, "--html", tmp_path / "page.html")
    assert (status, out) == (2, "")
    assert f"{path}: --html draws the network of one unit, by its letters s(0), x1, x2, w, v, u" in err
    assert not (tmp_path / "page.html").exists()
