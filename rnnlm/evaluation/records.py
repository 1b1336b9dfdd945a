"""Records of evaluations: of a text, and of the next token."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Evaluation:
    """Perplexity of a text, with the counts and settings that it depends on.

    perplexity: over all tokens, every line end included, the unknown ones scored as <unk>.
    perplexity_without_unk: over the tokens in the vocabulary alone; None where there are none.
    tokens, unknown, line_ends: how many were scored. characters: code points of the raw text.
    comparable: whether bits_per_character can be compared with that of other vocabularies and units: every
        token was scored as itself, none as <unk> or in lower case.
    state: "carry" or "reset". seconds: of scoring. initial_state: what the text begins with, "model" (the state that
    the model's file holds) or "zero".
    lowest_perplexity: the lowest that any model can reach on this text; None where nobody knows.
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
