"""The grammar's entropy against closed forms and against sampling; one derivation a sentence; agreement; errors."""

import hashlib
import math
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import yaml

from rnnlm import resources
from rnnlm.errors import InputError, TextError
from rnnlm.records import Progress
from rnnlm.text import grammar as grammars
from rnnlm.text.grammar import Description, Grammar, Written

ENGLISH = resources.folder("corpora") / "english.yaml"


@pytest.fixture(scope="module")
def english() -> Grammar:
    return grammars.load("english")


@pytest.fixture(scope="module")
def sample(english: Grammar) -> list[tuple[list[str], float]]:
    return [(sentence.split(), value) for sentence, value in english.generate(20_000, 7)]


@pytest.fixture
def read(tmp_path: Path):
    """Load a grammar from its text."""

    def load(text: str) -> Grammar:
        path = tmp_path / "g.yaml"
        path.write_text(text, encoding="utf-8")
        return grammars.load(path)

    return load


def run(work):
    """The records of a generator and what it returned."""
    records = []
    while True:
        try:
            records.append(next(work))
        except StopIteration as stop:
            return records, stop.value


def _words(sentence: str) -> list[str]:
    return sentence.split()


# Closed forms


def test_geometric_recursion(read) -> None:
    """S -> a S (p) | b (1 - p): 1 / (1 - p) words and h(p) / (1 - p) nats."""
    g = read("start: S\nrules:\n  S:\n    a S: 7\n    B: 3\nwords:\n  B:\n    - {words: b}\n")
    p = 0.7
    entropy = -(p * math.log(p) + (1 - p) * math.log(1 - p)) / (1 - p)
    assert g.entropy() == pytest.approx(entropy, rel=1e-12)
    assert g.mean_length() == pytest.approx(1 / (1 - p), rel=1e-12)
    assert g.entropy_rate() == pytest.approx(entropy / (1 / (1 - p) + 1), rel=1e-12)
    assert g.lowest_perplexity() == pytest.approx(math.exp(entropy / (1 / (1 - p) + 1)), rel=1e-12)
    assert g.describe().entropy_per_sentence_bits == pytest.approx(entropy / math.log(2), rel=1e-12)
    assert g.describe().entropy_rate_bits == pytest.approx(math.log2(g.lowest_perplexity()), rel=1e-12)


def test_bernoulli_of_two_words(read) -> None:
    """One word of two, p = 1/4: h(1/4) nats, one word, and </s> for nothing."""
    g = read(
        "start: S\nrules:\n  S:\n    A: 1\nwords:\n  A:\n    - {words: x, weight: 1}\n    - {words: y, weight: 3}\n"
    )
    entropy = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert g.entropy() == pytest.approx(entropy, rel=1e-12)
    assert g.mean_length() == pytest.approx(1, rel=1e-12)
    assert g.lowest_perplexity() == pytest.approx(math.exp(entropy / 2), rel=1e-12)


def test_center_embedding(read) -> None:
    """S -> a S b (p) | nothing (1 - p): 2 p / (1 - p) words; the empty sentence is one </s>."""
    g = read(
        "start: S\nrules:\n  S:\n    a S b: 1\n    C: 1\n  C:\n    '': 3\n    D: 1\nwords:\n  D:\n    - {words: d}\n"
    )
    # With p = 1/2 there is on average one pair, and C is drawn once.
    local = math.log(2) / 0.5
    c = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert g.entropy() == pytest.approx(local + c, rel=1e-12)
    assert g.mean_length() == pytest.approx(2 + 0.25, rel=1e-12)
    assert g.ambiguity is None
    assert "" in {sentence for sentence, _ in g.generate(50, 0)}


def test_two_nonterminals_that_call_each_other(read) -> None:
    """S -> x T, T -> y S (1/3) | z (2/3): solved by hand."""
    g = read("start: S\nrules:\n  S:\n    X T: 1\n  T:\n    y S: 1\n    z: 2\nwords:\n  X:\n    - {words: x}\n")
    h = -(1 / 3 * math.log(1 / 3) + 2 / 3 * math.log(2 / 3))
    assert g.entropy() == pytest.approx(h * 3 / 2, rel=1e-12)  # H_T = h + H_T / 3
    assert g.mean_length() == pytest.approx(3, rel=1e-12)  # L_T = 1 + (1 + L_T) / 3, L_S = 1 + L_T


def test_features_preferences_and_zipf(read) -> None:
    """A verb of weight w and an object of kind k come together as w * share(k); a free feature by its weights."""
    g = read(
        """
start: S
features: {n: {one: 3, many: 1}, k: [food, tool]}
zipf_shift: 1
rules:
  S:
    Verb[n, k] Noun[n, k]: 1
words:
  Noun[n, k]:
    - {k: food, words: cake/cakes pie/pies}
    - {k: tool, words: saw/saws}
  Verb[n, k]:
    - {words: eats/eat, weight: 2, k: food}
    - {words: uses/use, weight: 1, k: {food: 1, tool: 4}}
"""
    )
    # Zipf with shift 1: cake 1/2, pie 1/3, so 3/5 and 2/5 of food.
    kinds = {"eats": 2 / 3, "uses food": 1 / 15, "uses tool": 4 / 15}
    want = {
        "eats cake": kinds["eats"] * 0.6 * 0.75,
        "eat pies": kinds["eats"] * 0.4 * 0.25,
        "uses cake": kinds["uses food"] * 0.6 * 0.75,
        "use saws": kinds["uses tool"] * 0.25,
    }
    found = dict(g.generate(5000, 3))
    assert len(found) == 10
    for sentence, probability in want.items():
        assert found[sentence] == pytest.approx(math.log(probability), rel=1e-12)
    assert math.fsum(math.exp(value) for value in found.values()) == pytest.approx(1, rel=1e-12)
    assert g.entropy() == pytest.approx(-math.fsum(v * math.exp(v) for v in found.values()), rel=1e-12)


# The built-in grammar


def test_entropy_is_the_mean_of_the_samples(english: Grammar, sample) -> None:
    values = np.array([-value for _, value in sample])
    assert abs(values.mean() - english.entropy()) < 4 * values.std(ddof=1) / math.sqrt(len(values))
    lengths = np.array([len(words) for words, _ in sample])
    assert abs(lengths.mean() - english.mean_length()) < 4 * lengths.std(ddof=1) / math.sqrt(len(lengths))


def test_english_is_what_it_was_made_to_be(english: Grammar, sample) -> None:
    about = english.describe()
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


def ends(g: Grammar, words: list[str]):
    """An inside algorithm of the test's own: how many derivations the sentence has, and their probability."""

    @cache
    def symbol(i: int, a: int) -> dict[int, tuple[int, float]]:
        """What nonterminal i derives from position a on: by its end, (derivations, probability)."""
        total: dict[int, tuple[int, float]] = {}
        for rule in g.rules[i]:
            at = {a: (1, rule.probability)}
            for x in rule.right:
                after: dict[int, tuple[int, float]] = {}
                for position, (count, probability) in at.items():
                    if isinstance(x, str):
                        found = {position + 1: (1, 1.0)} if position < len(words) and words[position] == x else {}
                    else:
                        found = symbol(x, position)
                    for end, (c, p) in found.items():
                        before = after.get(end, (0, 0.0))
                        after[end] = before[0] + count * c, before[1] + probability * p
                at = after
                if not at:
                    break
            for end, (c, p) in at.items():
                before = total.get(end, (0, 0.0))
                total[end] = before[0] + c, before[1] + p
        return total

    return symbol(0, 0).get(len(words), (0, 0.0))


def test_every_sentence_has_one_derivation(english: Grammar, sample) -> None:
    longest = sorted(sample[:5000], key=lambda pair: -len(pair[0]))[:50]
    for words, value in sample[:250] + longest:
        count, probability = ends(english, words)
        assert count == 1, " ".join(words)
        assert math.log(probability) == pytest.approx(value, rel=1e-12)
    assert ends(english, _words("the dog sleep")) == (0, 0.0)
    assert ends(english, _words("the dogs that the girl chases sleep"))[0] == 1


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
        reader.sentence(_words("the dogs that the girl chases sleeps"))


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


# Generating and writing


def test_the_same_seed_gives_the_same_text(english: Grammar) -> None:
    def digest(seed) -> str:
        return hashlib.sha256("\n".join(sentence for sentence, _ in english.generate(500, seed)).encode()).hexdigest()

    assert digest(1) == digest(1) != digest(2)
    assert digest([1, 0]) != digest([1, 1])
    first = [sentence for sentence, _ in english.generate(100, 1)]
    assert first == [sentence for sentence, _ in english.generate(500, 1)][:100]


def test_a_text_is_the_same_on_every_machine(read) -> None:
    """On a grammar of the test's own, so that editing english.yaml does not touch it."""
    g = read("start: S\nrules:\n  S:\n    a S: 3\n    b S: 1\n    C: 2\nwords:\n  C:\n    - {words: c d e f g}\n")
    text = "".join(f"{sentence}\n" for sentence, _ in g.generate(1000, 42))
    assert (
        hashlib.sha256(text.encode()).hexdigest()
        == "70503db21eab23849799e536157319dc4b3af6978952baca0baaaabb7a377f8f"
    )


def test_deep_recursion_does_not_overflow(read) -> None:
    g = read("start: S\nrules:\n  S:\n    ( S ): 99999\n    C: 1\nwords:\n  C:\n    - {words: x}\n")
    longest = max(len(sentence.split()) for sentence, _ in g.generate(3, 1))
    assert longest > 20_000


def test_write(english: Grammar, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    records, written = run(grammars.write(english, 2500, 5, path))
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = list(english.generate(2500, 5))
    tokens = sum(len(line.split()) + 1 for line in lines)
    assert lines == [sentence for sentence, _ in pairs]
    assert isinstance(written, Written)
    assert (written.path, written.sentences, written.tokens) == (str(path), 2500, tokens)
    assert written.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert written.perplexity == pytest.approx(math.exp(-math.fsum(v for _, v in pairs) / tokens), rel=1e-12)
    assert written.perplexity == pytest.approx(english.lowest_perplexity(), rel=0.05)
    assert all(isinstance(record, Progress) and record.unit == "sentences" for record in records)
    assert [record.done for record in records] == [1000, 2000, 2500]
    assert records[-1].total == 2500


def test_a_write_that_is_stopped_leaves_nothing(english: Grammar, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("before")
    work = grammars.write(english, 5000, 5, path)
    next(work)
    work.close()
    assert [p.name for p in tmp_path.iterdir()] == ["text.txt"]
    assert path.read_text() == "before"


def test_write_refuses_no_sentences(english: Grammar, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sentences: found 0"):
        run(grammars.write(english, 0, 5, tmp_path / "text.txt"))


# Ambiguity


def test_an_ambiguous_grammar_is_noticed(read) -> None:
    """ "the dog sees the cat in the park": in the park belongs to either."""
    g = read(
        """
start: S
rules:
  S:
    N Verb: 1
  Verb:
    sees N: 1
    sees N in N: 1
  N:
    Thing: 3
    Thing in N: 1
words:
  Thing:
    - {words: dog cat park}
"""
    )
    assert g.ambiguity is not None
    assert not g.describe().unambiguous
    assert ends(g, _words("dog sees cat in park"))[0] == 2


def test_a_word_of_two_categories_is_noticed(read) -> None:
    text = "start: S\nrules:\n  S:\n    A: 1\n    B: 1\nwords:\n  A:\n    - {words: x y}\n  B:\n    - {words: z %s}\n"
    assert read(text % "x").ambiguity == "S makes x in two ways (line 5)"
    assert read(text % "w").ambiguity is None


def test_a_shift_that_could_be_a_reduction_is_noticed(read) -> None:
    g = read("start: S\nrules:\n  S:\n    S S: 1\n    A: 4\nwords:\n  A:\n    - {words: x}\n")
    assert g.ambiguity is not None


def test_a_rule_that_changes_nothing_is_noticed(read) -> None:
    g = read("start: S\nrules:\n  S:\n    S: 1\n    A: 4\nwords:\n  A:\n    - {words: x}\n")
    assert g.ambiguity == "before </s>, what was read may be the whole sentence or S"


# Errors: each names the file, the line and what is wrong there

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
    assert g.ambiguity is None
    assert {"baker", "bakers", "eats", "hopes"} <= set(g.words)


def test_a_good_grammar_is_not_refused(read) -> None:
    assert read(GOOD).ambiguity is None


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
    with pytest.raises(TextError, match=r"none.yaml: No such file"):
        grammars.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"start: S\xe9\n")
    with pytest.raises(TextError, match=r"latin.yaml: not UTF-8 at byte 8"):
        grammars.load(tmp_path / "latin.yaml")
    (tmp_path / "empty.yaml").write_bytes(b"")
    with pytest.raises(TextError, match=r"empty.yaml:1: a grammar: must be a mapping"):
        grammars.load(tmp_path / "empty.yaml")
