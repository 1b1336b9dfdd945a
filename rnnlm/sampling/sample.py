"""Generation of text, token by token, several samples in one batch.

From log y^ of the next token a sample draws in two steps: the filters change or leave out probabilities
(``filters``), then one token is drawn from what is left (``draw``). Every sample has its own stream of
random numbers, so sample i is the same whatever the number of samples.
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
from rnnlm.sampling import filters
from rnnlm.sampling.draw import draw_token
from rnnlm.sampling.records import Sampled
from rnnlm.text import tokenizers
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note


@dataclass(frozen=True)
class Settings:
    """Settings of sampling; None switches a filter off.

    tokens: of each sample. unk: whether <unk> may be drawn. stop_at_line_end: a sample ends there.
    """

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
    """Sample from the network. Yields a Note for unknown words of the prompt, then one Sampled a step.

    Args:
        prompt: begins every sample; a line end comes before it. Not part of what is yielded.
        state: "carry" or "reset", as the network was trained.

    Raises:
        InputError: the prompt is not UTF-8 text (a command line can hold any bytes), or has a literal </s>.
    """
    try:
        prompt.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(f"--prompt: not UTF-8 at character {error.start + 1}; give UTF-8 text") from None
    words = tokenizers.split(prompt, vocabulary.unit, vocabulary.lowercase, "--prompt")
    ids = vocabulary.encode(words)
    if (note := vocabulary.unknown(words)) is not None:
        yield note
    history = np.array([vocabulary.line_end, *vocabulary.to_unk(ids)], np.int32)
    count = settings.samples
    generators = [np.random.default_rng([settings.seed, i]) for i in range(count)]
    inputs = np.repeat(history[:, None], count, axis=1)
    reset = (inputs == vocabulary.line_end) & (state == "reset")
    with network.lock:
        trace = network.forward(Window(inputs, reset, network.initial_states(count)))
        states = network.states_after(trace, len(inputs))
    decoder = Decoder(network, states, inputs)
    running = np.ones(count, np.bool_)
    excluded = left_out(vocabulary, settings.unk)
    if not settings.only_temperature:
        seen = np.zeros((count, len(vocabulary)), np.bool_)
        seen[:, history[1:]] = True
    for _ in range(settings.tokens):
        if settings.only_temperature:
            uniforms = np.array([generator.random() for generator in generators])
            chosen = decoder.draw(Draw(settings.temperature, uniforms, excluded))
        else:
            log_probability = filters.penalised(decoder.log_distribution(), seen, settings.repetition_penalty)
            log_probability[:, excluded] = -np.inf
            chosen = np.array(
                [
                    draw_token(filtered(row, settings), generator)
                    for row, generator in zip(log_probability, generators, strict=True)
                ],
                np.int32,
            )
            seen[np.arange(count), chosen] = True
        ids_ = chosen.tolist()
        yield Sampled(tuple(vocabulary.tokens[id] if on else None for id, on in zip(ids_, running, strict=True)))
        if settings.stop_at_line_end:
            running &= chosen != vocabulary.line_end
            if not running.any():
                return
        decoder.step(chosen, chosen == vocabulary.line_end if state == "reset" else None)


def left_out(vocabulary: Vocabulary, unk: bool) -> NDArray[np.int64]:
    """The tokens that are never drawn: those of count 0, of which the network knows only that they did not come, and
    <unk> where `unk` is false. A vocabulary without any counts leaves none out.

    Raises:
        InputError: nothing would be left.
    """
    never = vocabulary.counts == 0
    if never.all():
        never[:] = False
    if not unk and vocabulary.unk is not None:
        never[vocabulary.unk] = True
    if never.all():
        raise InputError("nothing but <unk> stood in the training text; sample with <unk>")
    return np.flatnonzero(never)


def filtered(log_probability: NDArray[np.float64], settings: Settings) -> NDArray[np.float64]:
    """Filtered probabilities (|V|, not normalised) from log y^; 0 for what the filters leave out."""
    p = filters.tempered(log_probability, settings.temperature)
    if settings.top_k is not None:
        filters.top_k(p, settings.top_k)
    if settings.top_p is not None:
        filters.top_p(p, settings.top_p)
    if settings.min_p is not None:
        filters.min_p(p, settings.min_p)
    return p
