"""LanguageModel: a trained network as a Python object that scores and samples texts."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import numpy as np

from rnnlm.config import encodings
from rnnlm.config.encodings import UTF_8
from rnnlm.corpora import prepare
from rnnlm.errors import InputError, TextError, in_python
from rnnlm.evaluation.columns import DEFAULT
from rnnlm.evaluation.hidden import hidden_states
from rnnlm.evaluation.item_formats import ItemFormat
from rnnlm.evaluation.lines import LineScore, score_lines
from rnnlm.evaluation.many import score_each, token_scores_of
from rnnlm.evaluation.next_token import next_tokens
from rnnlm.evaluation.pair_files import Pair
from rnnlm.evaluation.pairs import score_pairs
from rnnlm.evaluation.per_token import TokenScore, token_scores, write_token_scores
from rnnlm.evaluation.perplexity import evaluate, perplexity_of
from rnnlm.evaluation.records import Evaluation, NextToken, PairScore
from rnnlm.evaluation.score_formats import Format
from rnnlm.evaluation.score_rows import item_rows, line_rows
from rnnlm.evaluation.stretches import check_state
from rnnlm.evaluation.suite_files import Suite
from rnnlm.evaluation.suites import Results, score_suites
from rnnlm.evaluation.words import WordScore, words_of
from rnnlm.files import log, own_texts
from rnnlm.files.model_file import Trained
from rnnlm.network import build
from rnnlm.network.parameters import unflatten
from rnnlm.network.scored import Scored
from rnnlm.ranks.ranks import Ranks
from rnnlm.sampling import prompts
from rnnlm.sampling.prompts import Prompt
from rnnlm.sampling.records import Sample, Sampled, extend
from rnnlm.sampling.sample import Settings, sample
from rnnlm.text import corpus, files, tokenizers
from rnnlm.text.corpus import Corpus
from rnnlm.text.joined import Joined, TextPath
from rnnlm.text.lines import Line, lines
from rnnlm.work import Note, Progress, run_to_end

# NDArray would leave the shape as Any.
Tensor = np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.float64]]


class SamplingOptions(TypedDict, total=False):
    """Options of sampling; left out: as in ``rnnlm.sampling.sample.Settings``.

    temperature, top_k, top_p, min_p, repetition_penalty: see ``rnnlm.sampling.filters``; None: off.
    no_repeat: no n-gram of so many tokens occurs twice in prompt and sample together; where no other token could be
        drawn, the one that comes may repeat one.
    seed: of the random numbers. unk: whether <unk> may be drawn. stop_at_line_end: the text ends there.
    stop: a string or several; what is written ends before the first place where it holds one of them.
    """

    temperature: float
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repetition_penalty: float
    no_repeat: int | None
    seed: int
    unk: bool
    stop_at_line_end: bool
    stop: str | Sequence[str]


class LanguageModel:
    """A trained network with its configuration and vocabulary.

    Several Python threads may use one model at once: each gets what it would get alone, window by window in turn. A
    generator (`sampling`, `evaluating`) has a state of its own, may be left half-way, and belongs to one thread at a
    time. Nobody may change the weights meanwhile.

    Args:
        trained: as ``rnnlm.files.model_file.load`` reads it. threads: a number, or "auto".
        initial_state: what a text begins with, "model" (the state that the file holds; 0 where it holds none) or
            "zero".
        ranks: those that share out what `evaluating`, `scoring` and `scoring_items` do; None: this process alone.

    Raises:
        InputError: another initial_state.
    """

    def __init__(
        self,
        trained: Trained,
        threads: int | str = "auto",
        initial_state: str = "model",
        ranks: Ranks | None = None,
    ) -> None:
        check_choice("initial_state", initial_state, ("model", "zero"))
        self.trained = trained
        self.config = trained.config
        self.vocabulary = trained.vocabulary
        initial = trained.initial if initial_state == "model" else None
        self.initial_state = "zero" if initial is None else "model"
        self.ranks = ranks
        threads = threads if ranks is None else ranks.threads_for(threads)
        parameters = unflatten(trained.parameters)
        self.network = build.build(trained.config, parameters, threads, initial, words=self.vocabulary)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The tensors by name, as in ``model.safetensors``."""
        return self.trained.parameters

    def __repr__(self) -> str:
        model, sizes = self.config.model, ", ".join(map(str, self.config.model.sizes))
        words = f"{len(self.vocabulary):,} {self.vocabulary.kind}"
        return f"<LanguageModel {str(self.trained.path)!r}: {model.cell.type}, {sizes} units, {words}>"

    def __reduce__(self) -> tuple[type[LanguageModel], tuple[Trained, int, str]]:
        """So that it can be pickled and copied: the network is built anew."""
        trained = replace(self.trained, config=self.config)
        return LanguageModel, (trained, self.network.threads, self.initial_state)

    @overload
    def perplexity(self, text: str, state: str | None = None, *, line_end: bool = True) -> float: ...

    @overload
    def perplexity(self, text: list[str], state: str | None = None, *, line_end: bool = True) -> list[float]: ...

    @in_python()
    def perplexity(
        self, text: str | list[str], state: str | None = None, *, line_end: bool = True
    ) -> float | list[float]:
        """Perplexity of a text, its line ends counted and unknown words scored as <unk>; of a list of texts, that of
        each.

        Args:
            state: "carry", "reset" or "document"; None: as in training.
            line_end: false: a text of words that does not end a line gets no </s>: a prefix.
        """
        if isinstance(text, str):
            return self.evaluate(text=text, state=state, line_end=line_end).perplexity
        return [perplexity_of(scored) for scored in self._score_each(self._all_tokens(text, line_end), state)]

    @in_python()
    def evaluate(
        self,
        *,
        text: str | None = None,
        path: str | Path | None = None,
        state: str | None = None,
        line_end: bool = True,
        encoding: str = UTF_8,
    ) -> Evaluation:
        """Perplexity of a text, with the counts that belong to it.

        Args:
            text: a text; path: a text file or a pipe, plain or gzip. One of them.
            state: "carry", "reset" or "document"; None: as in training.
            line_end: false: a `text` of words that does not end a line gets no </s>.
            encoding: of the file, by Python's name.

        Raises:
            InputError: there is no such encoding.
            TextError: the file cannot be read; the text is empty; less than 1% of it is in the vocabulary.
            TypeError: neither text nor path, or both; a path without its line end.
        """
        return run_to_end(self.evaluating(text=text, path=path, state=state, line_end=line_end, encoding=encoding))

    @overload
    def surprisal(self, text: str, state: str | None = None, *, line_end: bool = True) -> list[TokenScore]: ...

    @overload
    def surprisal(
        self, text: list[str], state: str | None = None, *, line_end: bool = True
    ) -> list[list[TokenScore]]: ...

    @in_python()
    def surprisal(
        self, text: str | list[str], state: str | None = None, *, line_end: bool = True
    ) -> list[TokenScore] | list[list[TokenScore]]:
        """Surprisal of every token in bits, with its rank and entropy; the first one and line ends included.

        Of a list of texts, a list for each.

        Args:
            state: "carry", "reset" or "document"; None: as in training.
            line_end: false: a text of words that does not end a line gets no </s>: a prefix.
        """
        if isinstance(text, str):
            return list(token_scores(self.network, self._corpus(text, line_end), self._state(state)))
        tokens_of = self._all_tokens(text, line_end)
        each = zip(tokens_of, self._score_each(tokens_of, state, details=True), strict=True)
        return [token_scores_of(tokens, scored, self.vocabulary.unit) for tokens, scored in each]

    @overload
    def hidden(self, text: str, state: str | None = None, *, layer: int = -1, line_end: bool = True) -> Tensor: ...

    @overload
    def hidden(
        self, text: list[str], state: str | None = None, *, layer: int = -1, line_end: bool = True
    ) -> list[Tensor]: ...

    @in_python()
    def hidden(
        self, text: str | list[str], state: str | None = None, *, layer: int = -1, line_end: bool = True
    ) -> Tensor | list[Tensor]:
        """The hidden states of a text, T x D_h for its T tokens (those of `surprisal`); of a list of texts, of each.

        Row t is h(t) after token t has been read, so the next token is predicted from it. It is the recurrent layer's
        output before layer normalisation; of an SCRN the fast units, then the slow ones; of an LSTM h, not c.

        Args:
            state: "carry", "reset" or "document"; None: as in training. Under "reset" the row of a line end is the
                state in which every line begins.
            layer: of the recurrent layers, 0 the lowest; -1: the top one.
            line_end: false: a text of words that does not end a line gets no </s>: a prefix.

        Raises:
            InputError: there is no such layer.
        """
        layers = len(self.network.cells)
        if not isinstance(layer, int | np.integer) or isinstance(layer, bool) or not -layers <= layer < layers:
            raise InputError(f"layer: found {layer!r}; must be from 0 to {layers - 1}, or -1, the top one")
        tokens = self._all_tokens([text] if isinstance(text, str) else text, line_end)
        found = hidden_states(self.network, tokens, self.vocabulary, self._state(state), layer)
        return found[0] if isinstance(text, str) else found

    @in_python()
    def score(self, text: str | list[str], *, line_end: bool = True) -> list[LineScore]:
        """The log-probability of each line of a text, or of each of a list of lines, each by itself.

        Args:
            line_end: whether line ends are scored too.
        """
        found = score_lines(
            self.network, self.vocabulary, [_lines(text, self.vocabulary.unit)], "text", line_end=line_end
        )
        return [scored for some in found for scored in some.summed()]

    @in_python()
    def words(self, text: str | list[str], *, line_end: bool = True, entropy: bool = False) -> list[WordScore]:
        """The surprisal of each word, whatever the model's tokens are; see ``rnnlm.evaluation.words``.

        Args:
            text: a text, or a list of lines; each line is scored by itself.
            line_end: whether line ends are scored too. entropy: with the entropy of each prediction and the most
                probable word there, for models whose tokens are whole words.

        Raises:
            InputError: the entropy of a model whose tokens are not whole words.
        """
        if entropy and not self.vocabulary.has_whole_words:
            raise InputError(f"entropy: it is that over words, and this is a model of {self.vocabulary.kind}")
        blocks = [_lines(text, self.vocabulary.unit)]
        found = score_lines(self.network, self.vocabulary, blocks, "text", line_end=line_end, details=entropy)
        return [word for some in found for words in words_of(some, self.vocabulary, entropy) for word in words]

    def scoring(
        self, path: str | Path, wanted: Format, ids: bool = False, line_end: bool = True, encoding: str = UTF_8
    ) -> Iterator[str]:
        """The scores of a text file's lines as ``rnnlm score`` writes them, those of some lines at a time."""
        readers = 1 if self.ranks is None else self.ranks.size
        blocks, source = lines(path, self.vocabulary.unit, encoding, readers), files.name(path)
        return line_rows(self.network, self.vocabulary, blocks, source, wanted, ids, line_end, self.ranks)

    def scoring_items(self, wanted: ItemFormat, line_end: bool = True) -> Iterator[str]:
        """The scores of a table of items as ``rnnlm score --input-columns`` writes them, those of some items at a
        time."""
        return item_rows(self.network, self.vocabulary, wanted, line_end, self.ranks)

    def pairing(self, pairs: Sequence[Pair]) -> Generator[Progress, None, list[PairScore]]:
        """The scores of minimal pairs (``rnnlm.evaluation.pair_files.read``) as a generator of records."""
        return (yield from score_pairs(self.network, self.vocabulary, pairs))

    def scoring_suites(self, suites: Sequence[Suite], line_end: bool = True) -> Generator[Progress, None, Results]:
        """The results of test suites (``rnnlm.evaluation.suite_files.read``) as a generator of records."""
        return (yield from score_suites(self.network, self.vocabulary, suites, line_end))

    @in_python()
    def next(self, prefix: str = "", top: int | None = None) -> list[NextToken]:
        """The tokens that may come after a text, the most probable first; `top` of them, None: all.

        Raises:
            InputError: the text has surrogates, which stand for no character.
        """
        ids = prompts.encode(prefix, self.vocabulary, "prefix").ids
        return next_tokens(self.network, self.vocabulary, ids, self.config.state, top)

    @in_python()
    def sample(self, prompt: str = "", tokens: int = 100, **options: Unpack[SamplingOptions]) -> str:
        """A sampled text, with the prompt before it.

        Args:
            tokens: how many to draw. options: see `SamplingOptions`.

        Raises:
            InputError: a setting out of its range.
        """
        return self.sample_each([prompt], _settings(tokens, 1, options))[0].text

    @in_python()
    def samples(
        self, count: int, prompt: str = "", tokens: int = 100, **options: Unpack[SamplingOptions]
    ) -> list[str]:
        """`count` texts in one batch, each as `sample` writes them; the first is that of `sample`."""
        return [sample.text for sample in self.sample_each([prompt], _settings(tokens, count, options))]

    @in_python()
    def sample_scored(
        self,
        prompt: str | Sequence[str] = "",
        tokens: int = 100,
        *,
        count: int = 1,
        **options: Unpack[SamplingOptions],
    ) -> list[Sample]:
        """Sampled texts with their tokens and the log-probability of each, in nats.

        The log-probabilities are the network's own, log y^ before temperature and filters: those that `surprisal`
        gives the same tokens. The texts are those of `sample`.

        Args:
            prompt: one, or a list; the samples of one prompt come after those of the one before.
            count: samples of each prompt. tokens, options: as for `sample`.
        """
        settings = replace(_settings(tokens, count, options), log_probabilities=True)
        return self.sample_each([prompt] if isinstance(prompt, str) else prompt, settings)

    def curve(self) -> list[dict[str, float | str | None]]:
        """The course of its training: the records of ``log.jsonl`` in its folder.

        Those whose ``event`` is "updates" have the training ``loss`` since the record before (nats a token), those of
        "valid" that of a validation; all have ``updates``, ``epoch`` and ``seconds``.

        Raises:
            InputError: there is no log beside the model's file.
        """
        folder = self.trained.path.parent
        found = log.read(folder)
        if not found:
            raise InputError(f"{folder / log.LOG}: no such file; the log of a training lies in its run's folder")
        return found

    def sample_each(self, texts: Sequence[str], settings: Settings) -> list[Sample]:
        """The samples of several prompts, one prompt's after the other's, each as if it were alone."""
        encoded = [prompts.encode(text, self.vocabulary) for text in texts]
        made: list[Sample] = []
        for batch, part in prompts.batches(encoded, settings.samples):
            samples = [Sample(prompt.text) for prompt in batch for _ in part]
            for record in self.sampling(batch, replace(settings, samples=len(part), first=part.start)):
                if isinstance(record, Sampled):
                    extend(samples, record)
            made += samples
        return made

    def sampling(self, prompt: str | Sequence[Prompt], settings: Settings) -> Iterator[Note | Sampled]:
        """`samples` as an iterator of records, one Sampled a step.

        Args:
            prompt: a text, or several as ``rnnlm.sampling.prompts`` reads them, all in one batch.
        """
        batch = [prompts.encode(prompt, self.vocabulary)] if isinstance(prompt, str) else prompt
        return sample(self.network, self.vocabulary, batch, self.config.state, settings)

    def evaluating(
        self,
        *,
        text: str | None = None,
        path: TextPath | None = None,
        state: str | None = None,
        per_token: Path | None = None,
        columns: Sequence[str] = DEFAULT,
        line_end: bool = True,
        encoding: str = UTF_8,
    ) -> Generator[Note | Progress, None, Evaluation]:
        """`evaluate` as a generator of records.

        Args:
            per_token: also write each token's score there. columns: of that table, as in
                ``rnnlm.evaluation.columns``.
        """
        check_text(text, path)
        if path is not None and not line_end:
            raise TypeError("line_end=False goes with text=; a file's last line ends")
        state = self._state(state)
        check_state(state, self.ranks)
        with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
            if path is not None:
                encoded = yield from corpus.read(path, self.vocabulary, folder, encodings.option(encoding))
            else:
                encoded = self._corpus(str(text), line_end)
            yield from prepare.check_coverage(encoded)
            if per_token is None:
                result = yield from evaluate(self.network, encoded, state, ranks=self.ranks)
            else:
                result = yield from write_token_scores(self.network, encoded, state, per_token, columns, self.ranks)
            # A mapped file cannot be removed on every system.
            del encoded
        return replace(result, initial_state=self.initial_state)

    def evaluating_own_text(
        self, state: str | None = None, per_token: Path | None = None, columns: Sequence[str] = DEFAULT
    ) -> Generator[Note | Progress, None, Evaluation]:
        """`evaluating` of `own_text`, with the lowest perplexity that any model can reach on it."""
        own, encoding = self.own_text(), self.config.data.encoding_read
        found = yield from self.evaluating(
            path=own, state=state, per_token=per_token, columns=columns, encoding=encoding
        )
        return replace(found, lowest_perplexity=self.trained.training.get("lowest_perplexity"))

    def test_text(self) -> Path | Joined | None:
        """The test text of the run, None where it has none or it is not there.

        Raises:
            InputError: another text is in its place.
        """
        return own_texts.own_text(self.trained, "test")

    def own_text(self) -> Path | Joined:
        """The run's own text to score: the test text, or where there is none the validation text.

        Raises:
            InputError: neither is there, or another text is in its place.
        """
        found = self.test_text() or own_texts.own_text(self.trained, "valid")
        if found is None:
            raise InputError(f"{self.trained.path}: the run's own test text is not there (any more); give a TEXT")
        return found

    def _state(self, state: str | None) -> str:
        if state is None:
            return self.config.state
        check_choice("state", state, ("carry", "reset", "document"))
        return state

    def _tokens(self, text: str, line_end: bool = True) -> Sequence[str]:
        """The tokens of a text as a file of it would have them, or without the line end that it does not have.

        Raises:
            TextError: there is none.
        """
        tokens = self.vocabulary.split(text)
        if text and line_end:
            tokens = tokenizers.with_line_end(tokens, text, self.vocabulary.unit)
        if not tokens:
            raise TextError("text: empty; give a text with at least one token")
        return tokens

    def _all_tokens(self, texts: list[str], line_end: bool) -> list[Sequence[str]]:
        return [self._tokens(text, line_end) for text in texts]

    def _score_each(self, tokens: list[Sequence[str]], state: str | None, details: bool = False) -> list[Scored]:
        return score_each(self.network, tokens, self.vocabulary, self._state(state), details)

    def _corpus(self, text: str, line_end: bool = True) -> Corpus:
        characters = len(text.replace("\r\n", "\n")) if self.config.data.unit != "byte" else len(text)
        words = len(text.split()) if self.vocabulary.unit == "subword" else 0
        return corpus.from_tokens(self._tokens(text, line_end), characters, self.vocabulary, "text", words)


def _settings(tokens: int, count: int, options: SamplingOptions) -> Settings:
    """The settings of `count` samples of each prompt.

    Raises:
        TypeError: there is no such option. InputError: one is out of its range.
    """
    there = SamplingOptions.__annotations__
    for name in options:
        if name not in there:
            raise TypeError(f"{name}= is no option of sampling; there are {', '.join(there)}")
    stop = options.get("stop", ())
    given: dict[str, Any] = {**options, "stop": (stop,) if isinstance(stop, str) else tuple(stop)}
    return Settings(tokens, count, **given)


def _lines(text: str | list[str], unit: str) -> list[Line]:
    """The lines of a text, each ended; those of a list may hold no line end.

    Raises:
        TextError: one does; one has a surrogate, which stands for no character.
    """
    if isinstance(text, str):
        whole = text if unit == "byte" else text.replace("\r\n", "\n")
        text = whole.removesuffix("\n").split("\n")
    for number, line in enumerate(text, 1):
        try:
            line.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise TextError(f"line {number}: no Unicode at character {error.start + 1}") from None
        if "\n" in line:
            raise TextError(f"line {number}: it has a line end in it; give each line by itself")
    return [Line(number, line, True) for number, line in enumerate(text, 1)]


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Check that an argument is one of its choices.

    Raises:
        InputError: it is not.
    """
    if value not in choices:
        raise InputError(f"{name}: found {value}; must be {', '.join(choices[:-1])} or {choices[-1]}")


def check_text(text: str | None, path: TextPath | None, needed: bool = True) -> None:
    """Check that a text is given as `text` or as `path`, and not as both.

    Raises:
        TypeError: both, or neither where one is needed.
    """
    if text is not None and path is not None:
        raise TypeError("text= and path= are both given; give text= (a text) or path= (a text file)")
    if needed and text is None and path is None:
        raise TypeError("neither text= nor path= is given; give text= (a text) or path= (a text file)")
