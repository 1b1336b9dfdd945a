"""Generation of text, token by token, several samples in one batch.

From log y^ of the next token a sample draws in two steps: the filters change or leave out probabilities
(``filters``), then one token is drawn from what is left (``draw``). Every sample has its own stream of
random numbers, so sample i of a prompt is the same whatever the number of samples and of prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rnnlm.errors import InputError
from rnnlm.network.decoder import Decoder
from rnnlm.network.network import Network, Window
from rnnlm.network.protocols import Draw
from rnnlm.sampling import filters
from rnnlm.sampling.draw import draw_token
from rnnlm.sampling.prompts import Prompt
from rnnlm.sampling.records import Sampled
from rnnlm.sampling.repeats import Repeats
from rnnlm.sampling.stop import Stop
from rnnlm.text import tokenizers
from rnnlm.text.streams import resets
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note


@dataclass(frozen=True)
class Settings:
    """Settings of sampling; None switches a filter off.

    tokens: of each sample. samples: of each prompt. unk: whether <unk> may be drawn. stop_at_line_end: a sample ends
    there. stop: a sample ends before the first of these strings in it. no_repeat: no n-gram of so many tokens occurs
    twice in a prompt and its sample. log_probabilities: whether each step has them. first: the first sample's
    number.
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
    stop: tuple[str, ...] = ()
    no_repeat: int | None = None
    log_probabilities: bool = False
    first: int = 0

    @property
    def numbers(self) -> range:
        """The samples' numbers: each has random numbers of its own."""
        return range(self.first, self.first + self.samples)

    @property
    def only_temperature(self) -> bool:
        """Nothing is left out of what is drawn from: no sorting, no memory of what was drawn."""
        filters = (self.top_k, self.top_p, self.min_p, self.no_repeat)
        return filters == (None, None, None, None) and self.repetition_penalty == 1.0

    def __post_init__(self) -> None:
        rules = [
            ("tokens", self.tokens >= 1, "at least 1"),
            ("samples", self.samples >= 1, "at least 1"),
            ("temperature", 0 <= self.temperature < float("inf"), "a finite number of 0 or more"),
            ("top_k", self.top_k is None or self.top_k >= 1, "at least 1"),
            ("top_p", self.top_p is None or 0 < self.top_p <= 1, "more than 0 and at most 1"),
            ("min_p", self.min_p is None or 0 <= self.min_p <= 1, "between 0 and 1"),
            ("repetition_penalty", 1 <= self.repetition_penalty < float("inf"), "1 or more"),
            ("seed", self.seed >= 0, "0 or more"),
            ("no_repeat", self.no_repeat is None or self.no_repeat >= 1, "at least 1"),
        ]
        for name, fits, wanted in rules:
            if not fits:
                raise InputError(f"--{name.replace('_', '-')}: found {getattr(self, name)}; must be {wanted}")
        if "" in self.stop:
            raise InputError("--stop: found an empty string; must have at least one character")


def sample(
    network: Network, vocabulary: Vocabulary, prompts: Sequence[Prompt], state: str, settings: Settings
) -> Iterator[Note | Sampled]:
    """Sample from the network. Yields a Note for unknown words of a prompt, then one Sampled a step.

    Args:
        prompts: each begins ``settings.samples`` samples, one prompt's after the other's; a line end comes before
            it. Not part of what is yielded.
        state: "carry", "reset" or "document", as the network was trained.
    """
    for prompt in prompts:
        if prompt.unknown is not None:
            yield prompt.unknown
    excluded = left_out(vocabulary, settings.unk)
    decoder = _decoder(network, vocabulary, prompts, state, settings.samples)
    generators = [np.random.default_rng([settings.seed, i]) for _ in prompts for i in settings.numbers]
    filtered_draw = None if settings.only_temperature else _Filtered(vocabulary, prompts, settings, excluded)
    joiners = [vocabulary.joiner(prompt.text) for prompt in prompts for _ in range(settings.samples)]
    stops = [Stop(joiner, settings.stop) for joiner in joiners] if settings.stop else []
    writers: Sequence[tokenizers.Joiner] = stops or joiners
    running = [True] * len(writers)
    before = np.repeat([[vocabulary.line_end, *prompt.ids][-1] for prompt in prompts], settings.samples)
    scores = np.empty(len(writers)) if settings.log_probabilities else None
    for step in range(settings.tokens):
        if filtered_draw is not None:
            log_y = decoder.log_distribution()
            chosen = filtered_draw.draw(log_y, generators)
            if scores is not None:
                scores[:] = log_y[np.arange(len(chosen)), chosen]
        else:
            uniforms = np.array([generator.random() for generator in generators])
            chosen = decoder.draw(Draw(settings.temperature, uniforms, excluded, scores))
        ids = chosen.tolist()
        tokens = tuple([vocabulary.tokens[id] if on else None for id, on in zip(ids, running, strict=True)])
        texts = ["" if token is None else writers[i].add(token) for i, token in enumerate(tokens)]
        if step + 1 == settings.tokens:
            ending = [i for i, on in enumerate(running) if on]
        else:
            ending = [i for i, stop in enumerate(stops) if running[i] and stop.found]
            if settings.stop_at_line_end:
                ending += [i for i, id in enumerate(ids) if running[i] and id == vocabulary.line_end]
        for i in ending:
            texts[i] += writers[i].rest()
            running[i] = False
        yield Sampled(tokens, tuple(texts), None if scores is None else tuple(scores.tolist()))
        if ending and not any(running):
            return
        reset = None if state == "carry" else resets(chosen[None], vocabulary.line_end, state, before)[0]
        decoder.step(chosen, reset)
        before = chosen


def _decoder(
    network: Network, vocabulary: Vocabulary, prompts: Sequence[Prompt], state: str, samples: int
) -> Decoder:
    """The decoder of `samples` streams a prompt, each of which has read its prompt.

    A prompt is read by itself, in a window of its own: so its samples are the same whatever other prompts there are.
    """
    states = []
    for prompt in prompts:
        tokens = np.array([vocabulary.line_end, *prompt.ids], np.int32)
        inputs = np.repeat(tokens[:, None], samples, axis=1)
        reset = resets(inputs, vocabulary.line_end, state)
        with network.lock:
            trace = network.forward(Window(inputs, reset, network.initial_states(samples)))
            states.append([layer.copy() for layer in network.states_after(trace, len(inputs))])
    return Decoder(network, [np.concatenate(layer) for layer in zip(*states, strict=True)])


class _Filtered:
    """Draws from filtered distributions, with what filters remember of each sample."""

    def __init__(
        self, vocabulary: Vocabulary, prompts: Sequence[Prompt], settings: Settings, excluded: NDArray[np.int64]
    ) -> None:
        self._settings, self._excluded = settings, excluded
        texts = [prompt.ids for prompt in prompts for _ in range(settings.samples)]
        self._seen = np.zeros((len(texts), len(vocabulary)), np.bool_)
        for seen, ids in zip(self._seen, texts, strict=True):
            seen[ids] = True
        n = settings.no_repeat
        self._repeats = [] if n is None else [Repeats(n, ids.tolist()) for ids in texts]

    def draw(self, log_y: NDArray[np.float64], generators: Sequence[np.random.Generator]) -> NDArray[np.int32]:
        """A token of each sample from log y^ (B x |V|), which is left alone."""
        log_probability = filters.penalised(log_y, self._seen, self._settings.repetition_penalty)
        log_probability[:, self._excluded] = -np.inf
        for row, repeats in zip(log_probability, self._repeats, strict=False):
            filters.forbid(row, repeats.completing())
        chosen = [
            draw_token(filtered(row, self._settings), generator)
            for row, generator in zip(log_probability, generators, strict=True)
        ]
        self._seen[np.arange(len(chosen)), chosen] = True
        for repeats, token in zip(self._repeats, chosen, strict=False):
            repeats.add(token)
        return np.array(chosen, np.int32)


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
