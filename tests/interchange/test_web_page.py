"""The page for the browser, in headless Chromium: what it shows is what the model says."""

from __future__ import annotations

import functools
import http.server
import json
import math
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Page, browser
from every_cell import CELLS
from networks import Case, config
from small import settings, write_texts

import rnnlm
from rnnlm import api
from rnnlm.errors import RnnlmError
from rnnlm.files import model_file
from rnnlm.files.model_file import Trained
from rnnlm.interchange.onnx.export import _CELLS
from rnnlm.interchange.web import export, runtime
from rnnlm.language_model import LanguageModel
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import run_to_end

READY = "document.documentElement.dataset.ready === 'true'"
TEXTS = {
    "words": "the dog sees the cat",
    "lines": "the dog sees\nthe cat\n",
    "empty lines": "\n\n  the\n\n dog \n",
    "unknown words": "the zebra sees <unk> dogs",
    "capitals": "The DOG sees ΟΔΟΣ İ\nThe cat",
    "white space": " the\u00a0dog\tsees\u3000the\u2028cat\u0085a\u001cbird\ufeff sings ",
    "beyond ASCII": "the dög 🐕 e\u0301\r\nsees\u200bcats \N{NULL}",
    "several windows": "the dog sees the cat\n" * 30,
    "one letter": "a",
    "nothing": "",
}


@pytest.fixture(scope="module")
def models(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Models of words, characters and bytes; others that lower-case, reset their state, and have two layers."""
    folder = tmp_path_factory.mktemp("other")
    write_texts(folder)
    changes = ["model.cell=lstm", "model.layers=2", "vocab.lowercase=true"]
    made = {}
    for unit in ("word", "char", "byte"):
        api.train(settings(folder, unit, f"other {unit}", state="reset"), overrides=changes)
        made[f"other {unit}"] = folder / f"other {unit}"
    return {**runs, **made}


@pytest.fixture(scope="module")
def pages(models: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of each model's page."""
    pytest.importorskip("onnx")
    if CHROMIUM is None:
        pytest.skip("Chromium is not on this machine")
    try:
        run_to_end(runtime.load())
    except RnnlmError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("pages")
    for name, run in models.items():
        run_to_end(export.export(model_file.load(run), folder / name))
    return {name: folder / name for name in models}


@pytest.fixture(scope="module")
def chromium(pages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(chromium: Page, pages: dict[str, Path]) -> Iterator[Page]:
    """The page of the model of words, opened from the disk; none of its scripts may fail."""
    chromium.errors.clear()
    open_page(chromium, pages["word"])
    yield chromium
    assert chromium.errors == []


def open_page(page: Page, folder: Path) -> None:
    page.open((folder / "index.html").as_uri())
    page.wait(READY)


def write(page: Page, text: str) -> list[tuple[str, float]]:
    """Put a text into its field; the tokens with their surprisals."""
    page.run(f"(async () => {{ at('text').value = {json.dumps(text)}; await update(); }})()")
    found: list[tuple[str, float]] = [tuple(pair) for pair in page.run("scored.map(t => [t.token, t.bits])")]
    shown = page.run("[...document.querySelectorAll('#tokens li')].map(item => Number(item.dataset.bits))")
    assert shown == [bits for _, bits in found]
    return found


def sample(page: Page, temperature: float, seed: int, length: int) -> list[str]:
    values = f"at('temperature').value = {temperature}; at('seed').value = {seed}; at('length').value = {length}"
    page.run(f"(async () => {{ {values}; await sample(); }})()")
    texts: list[str] = page.run("[...at('samples').children].map(item => item.textContent)")
    return texts


def field(page: Page, name: str) -> str:
    """The text of an element."""
    text: str = page.run(f"at('{name}').textContent")
    return text


@pytest.mark.parametrize("name", ["word", "char", "byte", "other word", "other char", "other byte"])
def test_the_numbers_are_the_models(
    name: str, chromium: Page, models: dict[str, Path], pages: dict[str, Path]
) -> None:
    model = rnnlm.load(models[name])
    chromium.errors.clear()
    open_page(chromium, pages[name])
    for what, text in TEXTS.items():
        # The field of a browser makes every line end a newline.
        text = text.replace("\r\n", "\n")
        wanted = model.surprisal(text, line_end=False) if text.strip(" ") else []
        found = write(chromium, text)
        assert [token for token, _ in found] == [score.token for score in wanted], what
        assert [bits for _, bits in found] == pytest.approx([score.surprisal for score in wanted], abs=1e-4), what
        assert int(field(chromium, "count")) == len(wanted)
        assert int(field(chromium, "unknown")) == sum(score.is_unk for score in wanted)
        total = sum(score.surprisal for score in wanted)
        assert float(field(chromium, "sum")) == pytest.approx(total, abs=0.006)
        if wanted:
            assert float(field(chromium, "perplexity")) == pytest.approx(2 ** (total / len(wanted)), abs=0.006)
        following = model.next(text)[:10]
        probabilities = chromium.run("[...document.querySelectorAll('#next button')].map(b => b.dataset.probability)")
        assert [float(value) for value in probabilities] == pytest.approx(
            [token.probability for token in following], abs=1e-5
        ), what
        assert field(chromium, "message") == ""
    assert chromium.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("cell", [*_CELLS, "mixture"])
def test_every_cell(cell: str, chromium: Page, tmp_path: Path) -> None:
    model = {"output": {"type": "mixture", "softmaxes": 2}} if cell == "mixture" else CELLS[cell]
    chosen = config(d=5, model=model | {"hidden": [4, 6]})
    words = Vocabulary(["</s>", "<unk>", *"abcdefgh"], range(10), "word", False)
    parameters = Case(chosen, len(words), resets=False).network.named
    network = LanguageModel(Trained(chosen, words, parameters, {}, tmp_path / "model.safetensors"))
    run_to_end(export.export(network.trained, tmp_path))
    open_page(chromium, tmp_path)
    text = "a b c\nx b e f g h a\n" * 3
    wanted = [score.surprisal for score in network.surprisal(text)]
    assert [bits for _, bits in write(chromium, text)] == pytest.approx(wanted, abs=1e-4)


def test_what_is_typed_goes_on_from_the_words_before(page: Page, models: dict[str, Path]) -> None:
    model = rnnlm.load(models["word"])
    page.run(
        "const really = session.run.bind(session); var steps = 0; "
        "session.run = (inputs) => { steps += inputs.tokens.dims[0]; return really(inputs); }"
    )
    page.run("at('text').focus()")
    for typed, steps in (("the", 1), (" dog", 1), (" ", 0), ("sees the cat", 3)):
        page.run("steps = 0")
        before = page.run("at('text').value")
        page.type(typed)
        page.wait(f"{READY} && !following && at('text').value === {json.dumps(before + typed)}")
        assert page.run("steps") == steps
        wanted = model.surprisal(before + typed, line_end=False)
        assert page.run("scored.map(t => t.bits)") == pytest.approx([t.surprisal for t in wanted], abs=1e-4)
    # Back, and a word in the middle changed: as if it were written anew.
    for text, steps in (("the dog sees", 1), ("the dog", 1), ("the cats sees", 3), ("", 1), ("a bird", 2)):
        page.run("steps = 0")
        found = write(page, text)
        assert page.run("steps") == steps
        wanted = model.surprisal(text, line_end=False) if text else []
        assert [bits for _, bits in found] == pytest.approx([t.surprisal for t in wanted], abs=1e-4)


def test_fast_typing_ends_with_the_last_text(page: Page, models: dict[str, Path]) -> None:
    texts = [" ".join(["the dog sees the cat"] * count) for count in (60, 1, 90, 40)]
    page.run(
        f"(async () => {{ for (const text of {json.dumps(texts)}) {{ at('text').value = text; update(); "
        "await new Promise((resume) => setTimeout(resume, 15)); } await following; })()"
    )
    wanted = rnnlm.load(models["word"]).surprisal(texts[-1], line_end=False)
    assert page.run("scored.map(t => t.bits)") == pytest.approx([t.surprisal for t in wanted], abs=1e-4)
    assert page.run("document.querySelectorAll('#tokens li').length") == len(wanted)


def test_the_next_word_is_appended(page: Page, models: dict[str, Path]) -> None:
    model = rnnlm.load(models["word"])
    write(page, "the dog")
    second = model.next("the dog")[1].token
    page.run("document.querySelectorAll('#next button')[1].focus()")
    page.press("Enter", 13)
    page.wait(f"{READY} && !following && scored.length === 3")
    assert page.run("at('text').value") == ("the dog\n" if second == "</s>" else f"the dog {second}")
    page.wait("document.activeElement === document.querySelectorAll('#next button')[1]")
    for text, token, whole in (
        ("", "dog", "dog"),
        ("a ", "dog", "a dog"),
        ("a", "</s>", "a\n"),
        ("a\n", "b", "a\nb"),
    ):
        page.run(f"at('text').value = {json.dumps(text)}")
        page.run(f"append({json.dumps(token)})")
        assert page.run("at('text').value") == whole


@pytest.mark.parametrize(("name", "best", "shown"), [("byte", 255, "0xff"), ("char", None, "<unk>")])
def test_what_is_no_character_cannot_be_appended(
    name: str, best: int | None, shown: str, chromium: Page, pages: dict[str, Path]
) -> None:
    open_page(chromium, pages[name])
    chromium.run(f"var best = {'model.unk' if best is None else best}")
    made = "bars(Float32Array.from(model.vocabulary, (_, id) => -Math.abs(id - best)))"
    assert chromium.run(f"{made}[0].textContent").startswith(shown)
    assert chromium.run(f"{made}[0].firstChild.ariaDisabled") == "true"
    assert chromium.run(f"{made}[0].firstChild.onclick") is None


def test_the_line_ends_own_word(page: Page) -> None:
    assert write(page, "the dog </s> x") == []
    assert field(page, "message").startswith("Found the word </s>, the line end's own")
    assert page.run("document.querySelectorAll('#next button').length") == 0
    assert sample(page, 1, 0, 3) == []
    assert len(write(page, "the dog")) == 2
    assert field(page, "message") == ""


def test_unknown_words_are_marked(page: Page) -> None:
    write(page, "the zebra\n<unk>")
    marked = page.run("[...document.querySelectorAll('#tokens li')].map(i => i.classList.contains('unknown'))")
    assert marked == [False, True, False, False]
    spoken = page.run("document.querySelectorAll('#tokens li')[1].textContent").split(" ")
    assert spoken[0][:5] == "zebra"
    assert spoken[1:] == ["bits,", "unknown", ""]
    assert page.run("document.querySelectorAll('#tokens li')[2].textContent").startswith("line end")


def test_markup_in_a_text_is_text(page: Page) -> None:
    text = "<img src=x onerror=alert(1)> &amp;"
    write(page, text)
    assert page.run("[...document.querySelectorAll('#tokens .text')].map(e => e.textContent)") == text.split()
    assert page.run("document.images.length") == 0


@pytest.mark.parametrize("name", ["word", "char", "byte", "other word"])
def test_samples(name: str, chromium: Page, models: dict[str, Path], pages: dict[str, Path]) -> None:
    open_page(chromium, pages[name])
    model = rnnlm.load(models[name])
    write(chromium, "the dog")
    greedy = model.sample("the dog", tokens=12, temperature=0).removeprefix("the dog").removeprefix(" ")
    assert sample(chromium, 0, 0, 12) == [greedy] * 3
    first = sample(chromium, 1, 5, 30)
    assert len(set(first)) == 3
    assert sample(chromium, 1, 5, 30) == first
    assert sample(chromium, 1, 6, 30) != first
    # The text was read only.
    assert chromium.run("at('text').value") == "the dog"


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_draws_have_the_models_probabilities(page: Page, temperature: float) -> None:
    """u at the middles of 20,000 equal parts of [0, 1): the counts are the probabilities' up to one at each end."""
    write(page, "the")
    log_y = page.run("[...end.log_y]")
    weights = [math.exp(value / temperature) for value in log_y]
    drawn = page.run(f"Array.from({{length: 20000}}, (_, i) => draw(end.log_y, {temperature}, (i + 0.5) / 20000))")
    for id, weight in enumerate(weights):
        assert drawn.count(id) == pytest.approx(20000 * weight / sum(weights), abs=2)


def test_the_random_numbers_are_uniform(page: Page) -> None:
    """Ten cells of 10,000 numbers from each of three seeds: chi-square with 9 degrees, 99.99% below 33.7."""
    for seed in (0, 1, 2**32 - 1):
        found = page.run(
            f"(() => {{ const next = generator({seed}); return Array.from({{length: 10000}}, next); }})()"
        )
        assert 0 <= min(found) < max(found) < 1
        cells = [sum(int(10 * value) == cell for value in found) for cell in range(10)]
        assert sum((count - 1000) ** 2 / 1000 for count in cells) < 33.7


def test_a_plain_server(chromium: Page, pages: dict[str, Path], models: dict[str, Path]) -> None:
    asked: list[str] = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *values: Any) -> None:
            asked.append(self.path)

    handler = functools.partial(Handler, directory=str(pages["word"]))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            chromium.errors.clear()
            chromium.open(f"http://127.0.0.1:{server.server_port}/")
            chromium.wait(READY)
            found = write(chromium, "the dog sees")
        finally:
            server.shutdown()
            thread.join()
    wanted = rnnlm.load(models["word"]).surprisal("the dog sees", line_end=False)
    assert [bits for _, bits in found] == pytest.approx([score.surprisal for score in wanted], abs=1e-4)
    scripts = {f"/{path.name}" for path in pages["word"].glob("*.js")}
    assert set(asked) - {"/favicon.ico"} == {"/"} | scripts


def test_a_page_without_its_model(chromium: Page, pages: dict[str, Path], tmp_path: Path) -> None:
    shutil.copy(pages["word"] / "index.html", tmp_path)
    chromium.open((tmp_path / "index.html").as_uri())
    chromium.wait("at('message').className === 'error'")
    assert "is not beside this page; copy the whole folder" in field(chromium, "message")


@pytest.mark.parametrize("width", [320, 700, 1400])
@pytest.mark.parametrize("name", ["word", "char"])
def test_nothing_is_wider_than_the_screen(name: str, width: int, chromium: Page, pages: dict[str, Path]) -> None:
    open_page(chromium, pages[name])
    chromium.show_as(width, 700)
    write(chromium, "the dog sees " + "x" * 200 + "\n" + "the " * 30)
    sample(chromium, 1, 0, 60)
    assert chromium.run("document.documentElement.scrollWidth") <= width


def test_dark_and_light(page: Page) -> None:
    """Text on its ground has a contrast of 4.5 to 1 at least (WCAG 2.1, level AA), at either end of the scale."""
    # A canvas gives the colour of any notation as sRGB.
    script = """(() => {
      const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
      return (style) => {
        pen.fillStyle = style; pen.fillRect(0, 0, 1, 1);
        const [r, g, b] = Array.from(pen.getImageData(0, 0, 1, 1).data, (v) => v / 255)
          .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
    })()"""
    page.run(f"var light = {script}")
    grounds = []
    for scheme in ("light", "dark"):
        page.show_as(900, 700, scheme)
        found = page.run(
            "['--ink', '--soft', '--ground', '--card', '--low', '--high', '--error', '--bar', '--accent']"
            ".map((name) => light(getComputedStyle(document.documentElement).getPropertyValue(name)))"
        )
        ink, soft, ground, card, low, high, error, bar, accent = found
        for one, other in (
            (ink, ground), (ink, card), (ink, low), (ink, high), (ink, bar), (soft, ground), (soft, card),
            (error, card), (ground, accent),
        ):  # fmt: skip
            assert (max(one, other) + 0.05) / (min(one, other) + 0.05) >= 4.5
        grounds.append(ground)
    page.show_as(900, 700)
    assert grounds[0] > 0.9
    assert grounds[1] < 0.05
