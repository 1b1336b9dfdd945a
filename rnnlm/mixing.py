"""Mixtures of a model with others by their files: ``rnnlm eval --with``."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rnnlm.corpora import prepare
from rnnlm.errors import InputError
from rnnlm.evaluation.mixture import NetworkPredictor, Predictor, evaluate_mixture
from rnnlm.evaluation.neural_cache import CachePredictor
from rnnlm.evaluation.records import Mixture
from rnnlm.files import model_file, own_texts
from rnnlm.language_model import LanguageModel
from rnnlm.ngram import arpa
from rnnlm.ngram.predictor import NGramPredictor
from rnnlm.text import corpus
from rnnlm.work import Task


def mix(
    model: LanguageModel,
    name: str,
    others: Sequence[Path],
    text: Path,
    state: str | None,
    weights: str | None,
    cache: tuple[int, float] | None = None,
) -> Task[Mixture]:
    """Evaluate a model together with others. Yields records, returns a Mixture.

    Args:
        name: the model's. others: ARPA files (``.arpa``, ``.arpa.gz``), or runs and model files, of the same tokens.
        state: "carry" or "reset"; None: as the model was trained.
        weights: "0.6,0.4", the model's first, the cache's last; None: by EM on the model's own validation text.
        cache: window and theta of the model's neural cache; None: without.

    Raises:
        InputError: a model of other tokens; weights that are none; there is no validation text.
        TextError: an ARPA file that is damaged or of other tokens.
    """
    shares = None if weights is None else _numbers(weights)
    vocabulary, predictors = model.vocabulary, list[Predictor]([NetworkPredictor(name, model.network)])
    for path in others:
        if path.name.endswith((".arpa", ".arpa.gz")):
            predictors.append(NGramPredictor(str(path), arpa.read(path, vocabulary)))
            continue
        other = LanguageModel(model_file.load(path), model.network.threads)
        own, theirs = ((words.unit, words.lowercase, words.tokens) for words in (vocabulary, other.vocabulary))
        if own != theirs:
            raise InputError(f"{path}: its vocabulary is another one; only models of the same tokens can be mixed")
        predictors.append(NetworkPredictor(str(path), other.network))
    if cache is not None:
        if not math.isfinite(cache[1]):
            raise InputError(f"--cache-theta: found {cache[1]}; must be a number of 0 or more")
        predictors.append(CachePredictor("cache", model.network, *cache))
    state = state or model.config.train.state
    with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
        held_out = None
        if shares is None and (valid := own_texts.own_text(model.trained, "valid")) is not None:
            (Path(folder) / "valid").mkdir()
            held_out = yield from corpus.read(valid, vocabulary, Path(folder) / "valid")
        read = yield from corpus.read(text, vocabulary, folder)
        yield from prepare.check_coverage(read)
        found = yield from evaluate_mixture(predictors, read, state, shares, held_out)
        del read, held_out  # a mapped file cannot be removed on every system
    return found


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"--weights: found {text}; must be numbers with commas between them") from None
