"""The built-in grammar: its size, one derivation a sentence, agreement, selection."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import pairwise

import pytest
import yaml
from derivations import ends

from rnnlm.config import recipes as resources
from rnnlm.corpora.grammar import Description, Grammar, describe

ENGLISH = resources.folder("corpora") / "english.yaml"


def test_english_is_what_it_was_made_to_be(english: Grammar, sample) -> None:
    about = describe(english)
    assert isinstance(about, Description)
    assert about.unambiguous
    assert about.ambiguity is None
    assert 150 <= about.words <= 400
    assert 8 <= about.mean_sentence_length <= 12
    assert 15 <= about.lowest_perplexity <= 40
    counts: dict[str, int] = {}
    for words, _ in sample:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    assert set(counts) == set(english.words)  # no word is so rare that 20,000 sentences miss it
    assert min(counts.values()) >= 20


def test_every_sentence_has_one_derivation(english: Grammar, sample) -> None:
    longest = sorted(sample[:5000], key=lambda pair: -len(pair[0]))[:50]
    for words, value in sample[:250] + longest:
        count, probability = ends(english, words)
        assert count == 1, " ".join(words)
        assert math.log(probability) == pytest.approx(value, rel=1e-12)
    assert ends(english, (["the", "dog", "sleep"])) == (0, 0.0)
    assert ends(english, (["the", "dogs", "that", "the", "girl", "chases", "sleep"]))[0] == 1


class Reader:
    """A hand-written reader of the language over the bare word lists: asserts agreement at verbs and determiners."""

    def __init__(self) -> None:
        raw = yaml.load(ENGLISH.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)["words"]
        self.category: dict[str, str] = {}
        self.number: dict[str, str] = {}
        for left, groups in raw.items():
            name = left.partition("[")[0]
            for group in groups:
                for word in group["words"].split():
                    forms = word.split("/")
                    for form, number in zip(forms, ("singular", "plural"), strict=False):
                        assert form not in self.category, f"{form} is in two categories"
                        self.category[form] = name
                        self.number[form] = group.get("n", number if len(forms) == 2 else "any")

    def sentence(self, words: list[str]) -> None:
        self.left, self.verbs, self.deepest = [*words, "</s>"], 0, 0
        if self.next() == "Time":
            self.take()
        self.clause()
        if self.left[0] == ",":
            self.take(2)
            self.clause()
        assert self.left == ["</s>"], self.left

    def next(self) -> str:
        return self.category.get(self.left[0], self.left[0])

    def take(self, count: int = 1) -> str:
        word, self.left = self.left[0], self.left[count:]
        return word

    def clause(self) -> None:
        number = self.phrase(0)
        if self.left[0] == "and":
            self.take()
            self.phrase(0)
            number = "plural"
        self.event(number, 0)

    def phrase(self, depth: int) -> str:
        """A noun phrase with all that hangs on it; its number."""
        if self.next() == "Name":
            self.take()
            return "singular"
        assert self.next() == "Determiner"
        determiner = self.take()
        if self.next() == "Quality":
            assert determiner != "a" or self.left[0][0] not in "aeiou"
            self.take()
        assert self.next() == "Noun"
        assert determiner != "a" or self.left[0][0] not in "aeiou"
        number = self.number[self.take()]
        assert self.number[determiner] in (number, "any")
        if self.next() == "Link":
            self.take()
            self.phrase(depth)
        elif self.left[0] == "that":
            self.take()
            if self.next() in ("Determiner", "Name"):
                inner = self.phrase(depth + 1)
                assert self.next() == "Transitive"
                self.agree(inner, depth + 1)
            else:
                self.event(number, depth + 1)
        return number

    def agree(self, number: str, depth: int) -> str:
        kind, verb = self.next(), self.take()
        assert self.number[verb] == number, verb
        self.verbs += 1
        self.deepest = max(self.deepest, depth)
        return kind

    def event(self, number: str, depth: int) -> None:
        kind = self.agree(number, depth)
        if kind == "Intransitive":
            if self.next() == "Manner":
                self.take()
        elif kind == "Copula":
            if self.left[0] == "very":
                self.take()
            assert self.next() == "Quality"
            self.take()
        elif kind == "Claim":
            assert self.take() == "that"
            self.clause()
        else:
            if kind in ("Stay", "Go"):
                assert self.next() == {"Stay": "Location", "Go": "Direction"}[kind]
                self.take()
            self.phrase(depth)
            if kind in ("Give", "Put"):
                assert self.next() == {"Give": "to", "Put": "Location"}[kind]
                self.take()
                self.phrase(depth)


def test_verbs_agree_with_their_subjects(sample) -> None:
    reader, verbs, deepest = Reader(), 0, 0
    for words, _ in sample:
        reader.sentence(words)
        verbs, deepest = verbs + reader.verbs, max(deepest, reader.deepest)
    assert verbs > len(sample)
    assert deepest >= 2  # a relative clause within a relative clause was among them
    with pytest.raises(AssertionError):
        reader.sentence(["the", "dogs", "that", "the", "girl", "chases", "sleeps"])


def test_selection(sample) -> None:
    """Only people and animals eat, and what is eaten right after "eats the" is food or a plant."""
    raw = yaml.load(ENGLISH.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)["words"]["Noun[n, k]"]
    kind = {form: group["k"] for group in raw for word in group["words"].split() for form in word.split("/")}
    subjects = {kind[a] for words, _ in sample for a, b in pairwise(words) if a in kind and b == "eats"}
    objects = {
        kind[c]
        for words, _ in sample
        for a, b, c in zip(words, words[1:], words[2:], strict=False)
        if a == "eats" and c in kind
    }
    assert {"person", "animal"} <= subjects
    assert objects == {"food", "plant"}


def test_importing_it_leaves_scipy_alone() -> None:
    """SciPy takes longer to import than the rest, and is needed only to check a grammar."""
    code = "import sys, rnnlm.corpora.grammar; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
