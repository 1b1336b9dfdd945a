"""Records of evaluations: of a text, and of the next token."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Baseline:
    """Perplexity of the n-gram model of the same training text and vocabulary, over all tokens and over those in the
    vocabulary. order: its longest n-grams."""

    order: int
    perplexity: float
    perplexity_without_unk: float | None = None


@dataclass(frozen=True)
class FileFigures:
    """The share of one file in the perplexity of several that are read as one text; see `Evaluation`."""

    path: str
    perplexity: float
    perplexity_without_unk: float | None
    tokens: int
    unknown: int
    bits_per_token: float
    bits_per_character: float


@dataclass(frozen=True)
class Evaluation:
    """Perplexity of a text, with the counts and settings that it depends on.

    words, word_perplexity: of subwords, what stands between white space, and the perplexity by these words and line
        ends instead of pieces; else None.
    perplexity: over all tokens, every line end included, the unknown ones scored as <unk>.
    perplexity_without_unk: over the tokens in the vocabulary alone; None where there are none.
    tokens, unknown, line_ends: how many were scored. characters: code points of the raw text.
    unk_untrained: whether tokens were scored as an <unk> that never stood in the training text: then `perplexity`
        means nothing, and perplexities without unknown tokens are to be compared.
    comparable: whether bits_per_character can be compared with that of other vocabularies and units: every
        token was scored as itself, none as <unk> or in lower case.
    state: "carry" or "reset". seconds: of scoring. initial_state: what the text begins with, "model" (the state that
    the model's file holds) or "zero".
    lowest_perplexity: the lowest that any model can reach on this text, by words and line ends; None where nobody
        knows.
    baseline: what an n-gram model reaches on it; None where that would take long.
    files: the figures of each file, where the text is several.
    log_normalizer_mean, log_normalizer_deviation: of log Z over the tokens, where training draws it to 0
        (``OutputLayer.self_normalised``); else None.
    """

    perplexity: float
    perplexity_without_unk: float | None
    tokens: int
    unknown: int
    line_ends: int
    characters: int
    bits_per_token: float
    bits_per_character: float
    comparable: bool
    state: str
    seconds: float
    tokens_per_second: float
    lowest_perplexity: float | None = None
    notes: tuple[str, ...] = ()
    initial_state: str = "zero"
    baseline: Baseline | None = None
    files: tuple[FileFigures, ...] = ()
    log_normalizer_mean: float | None = None
    log_normalizer_deviation: float | None = None
    words: int | None = None
    word_perplexity: float | None = None
    unk_untrained: bool = False

    def json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class NextToken:
    """A token that may come next.

    rank: 1, the most probable. log_probability: in nats; surprisal: in bits.
    """

    rank: int
    token: str
    probability: float
    log_probability: float
    surprisal: float


@dataclass(frozen=True)
class Neighbour:
    """A token near another one, as vocab.txt spells it. cosine: of their vectors."""

    token: str
    cosine: float


@dataclass(frozen=True)
class Neighbours:
    """A token with those nearest to it."""

    token: str
    nearest: list[Neighbour]


@dataclass(frozen=True)
class PairScore:
    """Score of a minimal pair: log p of both sentences, in nats. unknown: they differ in a word that is scored as
    <unk>."""

    phenomenon: str
    good: str
    bad: str
    log_probability_good: float
    log_probability_bad: float
    unknown: bool

    @property
    def correct(self) -> bool:
        """Whether the good sentence is the more probable one."""
        return self.log_probability_good > self.log_probability_bad


@dataclass(frozen=True)
class Accuracy:
    """Accuracy on minimal pairs.

    phenomenon: None: all. pairs, correct: how many, those of unknown words left out. accuracy: their share, low to
    high: its 95% interval; None without such pairs. unknown, unknown_correct: pairs that differ in an unknown word.
    """

    phenomenon: str | None
    pairs: int
    correct: int
    accuracy: float | None
    low: float | None
    high: float | None
    unknown: int
    unknown_correct: int


@dataclass(frozen=True)
class Difference:
    """Bits of A less bits of B, by unit ("token", "known token" or "character"); below 0 A is better.

    low to high: the 95% interval; p: how probable so large a difference would be by chance; None where the text is
    too short to say.
    """

    unit: str
    bits: float
    low: float | None
    high: float | None
    p: float | None


@dataclass(frozen=True)
class WordGain:
    """The bits that A takes for all places of a word less those that B takes. count: its places."""

    word: str
    count: int
    bits: float


@dataclass(frozen=True)
class Comparison:
    """Comparison of two models, A and B, on one text; of two numbers the first is A's.

    state: "carry" or "reset". stretches: of lines, that the bootstrap draws from; draws: how often it does.
    same_vocabulary: whether both have the same tokens. lowercase: whether they read the text in lower case. unknown:
    tokens scored as <unk>. unk_untrained: whether that never stood in the training text.
    differences: by token, where both have tokens of one kind, and by those that both know, if some are unknown; by
        character.
    better, worse: the words where A is better by most, and where B is; of models of words.
    """

    state: str
    lines: int
    stretches: int
    draws: int
    same_vocabulary: bool
    lowercase: tuple[bool, bool]
    tokens: tuple[int, int]
    unknown: tuple[int, int]
    unk_untrained: tuple[bool, bool]
    bits_per_token: tuple[float, float]
    bits_per_character: tuple[float, float]
    differences: tuple[Difference, ...]
    better: tuple[WordGain, ...]
    worse: tuple[WordGain, ...]

    @property
    def doubtful(self) -> str | None:
        """Why the difference says little; None: it is one of the same tokens."""
        reasons, other_case = [], self.lowercase[0] != self.lowercase[1]
        if any(self.unk_untrained):
            whose = f" of {'AB'[self.unk_untrained[1]]}" if sum(self.unk_untrained) == 1 else ""
            by_known = any(one.unit == "known token" for one in self.differences) and not other_case
            reasons.append(
                f"<unk>, as which unknown tokens are scored, never stood in the training text{whose}, so its "
                f"probability means nothing{': compare by known tokens' if by_known else ''}"
            )
        if other_case:
            reasons.append(
                f"{'AB'[self.lowercase[1]]} reads the text in lower case, which costs fewer bits than the text itself"
            )
        if not self.same_vocabulary and not any(self.unk_untrained) and self.unknown != (0, 0):
            reasons.append(
                f"the vocabularies differ, and {self.unknown[0]:,} (A) and {self.unknown[1]:,} (B) tokens were "
                "scored as <unk>, which costs fewer bits than the word itself: who knows fewer words seems better"
            )
        return "; ".join(reasons) or None

    def json(self) -> dict[str, object]:
        return asdict(self) | {"doubtful": self.doubtful}


@dataclass(frozen=True)
class Part:
    """One predictor of a mixture: its weight, and its own evaluation; None where it holds a token impossible.
    numbers: its settings, in words."""

    name: str
    weight: float
    alone: Evaluation | None
    numbers: str = ""


@dataclass(frozen=True)
class Mixture:
    """Evaluation of a mixture of predictors, and of each of them. tuned: whether the weights were found by EM."""

    together: Evaluation
    parts: tuple[Part, ...]
    tuned: bool


@dataclass(frozen=True)
class RegionSurprisal:
    """Surprisal of a region of a test suite: the sum over its words, in bits. words: how many; unknown: how many of
    them were scored as <unk>."""

    suite: str
    item: int
    condition: str
    region: int
    content: str
    words: int
    unknown: int
    surprisal_bits: float


@dataclass(frozen=True)
class PredictionResult:
    """Whether a prediction of a test suite is true of an item. prediction: its number, from 1. unknown: a region that
    it names has a word scored as <unk>."""

    suite: str
    item: int
    prediction: int
    formula: str
    correct: bool
    unknown: bool


@dataclass(frozen=True)
class SuiteAccuracy:
    """Accuracy on a test suite: the share of the items of which a prediction is true.

    suite: its name. prediction: its number, from 1, and its formula; None: all predictions of the suite at once. low
    to high: the 95% interval. unknown: items of which a region that is named has a word scored as <unk>.
    """

    suite: str
    prediction: int | None
    formula: str | None
    items: int
    correct: int
    accuracy: float
    low: float
    high: float
    unknown: int
