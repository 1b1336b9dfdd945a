"""Records of sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sampled:
    """One step of sampling: an entry for each sample.

    tokens: what was drawn; None for a sample that has ended.
    texts: what this adds to each text; "" while a character, or what may become a stop string, is not complete.
    log_probabilities: log y^ of each token under the network's own distribution, before any filter, in nats; None
        where they were not asked for.
    """

    tokens: tuple[str | None, ...]
    texts: tuple[str, ...]
    log_probabilities: tuple[float, ...] | None = None


@dataclass
class Sample:
    """A text that a trained network writes, as far as it has come.

    prompt: what it begins with. name: what a list of samples calls it; "" for the only one.
    tokens: all that were drawn, those of a stop string too. written: what each added to the text.
    log_probabilities: of the tokens, as in `Sampled`; empty where they were not asked for.
    """

    prompt: str
    name: str = ""
    tokens: list[str] = field(default_factory=list)
    written: list[str] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The prompt, and what was written after it."""
        return self.prompt + "".join(self.written)

    @property
    def log_probability(self) -> float:
        """The log-probability of all tokens together, given the prompt, in nats."""
        return math.fsum(self.log_probabilities)


def extend(samples: Sequence[Sample], step: Sampled) -> None:
    """Add what one step drew to its samples."""
    for sample, token, text in zip(samples, step.tokens, step.texts, strict=True):
        if token is not None:
            sample.tokens.append(token)
            sample.written.append(text)
    if step.log_probabilities is not None:
        for sample, token, nats in zip(samples, step.tokens, step.log_probabilities, strict=True):
            if token is not None:
                sample.log_probabilities.append(nats)


@dataclass(frozen=True)
class Samples:
    """Texts that a trained network wrote."""

    texts: tuple[str, ...]


def named(prompts: Sequence[str], count: int) -> list[list[Sample]]:
    """The samples to come, `count` of each prompt, each with its name: its number among several."""
    made = []
    for i, prompt in enumerate(prompts, 1):
        parts = [[f"prompt {i}"] * (len(prompts) > 1) + [f"sample {j}"] * (count > 1) for j in range(1, count + 1)]
        made.append([Sample(prompt, ", ".join(part)) for part in parts])
    return made
