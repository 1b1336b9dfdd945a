"""What ``rnnlm corpus`` lists and makes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from rnnlm.console import Console
from rnnlm.console.views.corpora import corpora_view, grammars_view, made_view
from rnnlm.corpora import catalogue, grammar, listing
from rnnlm.errors import InputError, TextError
from rnnlm.work import run_to_end


def test_the_list_has_grammars_and_corpora() -> None:
    found = json.loads(json.dumps(listing.as_json()))
    assert set(found["grammars"]) == {"english"}
    assert {entry["name"] for entry in found["corpora"]} >= {"ptb", "wikitext-2", "wikitext-103", "text8", "enwik8"}


def test_making_a_text(tmp_path: Path) -> None:
    made = run_to_end(listing.make("english", tmp_path, (30, 10, 5), 3))
    assert [text.sentences for text in made.texts] == [30, 10, 5]
    for text, name in zip(made.texts, listing.SPLITS, strict=True):
        lines = (tmp_path / f"{name}.txt").read_text().splitlines()
        assert len(lines) == text.sentences
        assert text.tokens == sum(len(line.split()) + 1 for line in lines)
    language = grammar.load("english")
    assert made.grammar.lowest_perplexity == pytest.approx(
        math.exp(language.entropy() / (language.mean_length() + 1))
    )
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 3, "each text is a sample of its own"
    again = run_to_end(listing.make("english", tmp_path / "again", (30, 10, 5), 3))
    assert [text.sha256 for text in again.texts] == [text.sha256 for text in made.texts]
    json.dumps(made.json())


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--sentences: found 2 numbers; give three"):
        run_to_end(listing.make("english", tmp_path, (30, 10), 0))
    with pytest.raises(TextError, match="nowhere"):
        run_to_end(listing.make("nowhere", tmp_path, None, 0))
    assert not list(tmp_path.iterdir())


def test_a_narrow_list_has_every_name_and_count_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "tinyshakespeare").mkdir()
    (tmp_path / "tinyshakespeare" / "input.txt").write_bytes(bytes(1115394))
    console = Console()
    console.show(grammars_view(listing.grammars()))
    console.show(corpora_view(catalogue.describe(tmp_path)))
    printed = capsys.readouterr().out
    assert "…" not in printed
    rows = {line.split()[0]: line.split() for line in reversed(printed.splitlines()) if line.strip()}
    assert rows["wikitext-103"] == ["wikitext-103", "word", "103,227,021", "217,646", "245,569", "190.2", "MB"]
    assert rows["tinyshakespeare"] == ["tinyshakespeare", "char", "1,003,854", "111,540", "-", "is", "here"]
    assert rows["english"][1] == str(len(grammar.load("english").words))


AMBIGUOUS = "start: S\nrules:\n  S:\n    S S: 1\n    A: 4\nwords:\n  A:\n    - {words: x}\n"


@pytest.mark.parametrize("ambiguous", [False, True])
def test_figures_that_may_be_too_high_say_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ambiguous: bool
) -> None:
    (tmp_path / "g.yaml").write_text(AMBIGUOUS if ambiguous else AMBIGUOUS.replace("S S", "A S"))
    made = run_to_end(listing.make(str(tmp_path / "g.yaml"), tmp_path, (3, 2, 1), 0))
    Console().show(made_view(made))
    printed = capsys.readouterr().out
    assert printed.count("or less: the grammar may be ambiguous") == (3 if ambiguous else 0)
    assert ("x may belong to S or come after it" in printed) == ambiguous
