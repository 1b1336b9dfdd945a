"""A bad grammar is refused with the file, the line and what is wrong there."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from rnnlm.config import recipes as resources
from rnnlm.corpora import grammar as grammars
from rnnlm.corpora.grammar import slr_conflict
from rnnlm.errors import TextError

GOOD = """start: S
features:
  n: [one, many]
rules:
  S:
    Noun[n] Verb[n]: 1
  Verb[n]:
    Does[n]: 2
    Does[n] that S: 1
words:
  Noun[n]:
    - {words: dog/dogs}
  Does[n]:
    - {words: says/say}
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("start: S", "start: T", "g.yaml:1: start: found T; give a symbol"),
        ("start: S", "begin: S", "g.yaml:1: begin: unknown key"),
        ("start: S\n", "", "g.yaml:1: start: missing"),
        ("that S: 1", "that: S: 1", "g.yaml:9: not YAML"),
        ("Does[n]: 2", "Dose[n]: 2", r"g.yaml:8: Dose\[n\]: undefined"),
        ("Does[n]: 2", "Does[m]: 2", r"g.yaml:8: Does\[m\]: m: unknown feature or value; there are n: one, many"),
        ("Does[n]: 2", "Does: 2", r"g.yaml:8: Does: does not fit Does\[n\], which line 13 defines"),
        ("Does[n]: 2", "Does[n: 2", r"g.yaml:8: Does\[n: not a symbol"),
        ("Does[n]: 2", "Does[n]: -2", r"g.yaml:8: Does\[n\]: found the weight -2; give a number above 0"),
        ("Does[n]: 2", "Does[n]: 0", "found the weight 0"),
        ("Does[n]: 2", "Does[n]: .nan", "found the weight .nan"),
        ("Does[n]: 2", "Does[n]: inf", "found the weight inf"),
        ("Does[n]: 2", "Does[n]: many", "found the weight many"),
        ("Does[n]: 2", "Does[n] that S: 2", r"g.yaml:9: Does\[n\] that S: stands here twice"),
        ("    Does[n]: 2\n", "", "g.yaml:6: S: never comes to an end"),
        ("that S: 1", "that S and S: 2", "g.yaml:6: S: recursion grows by a factor of 1 a step, so the mean"),
        ("that S: 1", "that S and S: 14", "g.yaml:6: S: recursion grows by a factor of 1.32 a step"),
        ("words:\n", "  Odd:\n    odd: 1\nwords:\n", "g.yaml:10: Odd: no sentence can reach it from S"),
        (
            "  Does[n]:\n",
            "  Odd:\n    - {words: odd}\n  Does[n]:\n",
            "g.yaml:13: Odd: no sentence can reach it from S",
        ),
        (
            "    Noun[n] Verb[n]: 1",
            "    Noun[one] Verb[one]: 1\n  Verb[many]:\n    big Does[many]: 1",
            "g.yaml:8: Verb.* no sentence can",
        ),
        ("    Noun[n] Verb[n]: 1", "    Noun[one] Verb[one]: 1", None),
        ("{words: dog/dogs}", "{words: dog/dogs/doges}", "g.yaml:12: .*dog/dogs/doges: found 3 forms; give 1 or 2"),
        ("{words: dog/dogs}", "{words: dog/}", r"g.yaml:12: Noun\[n\]: dog/: found an empty form"),
        ("{words: dog/dogs}", "{words: dog/dogs dog}", r"g.yaml:12: Noun\[n\]: dog: the word stands twice"),
        (
            "{words: dog/dogs}",
            "{words: dog/dogs, q: 2}",
            "g.yaml:12: .*q: unknown key; the keys here are words, weight n",
        ),
        ("{words: dog/dogs}", "{words: dog, n: two}", "g.yaml:12: n: two: not a value of n; give some of one, many"),
        ("{words: dog/dogs}", "{words: dog, n: {one: -1}}", "g.yaml:12: one: found the weight -1"),
        ("{words: dog/dogs}", "{weight: 2}", "g.yaml:12: .*a group without words"),
        ("    - {words: dog/dogs}", "    {words: dog/dogs}", "found no list"),
        ("Noun[n]:\n", "Does[n]:\n", r"g.yaml:13: Does\[n\]: stands here twice"),
        (
            "  Noun[n]:\n",
            "  Verb[n]:\n    - {words: x}\n  Noun[n]:\n",
            r"g.yaml:11: Verb\[n\]: Verb stands in line 7 already",
        ),
        ("  Noun[n]:", "  Noun[one]:", r"g.yaml:11: Noun\[one\]: a word category takes different variables"),
        ("  n: [one, many]", "  n: [one, n2]", "g.yaml:3: features: n: the value n2 is also"),
        ("  n: [one, many]", "  n: [one, many]\n  m: [one, two]", "g.yaml:4: features: m: the value one is also"),
        ("  n: [one, many]", "  n: {one: 1, many: -1}", "g.yaml:3: many: found the weight -1"),
        ("  n: [one, many]", "  N: [one, many]", "g.yaml:3: features: N: a feature's name is small letters"),
        ("words:\n", "zipf_shift: -1\nwords:\n", "g.yaml:10: zipf_shift: found the weight -1"),
    ],
)
def test_a_bad_grammar_is_refused(read, old: str, new: str, message: str | None) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if message is None:
        read(text)
        return
    with pytest.raises(TextError, match=message) as caught:
        read(text)
    assert "\n" not in str(caught.value)


def test_the_example_in_the_readme_is_a_grammar(read) -> None:
    lines = (resources.folder("corpora") / "README.md").read_text(encoding="utf-8").splitlines()
    g = read("\n".join(line[4:] for line in lines if line.startswith("    ")))
    assert slr_conflict(g) is None
    assert {"baker", "bakers", "eats", "hopes"} <= set(g.words)


def test_a_good_grammar_is_not_refused(read) -> None:
    assert slr_conflict(read(GOOD)) is None


def test_a_symbol_that_nothing_fits_is_refused(read) -> None:
    text = "start: S\nfeatures: {n: [one, two]}\nrules:\n  S:\n    A[n]: 1\n  A[one]:\n    X: 1\n"
    text += "words:\n  X:\n    - {words: x}\n"
    with pytest.raises(TextError, match=r"g.yaml:6: A\[two\]: no alternative fits it"):
        read(text)


def test_an_alternative_without_words_drops_out(read) -> None:
    """Tools have no verb here, so the other alternative takes all the weight."""
    g = read(
        "start: S\nfeatures: {k: [food, tool]}\nrules:\n"
        "  S:\n    P[tool]: 1\n    P[food]: 1\n  P[k]:\n    Verb[k]: 3\n    is: 1\n"
        "words:\n  Verb[k]:\n    - {words: smells, k: food}\n"
    )
    found = dict(g.generate(200, 1))
    assert set(found) == {"is", "smells"}
    assert found["smells"] == pytest.approx(math.log(3 / 8), rel=1e-12)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TextError, match=r"none.yaml: No such file.*one of ours \(english\)"):
        grammars.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"start: S\xe9\n")
    with pytest.raises(TextError, match=r"latin.yaml: not UTF-8 at byte 9"):
        grammars.load(tmp_path / "latin.yaml")
    (tmp_path / "empty.yaml").write_bytes(b"")
    with pytest.raises(TextError, match=r"empty.yaml:1: a grammar: must be a mapping"):
        grammars.load(tmp_path / "empty.yaml")


def _doubling(levels: int, last: str) -> str:
    """A sentence of 2^levels symbols without any recursion."""
    rules = "".join(f"  A{i}:\n    A{i + 1} A{i + 1}: 1\n" for i in range(levels))
    return f"start: A0\nrules:\n{rules}  A{levels}:\n    {last}: 1\nwords:\n  W:\n    - {{words: x}}\n"


_TEN = ", ".join(f"v{i}" for i in range(10))
_MANY = f"""start: S
features: {{{", ".join(f"{f}: [{_TEN.replace('v', 'v' + f)}]" for f in "abcdefgh")}}}
rules:
  S:
    T[a, b, c, d, e, f, g, h]: 1
  T[a, b, c, d, e, f, g, h]:
    W: 1
words:
  W:
    - {{words: x}}
"""
_SYMBOLS = f"""start: S
features: {{{", ".join(f"{f}: [{_TEN.replace('v', 'v' + f)}]" for f in "abcd")}}}
rules:
  S:
    T[va0, vb0, vc0, vd0]: 1
  T[a, b, c, d]:
    T[a, b, c2, d2]: 0.1
    T[a2, b2, c, d]: 0.1
    W: 1
words:
  W:
    - {{words: x}}
"""
UNBOUNDED = {
    "10^8 choices of free variables": (_MANY, "g.yaml:5: .*more than 50,000 plain rules"),
    "10^4 symbols": (_SYMBOLS, "g.yaml:[0-9]+: .*more than"),
    "a sentence of 2^27 words": (_doubling(27, "W"), r"g.yaml:4: A0: a sentence takes .*e\+08 rewritings"),
    "2^27 rewritings of no words": (_doubling(27, "''").replace("words:", "  W2:\n    W: 1\nwords:"), "g.yaml:"),
    "a sentence of 2^1100 words": (_doubling(1100, "W"), "g.yaml:4: A0: a sentence takes"),
    "lists 1,000 deep": ("start: " + "[" * 1000 + "]" * 1000, "g.yaml: .*nested too deep"),
    "mappings 100,000 deep": ("{a: " * 100_000 + "}" * 100_000, "g.yaml: .*nested too deep"),
}


@pytest.mark.parametrize("name", UNBOUNDED)
def test_a_grammar_without_bounds_is_refused(name: str, tmp_path: Path) -> None:
    text, message = UNBOUNDED[name]
    path = tmp_path / "g.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TextError, match=message):
        grammars.load(path)


def test_symbols_may_be_nested_1000_deep(tmp_path: Path) -> None:
    rules = "".join(f"  A{i}:\n    A{i + 1}: 1\n" for i in range(1000))
    path = tmp_path / "g.yaml"
    path.write_text(f"start: A0\nrules:\n{rules}  A1000:\n    W: 1\nwords:\n  W:\n    - {{words: x}}\n")
    assert grammars.describe(grammars.load(path)).mean_sentence_length == pytest.approx(1)


def test_a_proof_that_would_be_too_large_is_not_tried(tmp_path: Path) -> None:
    """Twenty categories that share words: 2^20 right sides in the place of one."""
    names = [chr(ord("A") + i) for i in range(20)]
    words = "".join(f"  {name}:\n    - {{words: {name.lower()} shared{i // 2}}}\n" for i, name in enumerate(names))
    path = tmp_path / "g.yaml"
    path.write_text(f"start: Start\nrules:\n  Start:\n    {' '.join(names)}: 1\nwords:\n{words}")
    found = grammars.describe(grammars.load(path))
    assert not found.unambiguous
    assert found.ambiguity == "the grammar is too large for the proof"
