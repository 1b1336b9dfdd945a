"""A probabilistic context-free grammar: the corpus it writes, and the lowest perplexity any model can reach on it.

The file (``corpora/README.md`` shows one) has features, rules and words. A rule such as

    Event[n, k]:
      Transitive[n, k, k2] Phrase[n2, k2]: 40

stands for one plain rule for every choice of values. Variables of the left side are given; the free ones (k2, n2)
are drawn in proportion to the weights of their values, times the total weight, under that choice, of each word
category of the rule (here: how much the transitive verbs take k as subject and k2 as object). So a verb of weight w
and an object of kind k2 come together in proportion to w * share(k) * share(k2), where a word's shares of one feature
add up to 1. An alternative is drawn by its weight over the sum of the weights of the alternatives that fit.

With p(r) the probability of plain rule r, n_j(r) how often nonterminal j stands on its right side, w(r) its words:

    A_ij = sum_r p(r) n_j(r)          r over the rules of nonterminal i; finite sentences need spectral radius(A) < 1
    H = A H - sum_r p(r) log p(r)     entropy of what each nonterminal derives, in nats (Grenander 1967)
    L = A L + sum_r p(r) w(r)         mean length likewise (Booth & Thompson 1973)
    lowest perplexity = exp(H_start / (L_start + 1))          a sentence's </s> is one token more

H is the entropy of derivations, and that of sentences only where every sentence has one derivation; elsewhere it is
an upper bound. `Grammar.ambiguity` shows which, by building the SLR(1) automaton of the plain grammar (DeRemer 1971):
without a conflict a shift-reduce parser never has a choice, so the grammar is unambiguous (Knuth 1965).
``english.yaml`` passes because it is made so: every word belongs to one category; a verb's category says what follows
the verb; a noun has at most one modifier; what may be left out begins with a word that cannot come next without it;
clauses are joined at the top only, after a comma.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from rnnlm import resources
from rnnlm.errors import InputError, TextError
from rnnlm.records import Progress
from rnnlm.storage import atomic_write

_BLOCK = 1000  # sentences between two progress records


@dataclass(frozen=True)
class Rule:
    """One plain rule. `right` holds words (str) and nonterminals (int, their index); `line` is where it is."""

    right: tuple[int | str, ...]
    probability: float
    line: int


@dataclass(frozen=True)
class Description:
    """What can be said of a grammar without a text. Lengths in words; a sentence's </s> is counted in the rates only.

    Where `unambiguous` is False, `ambiguity` says what stood in the way, and the figures are upper bounds.
    """

    path: str
    words: int
    nonterminals: int
    rules: int
    mean_sentence_length: float
    entropy_per_sentence_bits: float
    entropy_rate_bits: float
    lowest_perplexity: float
    unambiguous: bool
    ambiguity: str | None


@dataclass(frozen=True)
class Written:
    """A text that `write` made. `tokens` counts one </s> a sentence; `perplexity` is the grammar's own."""

    path: str
    sentences: int
    tokens: int
    perplexity: float
    sha256: str


@dataclass(frozen=True)
class Grammar:
    """A plain grammar that has been checked. `rules[i]` are those of nonterminal `symbols[i]`; the start is number 0.

    `categories` are the nonterminals that are word categories: each of their rules is one word.
    """

    path: str
    symbols: tuple[str, ...]
    rules: tuple[tuple[Rule, ...], ...]
    categories: frozenset[int] = field(default=frozenset())

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Every word of the language, sorted."""
        return tuple(sorted({x for rules in self.rules for rule in rules for x in rule.right if isinstance(x, str)}))

    def entropy(self) -> float:
        """Entropy of a sentence in nats, exact (of its derivation where the grammar is ambiguous)."""
        local = [-math.fsum(rule.probability * math.log(rule.probability) for rule in rules) for rules in self.rules]
        return self._expected(local)

    def mean_length(self) -> float:
        """Mean number of words in a sentence, without </s>, exact."""
        local = [
            math.fsum(rule.probability * sum(isinstance(x, str) for x in rule.right) for rule in rules)
            for rules in self.rules
        ]
        return self._expected(local)

    def entropy_rate(self) -> float:
        """Nats a token, one </s> a sentence counted; over ``math.log(2)``, bits a token."""
        return self.entropy() / (self.mean_length() + 1)

    def lowest_perplexity(self) -> float:
        """The perplexity of the grammar itself; no model has a lower one on its texts, but by chance."""
        return math.exp(self.entropy_rate())

    @cached_property
    def ambiguity(self) -> str | None:
        """None where the grammar is shown to be unambiguous, else the first conflict of its SLR(1) automaton.

        A conflict is no proof of ambiguity; there are unambiguous grammars that are not SLR(1).
        """
        return _slr_conflict(self)

    def describe(self) -> Description:
        return Description(
            path=self.path,
            words=len(self.words),
            nonterminals=len(self.symbols),
            rules=sum(len(rules) for rules in self.rules),
            mean_sentence_length=self.mean_length(),
            entropy_per_sentence_bits=self.entropy() / math.log(2),
            entropy_rate_bits=self.entropy_rate() / math.log(2),
            lowest_perplexity=self.lowest_perplexity(),
            unambiguous=self.ambiguity is None,
            ambiguity=self.ambiguity,
        )

    def generate(self, sentences: int, seed: int | Sequence[int]) -> Iterator[tuple[str, float]]:
        """Sentences drawn independently, each with the natural logarithm of its probability.

        The words are the same on every machine: one PCG64 stream of doubles, one draw for every nonterminal that has
        a choice, leftmost first. A stack stands in for recursion, so depth has no limit. A seed may be a sequence,
        such as (seed, part), for texts that must differ.
        """
        uniform = _uniforms(seed)
        tables = self._tables
        for _ in range(sentences):
            words: list[str] = []
            log_probability = 0.0
            stack: list[int | str] = [0]
            while stack:
                symbol = stack.pop()
                if isinstance(symbol, str):
                    words.append(symbol)
                    continue
                bounds, rights, logs = tables[symbol]
                choice = bisect_right(bounds, next(uniform)) if bounds else 0
                log_probability += logs[choice]
                stack.extend(rights[choice])
            yield " ".join(words), log_probability

    @cached_property
    def _tables(self) -> list[tuple[list[float], list[tuple[int | str, ...]], list[float]]]:
        """For each nonterminal: inner bounds of its rules in [0, 1), reversed right sides, log probabilities."""
        tables = []
        for rules in self.rules:
            bounds = list(itertools.accumulate(rule.probability for rule in rules))[:-1]
            tables.append(
                (bounds, [rule.right[::-1] for rule in rules], [math.log(rule.probability) for rule in rules])
            )
        return tables

    @cached_property
    def _means(self) -> np.ndarray:
        """A: how often, on average, nonterminal j stands in one rewriting of nonterminal i."""
        means = np.zeros((len(self.symbols), len(self.symbols)))
        for i, rules in enumerate(self.rules):
            for rule in rules:
                for x in rule.right:
                    if isinstance(x, int):
                        means[i, x] += rule.probability
        return means

    def _expected(self, local: list[float]) -> float:
        """The start's entry of x = A x + local."""
        return float(np.linalg.solve(np.eye(len(local)) - self._means, np.array(local))[0])


def load(path: str | Path) -> Grammar:
    """Read a grammar file (or one that comes with rnnlm, by its name), expand its features, check it.

    Raises:
        TextError: one line that names the file, line and rule: not YAML; an unknown key, symbol, variable or value;
            a symbol used with other features than it has; a weight that is not a positive number; a rule or word that
            no sentence can reach; a symbol that never comes to an end; recursion without end on average.
    """
    path = resources.find("corpora", path, ".yaml")
    source = _read(path)
    grammar = _expand(source)
    _check_finite(grammar)
    return grammar


def write(
    grammar: Grammar, sentences: int, seed: int | Sequence[int], path: str | Path
) -> Generator[Progress, None, Written]:
    """Write a text of `sentences` sentences, one a line, in UTF-8; whole or not at all.

    Raises:
        InputError: fewer than one sentence.
        ResourceError: the path cannot be written.
    """
    if sentences < 1:
        raise InputError(f"sentences: found {sentences}; write at least 1")
    path = Path(path)
    digest, tokens, log_probability, done = hashlib.sha256(), 0, 0.0, 0
    drawn = grammar.generate(sentences, seed)
    with atomic_write(path) as file:
        while block := list(itertools.islice(drawn, _BLOCK)):
            lines = "".join(f"{sentence}\n" for sentence, _ in block).encode()
            file.write(lines)
            digest.update(lines)
            tokens += sum(len(sentence.split()) + 1 for sentence, _ in block)
            log_probability += math.fsum(value for _, value in block)
            done += len(block)
            yield Progress(f"write {path.name}", done, sentences, "sentences")
    return Written(str(path), sentences, tokens, math.exp(-log_probability / tokens), digest.hexdigest())


def _uniforms(seed: int | Sequence[int]) -> Iterator[float]:
    generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed)))
    while True:
        yield from generator.random(8192).tolist()


# Reading: YAML -> symbols with arguments, each with its line


@dataclass(frozen=True)
class _Symbol:
    name: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name}[{', '.join(self.arguments)}]" if self.arguments else self.name


@dataclass(frozen=True)
class _Alternative:
    right: tuple[_Symbol | str, ...]
    text: str
    weight: float
    line: int


@dataclass(frozen=True)
class _Block:
    """One key of ``rules``: a left side and its alternatives."""

    left: _Symbol
    alternatives: tuple[_Alternative, ...]
    line: int


@dataclass(frozen=True)
class _Word:
    """One word of a category. `forms` follow the values of the category's first argument; `likes`: shares of use."""

    forms: tuple[str, ...]
    weight: float
    likes: tuple[dict[str, float], ...]
    line: int


@dataclass
class _Source:
    path: Path
    start: str
    features: dict[str, dict[str, float]]
    blocks: dict[str, list[_Block]]
    categories: dict[str, list[_Word]]
    # The feature of each argument, and the line, of every symbol that the file defines.
    kinds: dict[str, tuple[str, ...]]
    lines: dict[str, int]

    def feature(self, argument: str) -> str | None:
        """The feature that a value or a variable (a feature's name and maybe digits) belongs to."""
        for name, values in self.features.items():
            if argument in values or (argument.startswith(name) and re.fullmatch(r"\d*", argument[len(name) :])):
                return name
        return None

    def is_value(self, argument: str) -> bool:
        return any(argument in values for values in self.features.values())


_SYMBOL = re.compile(r"([A-Z]\w*)(?:\[([^\[\]]*)\])?")
_ITEM = re.compile(r"[A-Z]\w*\[[^\]]*\]?|\S+")


def _error(path: Path, line: int, text: str) -> TextError:
    return TextError(f"{path}:{line}: {text}")


def _read(path: Path) -> _Source:
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise TextError(f"{path}: not UTF-8 at byte {error.start}; a grammar is UTF-8 text") from None
    except OSError as error:
        raise TextError(
            f"{path}: {error.strerror}; give a grammar file, or the name of one of ours (english)"
        ) from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _error(path, line, f"not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise TextError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    sections = {key: value for key, value, _ in _pairs(path, node, "a grammar")}
    for key, _, line in _pairs(path, node, "a grammar"):
        if key not in ("start", "features", "zipf_shift", "rules", "words"):
            raise _error(
                path, line, f"{key}: unknown key; the keys here are start, features, zipf_shift, rules and words"
            )
    for key in ("start", "rules", "words"):
        if key not in sections:
            raise _error(path, 1, f"{key}: missing; a grammar needs start, rules and words")
    source = _Source(path, _text(path, sections["start"], "start"), {}, {}, {}, {}, {})
    for name, values, line in _pairs(path, sections["features"], "features") if "features" in sections else ():
        _read_feature(source, name, values, line)
    for left, alternatives, line in _pairs(path, sections["rules"], "rules"):
        symbol = _define(source, left, line, again=True)
        if symbol.name in source.categories:
            raise _error(path, line, f"{symbol.name}: has rules and words; keep one")
        right = _pairs(path, alternatives, f"{left} (right side: weight)")
        found = tuple(
            _Alternative(
                _right_side(source, text, at), f"{left} -> {text or 'nothing'}", _number(path, value, text), at
            )
            for text, value, at in right
        )
        source.blocks.setdefault(symbol.name, []).append(_Block(symbol, found, line))
    shift = _number(path, sections["zipf_shift"], "zipf_shift") if "zipf_shift" in sections else 2.0
    for left, groups, line in _pairs(path, sections["words"], "words"):
        symbol = _define(source, left, line, again=False)
        source.categories[symbol.name] = _read_words(source, symbol, groups, line, shift)
    for blocks in source.blocks.values():
        for block in blocks:
            for alternative in block.alternatives:
                for item in alternative.right:
                    if isinstance(item, _Symbol):
                        _check_use(source, item, alternative.line)
    if source.start not in source.blocks or source.kinds[source.start]:
        line = sections["start"].start_mark.line + 1
        raise _error(path, line, f"start: found {source.start}; give a symbol without features that has rules")
    return source


def _read_feature(source: _Source, name: str, node: yaml.Node, line: int) -> None:
    earlier = [value for values in source.features.values() for value in values]
    if not re.fullmatch(r"[a-z]+", name) or any(re.fullmatch(rf"{name}\d*", value) for value in earlier):
        raise _error(
            source.path, line, f"features: {name}: a feature's name is small letters, and no other's name or value"
        )
    if isinstance(node, yaml.SequenceNode):
        values = {_text(source.path, value, name): 1.0 for value in node.value}
    else:
        values = {key: _number(source.path, value, key) for key, value, _ in _pairs(source.path, node, name)}
    for value in values:
        if source.feature(value) or re.fullmatch(rf"{name}\d*", value):
            raise _error(
                source.path, line, f"features: {name}: the value {value} is also a value or variable; rename one"
            )
    source.features[name] = values


def _read_words(source: _Source, left: _Symbol, node: yaml.Node, line: int, shift: float) -> list[_Word]:
    """The words of one category. The r-th of a group has weight 1 / (r + shift) in it (Mandelbrot 1953)."""
    path, found, seen = source.path, [], set()
    if not isinstance(node, yaml.SequenceNode) or not node.value:
        raise _error(path, line, f"{left}: found no list; write '- {{words: first/firsts second/seconds}}' lines")
    for group in node.value:
        at = group.start_mark.line + 1
        keys = {key: value for key, value, _ in _pairs(path, group, str(left))}
        for key in keys:
            if key not in ("words", "weight", *left.arguments):
                raise _error(
                    path,
                    at,
                    f"{left}: {key}: unknown key; the keys here are words, weight {' '.join(left.arguments)}",
                )
        words = _text(path, keys["words"], "words").split() if "words" in keys else []
        if not words:
            raise _error(path, at, f"{left}: a group without words; give words: ...")
        weight = _number(path, keys["weight"], "weight") if "weight" in keys else 1.0
        likes = tuple(
            _likes(source, argument, keys.get(argument), feature)
            for argument, feature in zip(left.arguments, source.kinds[left.name], strict=True)
        )
        shares = [1 / (rank + shift) for rank in range(1, len(words) + 1)]
        for word, share in zip(words, shares, strict=True):
            forms = tuple(word.split("/"))
            wanted = len(source.features[source.kinds[left.name][0]]) if left.arguments else 1
            if not all(forms):
                raise _error(path, at, f"{left}: {word}: found an empty form; write forms with / between them")
            if len(forms) not in (1, wanted):
                raise _error(path, at, f"{left}: {word}: found {len(forms)} forms; give 1 or {wanted}, parted by /")
            for form in set(forms):
                if form in seen:
                    raise _error(path, at, f"{left}: {form}: the word stands twice in this category; keep one")
                seen.add(form)
            found.append(_Word(forms, weight * share / sum(shares), likes, at))
    return found


def _likes(source: _Source, argument: str, node: yaml.Node | None, feature: str) -> dict[str, float]:
    """How a word's use is shared out over the values, in all 1: evenly where nothing is said."""
    values = source.features[feature]
    if node is None:
        return dict.fromkeys(values, 1 / len(values))
    at = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode):
        found = {str(node.value): 1.0}
    else:
        found = {key: _number(source.path, value, key) for key, value, _ in _pairs(source.path, node, argument)}
    for value in found:
        if value not in values:
            raise _error(
                source.path, at, f"{argument}: {value}: not a value of {feature}; give some of {', '.join(values)}"
            )
    total = math.fsum(found.values())
    return {value: weight / total for value, weight in found.items()}


def _define(source: _Source, text: str, line: int, again: bool) -> _Symbol:
    """The symbol on a left side. Rules may have several blocks of one name (`again`), all with the same features."""
    symbol = _symbol(source, text, line)
    features = tuple(source.feature(argument) or "" for argument in symbol.arguments)
    if symbol.name in source.kinds and (not again or source.kinds[symbol.name] != features):
        before = source.lines[symbol.name]
        raise _error(source.path, line, f"{text}: {symbol.name} stands in line {before} already; give it one meaning")
    if not again and (
        len(set(symbol.arguments)) < len(symbol.arguments) or any(map(source.is_value, symbol.arguments))
    ):
        raise _error(source.path, line, f"{text}: a word category takes different variables")
    source.kinds[symbol.name] = features
    source.lines.setdefault(symbol.name, line)
    return symbol


def _symbol(source: _Source, text: str, line: int) -> _Symbol:
    match = _SYMBOL.fullmatch(text)
    if not match:
        raise _error(
            source.path, line, f"{text}: not a symbol; write Name or Name[feature, ...], with a capital first"
        )
    arguments = tuple(part.strip() for part in match[2].split(",")) if match[2] is not None else ()
    for argument in arguments:
        if source.feature(argument) is None:
            known = "; ".join(f"{name}: {', '.join(values)}" for name, values in source.features.items()) or "none"
            raise _error(source.path, line, f"{text}: {argument}: unknown feature or value; there are {known}")
    return _Symbol(match[1], arguments)


def _right_side(source: _Source, text: str, line: int) -> tuple[_Symbol | str, ...]:
    """What starts with a capital is a symbol, everything else is a word."""
    items = _ITEM.findall(text)
    return tuple(_symbol(source, item, line) if re.match(r"[A-Z]", item) else item for item in items)


def _check_use(source: _Source, item: _Symbol, line: int) -> None:
    if item.name not in source.kinds:
        raise _error(source.path, line, f"{item}: undefined; give {item.name} rules or words")
    features = tuple(source.feature(argument) for argument in item.arguments)
    if features != source.kinds[item.name]:
        wanted = _Symbol(item.name, source.kinds[item.name])
        raise _error(
            source.path, line, f"{item}: does not fit {wanted}, which line {source.lines[item.name]} defines"
        )


def _pairs(path: Path, node: yaml.Node | None, what: str) -> list[tuple[str, yaml.Node, int]]:
    """Key, value and line of a mapping's entries. Keys stay as they are written: ``on`` and ``no`` are words here."""
    if not isinstance(node, yaml.MappingNode) or not node.value:
        raise _error(path, node.start_mark.line + 1 if node else 1, f"{what}: must be a mapping of key: value lines")
    result: list[tuple[str, yaml.Node, int]] = []
    for key, value in node.value:
        line = key.start_mark.line + 1
        text = _text(path, key, what)
        if any(text == other for other, _, _ in result):
            raise _error(path, line, f"{text}: stands here twice; keep one")
        result.append((text, value, line))
    return result


def _text(path: Path, node: yaml.Node, what: str) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise _error(path, node.start_mark.line + 1, f"{what}: must be plain text")
    return " ".join(str(node.value).split())


def _number(path: Path, node: yaml.Node, what: str) -> float:
    text = _text(path, node, what)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (value > 0 and math.isfinite(value)):
        raise _error(
            path, node.start_mark.line + 1, f"{what or 'nothing'}: found the weight {text}; give a number above 0"
        )
    return value


# Expanding: symbols with arguments -> plain rules, from the start on


class _Expansion:
    def __init__(self, source: _Source) -> None:
        self.source = source
        self.numbers: dict[_Symbol, int] = {}
        self.order: list[_Symbol] = []
        self.used: set[int] = set()  # alternatives and words, by id

    def number(self, symbol: _Symbol) -> int:
        if symbol not in self.numbers:
            self.numbers[symbol] = len(self.order)
            self.order.append(symbol)
        return self.numbers[symbol]

    def words(self, symbol: _Symbol) -> list[tuple[str, float, _Word]]:
        """The words of a category under given values, with their weights."""
        source = self.source
        first = source.kinds[symbol.name][0] if symbol.arguments else None
        found = []
        for word in source.categories[symbol.name]:
            weight = word.weight
            for likes, value in zip(word.likes, symbol.arguments, strict=True):
                weight *= likes.get(value, 0.0)
            if weight > 0:
                form = list(source.features[first]).index(symbol.arguments[0]) if first and len(word.forms) > 1 else 0
                found.append((word.forms[form], weight, word))
        return found

    def category_rules(self, symbol: _Symbol) -> list[Rule]:
        found = self.words(symbol)
        total = math.fsum(weight for _, weight, _ in found)
        self.used.update(id(word) for _, _, word in found)
        return [Rule((form,), weight / total, word.line) for form, weight, word in found]

    def symbol_rules(self, symbol: _Symbol) -> list[Rule]:
        """The rules of one nonterminal: all blocks whose left side it matches, put together."""
        fitting: list[tuple[_Alternative, list[tuple[tuple[_Symbol | str, ...], float]]]] = []
        for block in self.source.blocks[symbol.name]:
            given = self.match(block.left, symbol)
            if given is None:
                continue
            for alternative in block.alternatives:
                choices = self.choices(alternative, given)
                if choices:
                    fitting.append((alternative, choices))
                    self.used.add(id(alternative))
        weights = math.fsum(alternative.weight for alternative, _ in fitting)
        rules = []
        for alternative, choices in fitting:
            total = math.fsum(weight for _, weight in choices)
            for right, weight in choices:
                plain = tuple(x if isinstance(x, str) else self.number(x) for x in right)
                rules.append(Rule(plain, alternative.weight / weights * (weight / total), alternative.line))
        if not rules:
            line = self.source.lines[symbol.name]
            raise _error(
                self.source.path, line, f"{symbol}: no alternative fits it; add a rule or a word, or keep it out"
            )
        return rules

    def match(self, left: _Symbol, symbol: _Symbol) -> dict[str, str] | None:
        given: dict[str, str] = {}
        for argument, value in zip(left.arguments, symbol.arguments, strict=True):
            wanted = argument if self.source.is_value(argument) else given.setdefault(argument, value)
            if wanted != value:
                return None
        return given

    def choices(
        self, alternative: _Alternative, given: dict[str, str]
    ) -> list[tuple[tuple[_Symbol | str, ...], float]]:
        """The right side under every choice of its free variables that has weight."""
        source = self.source
        mentioned = dict.fromkeys(a for x in alternative.right if isinstance(x, _Symbol) for a in x.arguments)
        free = [a for a in mentioned if a not in given and not source.is_value(a)]
        found = []
        for values in itertools.product(*(source.features[source.feature(a) or ""].items() for a in free)):
            bound = given | {a: value for a, (value, _) in zip(free, values, strict=True)}
            weight = math.prod(weight for _, weight in values)
            right: list[_Symbol | str] = []
            for x in alternative.right:
                if isinstance(x, _Symbol):
                    x = _Symbol(x.name, tuple(bound.get(a, a) for a in x.arguments))
                    if x.name in source.categories:
                        weight *= math.fsum(w for _, w, _ in self.words(x))
                right.append(x)
            if weight > 0:
                found.append((tuple(right), weight))
        return found


def _expand(source: _Source) -> Grammar:
    expansion = _Expansion(source)
    expansion.number(_Symbol(source.start, ()))
    rules: list[tuple[Rule, ...]] = []
    categories: set[int] = set()
    while len(rules) < len(expansion.order):
        number = len(rules)
        symbol = expansion.order[number]
        if symbol.name in source.categories:
            categories.add(number)
            rules.append(tuple(expansion.category_rules(symbol)))
        else:
            rules.append(tuple(expansion.symbol_rules(symbol)))
    reached = {symbol.name for symbol in expansion.order}
    for name, line in source.lines.items():
        if name not in reached:
            raise _error(
                source.path, line, f"{name}: no sentence can reach it from {source.start}; use it or take it out"
            )
    for blocks in source.blocks.values():
        for alternative in itertools.chain.from_iterable(block.alternatives for block in blocks):
            if id(alternative) not in expansion.used:
                raise _error(
                    source.path, alternative.line, f"{alternative.text}: no sentence can use it; mend or take it out"
                )
    for words in source.categories.values():
        for word in words:
            if id(word) not in expansion.used:
                raise _error(
                    source.path, word.line, f"{'/'.join(word.forms)}: no sentence can use it; mend or take it out"
                )
    return Grammar(str(source.path), tuple(map(str, expansion.order)), tuple(rules), frozenset(categories))


# Checking


def _check_finite(grammar: Grammar) -> None:
    """Every nonterminal can come to an end, and does so after finitely many steps on average."""
    path = Path(grammar.path)
    productive: set[int] = set()
    while True:
        more = {
            i
            for i, rules in enumerate(grammar.rules)
            if i not in productive and any(all(isinstance(x, str) or x in productive for x in r.right) for r in rules)
        }
        if not more:
            break
        productive |= more
    for i, rules in enumerate(grammar.rules):
        if i not in productive:
            name = grammar.symbols[i]
            raise _error(
                path, rules[0].line, f"{name}: never comes to an end; give it an alternative without recursion"
            )
    means = grammar._means
    _, part = connected_components(csr_array(means), directed=True, connection="strong")
    for component in range(int(part.max()) + 1):
        members = np.flatnonzero(part == component)
        growth = float(np.abs(np.linalg.eigvals(means[np.ix_(members, members)])).max())
        # At growth 1 sentences do end, but their mean length is infinite.
        if growth > 1 - 1e-9:
            line, name = grammar.rules[members[0]][0].line, grammar.symbols[members[0]]
            advice = "lower the weights of the alternatives that lead back to it"
            found = f"recursion grows by a factor of {growth:.3g} a step, so the mean length is infinite"
            raise _error(path, line, f"{name}: {found}; {advice}")


# Showing that a grammar is unambiguous

_Right = tuple[int | str, ...]


def _slr_conflict(grammar: Grammar) -> str | None:
    """The first conflict of the SLR(1) automaton, or None (Aho, Lam, Sethi & Ullman 2006, algorithm 4.46)."""
    lefts, rights, twice = _without_categories(grammar)
    if twice:
        return twice
    by_left: dict[int | str, list[int]] = defaultdict(list)
    for rule, left in enumerate(lefts):
        by_left[left].append(rule)
    names = (*grammar.symbols, "the whole sentence")  # number -1, the new start, is the last
    follow = _follow(lefts, rights)
    # A state is its kernel: a set of (rule, position of the dot).
    start = frozenset({(0, 0)})
    states, todo = {start}, [start]
    while todo:
        moves: dict[int | str, set[tuple[int, int]]] = defaultdict(set)
        reductions: dict[str, int] = {}
        for rule, dot in sorted(_closure(todo.pop(), rights, by_left)):
            if dot < len(rights[rule]):
                moves[rights[rule][dot]].add((rule, dot + 1))
                continue
            for word in sorted(follow[lefts[rule]]):
                if word in reductions:
                    one, two = (names[lefts[r]] for r in (reductions[word], rule))
                    return f"before {word or '</s>'}, what was read may be {one} or {two}"
                reductions[word] = rule
        for word, rule in reductions.items():
            if word in moves:
                return f"{word} may belong to {names[lefts[rule]]} or come after it"
        for state in map(frozenset, moves.values()):
            if state not in states:
                states.add(state)
                todo.append(state)
    return None


def _without_categories(grammar: Grammar) -> tuple[list[int], list[_Right], str | None]:
    """Left and right sides with words in the place of categories, and the first right side that a symbol has twice.

    Rule 0 is start' -> start, with -1 for start'. Which category a word came from follows from the rule. Words
    that the same categories have behave the same, so one of them stands for all.
    """
    homes: dict[str, set[int]] = defaultdict(set)
    literals = set()
    for number, rules in enumerate(grammar.rules):
        for word in (x for rule in rules for x in rule.right if isinstance(x, str)):
            if number in grammar.categories:
                homes[word].add(number)
            else:
                literals.add(word)
    examples: dict[frozenset[int], str] = {}
    stands_for = {
        word: examples.setdefault(frozenset(home), word) for word, home in homes.items() if word not in literals
    }
    stands_for.update((word, word) for word in literals)

    lefts: list[int] = [-1]
    rights: list[_Right] = [(0,)]
    for number, rules in enumerate(grammar.rules):
        if number in grammar.categories:
            continue
        seen: set[_Right] = set()
        for rule in rules:
            options: list[list[int | str]] = []
            for x in rule.right:
                if isinstance(x, str):
                    options.append([x])
                elif x in grammar.categories:
                    options.append(sorted({stands_for[str(word.right[0])] for word in grammar.rules[x]}))
                else:
                    options.append([x])
            for right in itertools.product(*options):
                if right in seen:
                    shown = " ".join(x if isinstance(x, str) else grammar.symbols[x] for x in right) or "nothing"
                    return lefts, rights, f"{grammar.symbols[number]} makes {shown} in two ways (line {rule.line})"
                seen.add(right)
                lefts.append(number)
                rights.append(right)
    return lefts, rights, None


def _closure(
    kernel: frozenset[tuple[int, int]], rights: list[_Right], by_left: dict[int | str, list[int]]
) -> set[tuple[int, int]]:
    """The kernel and every rule of each symbol that stands right of a dot."""
    items, todo = set(kernel), list(kernel)
    while todo:
        rule, dot = todo.pop()
        if dot < len(rights[rule]):
            new = {(other, 0) for other in by_left.get(rights[rule][dot], ())} - items
            items |= new
            todo += new
    return items


def _first(lefts: list[int], rights: list[_Right]) -> tuple[set[int], dict[int, set[str]]]:
    """Nonterminals that derive the empty string, and the words that each nonterminal can begin with."""
    nullable: set[int] = set()
    first: dict[int, set[str]] = defaultdict(set)
    changed = True
    while changed:
        changed = False
        for left, right in zip(lefts, rights, strict=True):
            before = len(first[left]), left in nullable
            for x in right:
                first[left] |= {x} if isinstance(x, str) else first[x]
                if x not in nullable:
                    break
            else:
                nullable.add(left)
            changed |= before != (len(first[left]), left in nullable)
    return nullable, first


def _follow(lefts: list[int], rights: list[_Right]) -> dict[int, set[str]]:
    """The words that can come right after each nonterminal; "" is the sentence's end."""
    nullable, first = _first(lefts, rights)
    follow: dict[int, set[str]] = defaultdict(set, {-1: {""}})
    changed = True
    while changed:
        changed = False
        for left, right in zip(lefts, rights, strict=True):
            after = set(follow[left])
            for x in reversed(right):
                if isinstance(x, str):
                    after = {x}
                    continue
                before = len(follow[x])
                follow[x] |= after
                changed |= before != len(follow[x])
                after = after | first[x] if x in nullable else set(first[x])
    return follow
