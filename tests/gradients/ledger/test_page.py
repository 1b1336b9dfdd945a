"""The ledger's page: whole in itself, and drawn without an error where there is a browser."""

from __future__ import annotations

import html.parser
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM as BROWSER
from browser import browser
from networks import Case, config

from rnnlm.gradients.ledger import files as ledger_files
from rnnlm.gradients.ledger import ledger
from rnnlm.gradients.ledger.records import Ledger
from rnnlm.gradients.window import Window


def a_ledger(
    activation: str = "tanh", layers: int = 1, words: Any = str, model: dict[str, Any] | None = None
) -> Ledger:
    case = Case(config(activation, layers=layers, model=model), steps=9, batch=1)
    part = Window(case.inputs, case.targets, case.reset, case.states, 6, 40)
    tokens = tuple(map(words, case.inputs[:, 0])), tuple(map(words, case.targets[:, 0]))
    work = ledger.ledger(case.network, part, tokens, "a text")
    while True:
        try:
            next(work)
        except StopIteration as end:
            found: Ledger = end.value
            return found


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    ledger_files.write_html(a_ledger(layers=2, words=lambda token: f"</script><b>{token}"), path)
    return path


class _Addresses(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [value or "" for name, value in attributes if name in ("src", "href", "data", "action")]


def test_the_page_names_no_other_file_and_may_load_none(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    parser = _Addresses()
    parser.feed(text)
    assert parser.found == []
    assert parser.tags.count("script") == 2, "words of the text must not become tags"
    assert "b" not in parser.tags
    assert "default-src 'none'" in text
    assert set(re.findall(r"https?://[^\"' ]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address
    assert "{{" not in text


def test_the_data_in_the_page_are_the_ledgers(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])  # type: ignore[index]
    assert data["steps"] == 9
    assert data["losses"] == 6
    assert data["inputs"][0].startswith("</script><b>")
    assert [layer["name"] for layer in data["layers"]] == ["cell.0", "cell.1"]
    assert data["layers"][0]["norm"]["H"][0][4] is None, "step -1 is before the window"
    assert data["layers"][0]["gates"] == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_browser_draws_every_cell(activation: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    found = a_ledger(activation, layers=2, words=lambda token: f"</script><b>{token}")
    ledger_files.write_html(found, path)
    dom, errors = _opened(path, tmp_path)
    assert 'data-drawn="yes"' in dom, errors
    assert re.search(r'id="error" hidden=""></p>', dom), errors
    assert "CONSOLE" not in errors, errors
    assert dom.count("data-cell=") == sum(range(4, 10))
    assert dom.count("<svg") == 4
    assert dom.count('class="curve"') == 4 + 2 + 3
    assert not re.search(r'd="[^"]*(NaN|Infinity|undefined)', dom)
    assert f"<b>{found.advice}</b>" in dom


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize(("cell", "plots", "curves"), [("lstm", 5, 4 + 4 + 5 + 3), ("mingru", 5, 3 + 2 + 4 + 3)])
def test_a_browser_draws_the_gates(cell: str, plots: int, curves: int, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    found = a_ledger(model={"cell": cell})
    ledger_files.write_html(found, path)
    dom, errors = _opened(path, tmp_path)
    assert 'data-drawn="yes"' in dom, errors
    assert re.search(r'id="error" hidden=""></p>', dom), errors
    assert dom.count("<svg") == plots
    assert dom.count('class="curve"') == curves
    for gate in found.layers[0].gates:
        assert f'<option value="{gate}">' in dom
    assert not re.search(r'd="[^"]*(NaN|Infinity|undefined)', dom)


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_the_slider_says_what_truncation_keeps(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    found = a_ledger(layers=2)
    ledger_files.write_html(found, path)
    with browser(tmp_path / "profile") as page:
        page.open(path.as_uri())
        for K in (1, 4, len(found.kept)):
            page.run(
                f"(() => {{ const K = document.getElementById('K'); K.value = {K};"
                "K.dispatchEvent(new Event('input')); })()"
            )
            told = page.run("document.getElementById('kept-told').textContent")
            kept = found.kept[K - 1]
            assert kept.lags == K
            assert told == (
                f"K = {K}: norm kept {kept.ratio:.2%}, cosine {kept.cosine:.4f}, norm lost {kept.lost:.2%}"
            )
        assert page.errors == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_a_browser_tells_what_is_wrong_with_a_page(tmp_path: Path) -> None:
    """The test above can fail."""
    path = tmp_path / "page.html"
    ledger_files.write_html(a_ledger(), path)
    path.write_text(path.read_text(encoding="utf-8").replace("drawFacts();", "noSuchFunction();"), encoding="utf-8")
    dom, errors = _opened(path, tmp_path)
    assert 'data-drawn="yes"' not in dom
    assert "noSuchFunction" in dom + errors


def _opened(path: Path, folder: Path) -> tuple[str, str]:
    """The page's elements after its script has run, and what the browser complained of; no name can be looked up."""
    assert BROWSER is not None
    done = subprocess.run(
        [
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr", "--v=0", f"--user-data-dir={folder / 'browser'}", "--dump-dom", path.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout, done.stderr
