"""LanguageModel: a trained network as a Python object that scores and samples texts."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from rnnlm.corpora import prepare
from rnnlm.errors import InputError
from rnnlm.evaluation.columns import DEFAULT
from rnnlm.evaluation.per_token import TokenScore, token_scores, write_token_scores
from rnnlm.evaluation.perplexity import evaluate
from rnnlm.evaluation.records import Evaluation
from rnnlm.files.model_file import Trained
from rnnlm.network import build
from rnnlm.network.parameters import unflatten
from rnnlm.sampling.records import Sampled
from rnnlm.sampling.sample import Settings, sample
from rnnlm.text import corpus, tokenizers
from rnnlm.text.corpus import Corpus
from rnnlm.work import Note, Progress, run_to_end

# NDArray would leave the shape as Any.
Tensor = np.ndarray[tuple[int, ...], np.dtype[np.float32 | np.float64]]


class LanguageModel:
    """A trained network with its configuration and vocabulary.

    Args:
        trained: as ``rnnlm.files.model_file.load`` reads it. threads: a number, or "auto".
    """

    def __init__(self, trained: Trained, threads: int | str = "auto") -> None:
        self.trained = trained
        self.config = trained.config
        self.vocabulary = trained.vocabulary
        self.network = build.build(trained.config, unflatten(trained.parameters), threads)

    @property
    def parameters(self) -> dict[str, Tensor]:
        """The tensors by name, as in ``model.safetensors``."""
        return self.trained.parameters

    def perplexity(self, text: str, state: str | None = None) -> float:
        """Perplexity of a text, its line ends counted and unknown words scored as <unk>.

        Args:
            state: "carry" or "reset"; None: as in training.
        """
        return self.evaluate(text=text, state=state).perplexity

    def evaluate(
        self, *, text: str | None = None, path: str | Path | None = None, state: str | None = None
    ) -> Evaluation:
        """Perplexity of a text, with the counts that belong to it.

        Args:
            text: a text; path: a text file or a pipe, plain or gzip. One of them.
            state: "carry" or "reset"; None: as in training.

        Raises:
            TextError: the file cannot be read; less than 1% of the text is in the vocabulary.
            TypeError: neither text nor path, or both.
        """
        return run_to_end(self.evaluating(text=text, path=path, state=state))

    def surprisal(self, text: str, state: str | None = None) -> list[TokenScore]:
        """Surprisal of every token in bits, with its rank and entropy; the first one and line ends included.

        Args:
            state: "carry" or "reset"; None: as in training.
        """
        return list(token_scores(self.network, self._corpus(text), self._state(state)))

    def sample(
        self,
        prompt: str = "",
        tokens: int = 100,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        unk: bool = True,
        stop_at_line_end: bool = False,
    ) -> str:
        """A sampled text, with the prompt before it.

        Args:
            tokens: how many to draw.
            temperature, top_k, top_p, min_p, repetition_penalty: see ``rnnlm.sampling.filters``; None: off.
            seed: of the random numbers. unk: whether <unk> may be drawn. stop_at_line_end: the text ends
                there.

        Raises:
            InputError: a setting out of its range.
        """
        settings = Settings(
            tokens, 1, temperature, top_k, top_p, min_p, repetition_penalty, seed, unk, stop_at_line_end
        )
        return self._write(prompt, settings)[0]

    def samples(
        self,
        count: int,
        prompt: str = "",
        tokens: int = 100,
        *,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        unk: bool = True,
        stop_at_line_end: bool = False,
    ) -> list[str]:
        """`count` texts in one batch, each as `sample` writes them; the first is that of `sample`."""
        settings = Settings(
            tokens, count, temperature, top_k, top_p, min_p, repetition_penalty, seed, unk, stop_at_line_end
        )
        return self._write(prompt, settings)

    def sampling(self, prompt: str, settings: Settings) -> Iterator[Note | Sampled]:
        """`samples` as an iterator of records, one Sampled a token."""
        return sample(self.network, self.vocabulary, prompt, self.config.train.state, settings)

    def evaluating(
        self,
        *,
        text: str | None = None,
        path: str | Path | None = None,
        state: str | None = None,
        per_token: Path | None = None,
        columns: Sequence[str] = DEFAULT,
    ) -> Generator[Note | Progress, None, Evaluation]:
        """`evaluate` as a generator of records.

        Args:
            per_token: also write each token's score there. columns: of that table, as in
                ``rnnlm.evaluation.columns``.
        """
        check_text(text, path)
        state = self._state(state)
        with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
            if path is not None:
                encoded = yield from corpus.read(path, self.vocabulary, folder)
            else:
                encoded = self._corpus(str(text))
            yield from prepare.check_coverage(encoded)
            if per_token is None:
                result = yield from evaluate(self.network, encoded, state)
            else:
                result = yield from write_token_scores(self.network, encoded, state, per_token, columns)
            # A mapped file cannot be removed on every system.
            del encoded
        return result

    def evaluating_own_text(
        self, state: str | None = None, per_token: Path | None = None, columns: Sequence[str] = DEFAULT
    ) -> Generator[Note | Progress, None, Evaluation]:
        """`evaluating` of `own_text`, with the lowest perplexity that any model can reach on it."""
        found = yield from self.evaluating(path=self.own_text(), state=state, per_token=per_token, columns=columns)
        return replace(found, lowest_perplexity=self.trained.training.get("lowest_perplexity"))

    def test_text(self) -> Path | None:
        """The test text of the run, None where it has none or it is not there."""
        data = self.config.data
        path = data.test if data.train is not None else self.trained.path.parent / "text" / "test.txt"
        return Path(path) if path is not None and Path(path).exists() else None

    def own_text(self) -> Path:
        """The run's own text to score: the test text, or where there is none the validation text.

        Raises:
            InputError: neither is there.
        """
        data = self.config.data
        valid = data.valid if data.train is not None else self.trained.path.parent / "text" / "valid.txt"
        found = self.test_text() or (Path(valid) if valid is not None and Path(valid).exists() else None)
        if found is None:
            raise InputError(f"{self.trained.path}: the run's own test text is not there (any more); give a TEXT")
        return found

    def _write(self, prompt: str, settings: Settings) -> list[str]:
        joiners = [tokenizers.joiner(self.config.data.unit, prompt) for _ in range(settings.samples)]
        texts = [prompt] * settings.samples
        for record in self.sampling(prompt, settings):
            if isinstance(record, Sampled):
                for i, piece in enumerate(record.pieces):
                    texts[i] += "" if piece is None else joiners[i].add(piece)
        return [text + joiner.rest() for text, joiner in zip(texts, joiners, strict=True)]

    def _state(self, state: str | None) -> str:
        if state not in (None, "carry", "reset"):
            raise InputError(f"state: found {state}; must be carry or reset")
        return state or self.config.train.state

    def _tokens(self, text: str) -> Sequence[str]:
        unit = self.config.data.unit
        return tokenizers.with_line_end(tokenizers.split(text, unit, self.vocabulary.lowercase), unit)

    def _corpus(self, text: str) -> Corpus:
        characters = len(text.replace("\r\n", "\n")) if self.config.data.unit != "byte" else len(text)
        return corpus.from_tokens(self._tokens(text), characters, self.vocabulary, "text")


def check_text(text: str | None, path: str | Path | None, needed: bool = True) -> None:
    """Check that a text is given as `text` or as `path`, and not as both.

    Raises:
        TypeError: both, or neither where one is needed.
    """
    if text is not None and path is not None:
        raise TypeError("text= and path= are both given; give text= (a text) or path= (a text file)")
    if needed and text is None and path is None:
        raise TypeError("neither text= nor path= is given; give text= (a text) or path= (a text file)")
