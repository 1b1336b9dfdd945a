"""Generation, token by token, several samples in one batch.

From log y^ of the next token, in this order:

    repetition penalty r   log y^_j := log y^_j * r for every token j that stands in the sample or its prompt already
                           (Keskar et al. 2019, on log-probabilities, which are never positive)
    temperature T          log y^ / T;  T = 0 takes the most probable token
    top-k                  only the k most probable                                        (Fan et al. 2018)
    top-p                  only the fewest that together have probability p                (Holtzman et al. 2020)
    min-p                  only those with at least p times the largest probability        (Nguyen et al. 2024)

then one draw from what is left. Every sample has its own stream of random numbers, so sample i is the same whatever
the number of samples.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError
from rnnlm.network.decoder import Decoder
from rnnlm.network.network import Network, Window
from rnnlm.network.protocols import Draw
from rnnlm.sampling.records import Sampled
from rnnlm.text import tokenizer
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note


@dataclass(frozen=True)
class Settings:
    """How to sample; None switches a filter off. `unk`: whether <unk> may be drawn. `stop_at_line_end`: a sample ends
    there."""

    tokens: int = 100
    samples: int = 1
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    seed: int = 0
    unk: bool = True
    stop_at_line_end: bool = False

    @property
    def only_temperature(self) -> bool:
        """Nothing is left out of what is drawn from: no sorting, no memory of what was drawn."""
        filters = (self.top_k, self.top_p, self.min_p)
        return filters == (None, None, None) and self.repetition_penalty == 1.0

    def __post_init__(self) -> None:
        rules = [
            ("tokens", self.tokens >= 1, "at least 1"),
            ("samples", self.samples >= 1, "at least 1"),
            ("temperature", 0 <= self.temperature < float("inf"), "0 or more"),
            ("top_k", self.top_k is None or self.top_k >= 1, "at least 1"),
            ("top_p", self.top_p is None or 0 < self.top_p <= 1, "more than 0 and at most 1"),
            ("min_p", self.min_p is None or 0 <= self.min_p <= 1, "between 0 and 1"),
            ("repetition_penalty", 1 <= self.repetition_penalty < float("inf"), "1 or more"),
            ("seed", self.seed >= 0, "0 or more"),
        ]
        for name, fits, wanted in rules:
            if not fits:
                raise InputError(f"--{name.replace('_', '-')}: found {getattr(self, name)}; must be {wanted}")


def sample(
    network: Network, vocabulary: Vocabulary, prompt: str, state: str, settings: Settings
) -> Iterator[Note | Sampled]:
    """Yields a Note for unknown words of the prompt, then one Sampled a step.

    Args:
        prompt: begins every sample; a line end comes before it. Not part of what is yielded.
        state: "carry" or "reset", as the network was trained.

    Raises:
        InputError: the prompt is not UTF-8 text (a command line can hold any bytes).
    """
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"--prompt: not UTF-8 at character {error.start + 1}; give UTF-8 text") from None
    words = tokenizer.split(prompt, vocabulary.unit, vocabulary.lowercase)
    ids = vocabulary.encode(words)
    unknown = [word for word, id in zip(words, ids.tolist(), strict=True) if id == len(vocabulary)]
    if unknown:
        listed = ", ".join(repr(word) for word in dict.fromkeys(unknown))
        yield Note(f"not in the vocabulary, read as <unk>: {listed}", warning=True)
    history = np.array([vocabulary.line_end, *vocabulary.known(ids)], np.int32)
    count = settings.samples
    generators = [np.random.default_rng([settings.seed, i]) for i in range(count)]
    inputs = np.repeat(history[:, None], count, axis=1)
    reset = (inputs == vocabulary.line_end) & (state == "reset")
    trace = network.forward(Window(inputs, reset, network.initial_states(count)))
    decoder = Decoder(network, network.states_after(trace, len(inputs)), inputs)
    running = np.ones(count, np.bool_)
    if settings.only_temperature:
        unk = -1 if settings.unk or vocabulary.unk is None else vocabulary.unk
    else:
        seen = np.zeros((count, len(vocabulary)), np.bool_)
        seen[:, history[1:]] = True
    for _ in range(settings.tokens):
        if settings.only_temperature:
            uniforms = np.array([generator.random() for generator in generators])
            chosen = decoder.draw(Draw(settings.temperature, unk, uniforms))
        else:
            log_probability = _penalised(decoder.log_distribution(), seen, settings.repetition_penalty)
            if vocabulary.unk is not None and not settings.unk:
                log_probability[:, vocabulary.unk] = -np.inf
            chosen = np.array(
                [choose(row, settings, generators[i]) for i, row in enumerate(log_probability)], np.int32
            )
            seen[np.arange(count), chosen] = True
        ids_ = chosen.tolist()
        yield Sampled(tuple(vocabulary.tokens[id] if on else None for id, on in zip(ids_, running, strict=True)))
        if settings.stop_at_line_end:
            running &= chosen != vocabulary.line_end
            if not running.any():
                return
        decoder.step(chosen, chosen == vocabulary.line_end if state == "reset" else None)


def _penalised(log_probability: NDArray[np.float64], seen: NDArray[np.bool_], penalty: float) -> NDArray[np.float64]:
    """log y^ (B x |V|) after the repetition penalty; finite, however large that is."""
    with np.errstate(over="ignore"):
        lowered = np.maximum(log_probability * penalty, np.finfo(np.float64).min)
    return np.where(seen, lowered, log_probability)


def choose(log_probability: NDArray[np.float64], settings: Settings, generator: np.random.Generator) -> int:
    """One token from log y^ (|V| float64), by the rules above."""
    if settings.temperature == 0:
        return int(log_probability.argmax())
    kept = filtered(log_probability, settings)
    cumulative = np.cumsum(kept)
    return int(min(np.searchsorted(cumulative, generator.random() * cumulative[-1], side="right"), len(kept) - 1))


def filtered(log_probability: NDArray[np.float64], settings: Settings) -> NDArray[np.float64]:
    """The probabilities that are drawn from, not normalised: 0 for what the filters leave out."""
    # Shifted before it is divided: at any temperature above 0 the most probable token keeps exp(0) = 1.
    with np.errstate(over="ignore"):
        p = np.exp((log_probability - log_probability.max()) / settings.temperature)
    if settings.top_k is not None and settings.top_k < p.size:
        p[_rarest_first(p)[: -settings.top_k]] = 0
    if settings.top_p is not None:
        order = _rarest_first(p)[::-1]
        before = np.cumsum(p[order]) - p[order]
        p[order[before >= settings.top_p * p.sum()]] = 0
    if settings.min_p is not None:
        p[p < settings.min_p * p.max()] = 0
    return p


def _rarest_first(p: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order by rising probability; of equals the higher id first, so that a cut is the same everywhere."""
    return p.size - 1 - np.argsort(p[::-1], kind="stable")
