"""The n-gram model of a training text, and its perplexity: what a network has to beat."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from rnnlm.config.encodings import UTF_8
from rnnlm.config.schema import Config
from rnnlm.corpora import cache, prepare
from rnnlm.errors import InputError
from rnnlm.evaluation.perplexity import evaluation_of
from rnnlm.evaluation.records import Baseline, Evaluation
from rnnlm.ngram import arpa
from rnnlm.ngram.kneser_ney import estimate
from rnnlm.ngram.model import NGram
from rnnlm.text import corpus
from rnnlm.text.corpus import Corpus
from rnnlm.text.joined import TextPath
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.work import Note, Task

# The longest n-grams where nothing is said: more of them hardly lower the perplexity.
ORDERS = {"word": 5, "char": 7, "byte": 7, "subword": 5}
LONGEST = 10

# Where nobody has asked for the model: seconds for each token and each length of n-grams, about twice what was
# measured, and how many of these it is still a model of little memory with.
_SECONDS, _MOST = 0.3e-6, 50_000_000


def ngram(config: Config, order: int | None, path: Path | None) -> Task[dict[str, Evaluation]]:
    """Estimate the model of the training text and write it; returns its perplexity on the validation and test text
    ("valid" and "test", where they are there). Yields records.

    Args:
        order: the longest n-grams, 1 to `LONGEST`; None: that of the unit in `ORDERS`. path: of the ARPA file.

    Raises:
        InputError: another order.
        TextError: a text that cannot be read.
    """
    if order is not None and not 1 <= order <= LONGEST:
        raise InputError(f"--order: found {order}; must be 1 to {LONGEST}")
    order = order or ORDERS[config.data.unit]
    paths = yield from prepare.texts(config)
    vocabulary = yield from prepare.build_vocabulary(config, paths.train)
    corpora = yield from prepare.encode(config, paths, vocabulary)
    began, train = time.perf_counter(), corpora.train
    model = estimate(train.ids(0, len(train)), order, len(vocabulary), vocabulary.line_end)
    counts = " + ".join(f"{len(own.keys):,}" for own in model.orders)
    yield Note(
        f"{order}-gram model of {len(train):,} tokens: {counts} n-grams in {time.perf_counter() - began:.1f} s"
    )
    if path is not None:
        yield from arpa.write(path, model, vocabulary)
    texts = {"valid": corpora.valid, "test": corpora.test}
    return {name: evaluation(model, text) for name, text in texts.items() if text is not None}


def quick(vocabulary: Vocabulary, tokens: int, seconds: float) -> bool:
    """Whether `beside` takes less than so many seconds, and little memory.

    Args:
        vocabulary: with the counts of the training text. tokens: of the text to score.
    """
    work = ORDERS[vocabulary.unit] * (int(vocabulary.counts.sum()) + tokens)
    return work * _SECONDS < seconds and work < _MOST


def beside(
    train: TextPath, text: TextPath, vocabulary: Vocabulary, train_encoding: str = UTF_8, encoding: str = UTF_8
) -> Task[Baseline]:
    """The baseline of a text. Yields Progress.

    Args:
        train: the text that the network was trained with. text: a file; each of its lines is scored by itself.
        train_encoding, encoding: of the two texts, codecs' names.
    """
    order = ORDERS[vocabulary.unit]
    known = yield from corpus.encode(train, vocabulary, cache.folder(), train_encoding)
    model = estimate(known.ids(0, len(known)), order, len(vocabulary), vocabulary.line_end)
    with tempfile.TemporaryDirectory(prefix="rnnlm-") as folder:
        read = yield from corpus.read(text, vocabulary, folder, encoding)
        found = evaluation(model, read)
        del read  # a mapped file cannot be removed on every system
    return Baseline(order, found.perplexity, found.perplexity_without_unk)


def evaluation(model: NGram, text: Corpus) -> Evaluation:
    """The model's perplexity on a text, each line by itself."""
    began = time.perf_counter()
    scores = model.scores(text.ids(0, len(text)))
    return evaluation_of(scores, text, "reset", time.perf_counter() - began)
