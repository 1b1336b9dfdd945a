"""Word classes of a class-based softmax that come from the training text or from a file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rnnlm.config.network import Classes, ExchangeClasses, FileClasses, Output
from rnnlm.network.outputs.classes import assignment
from rnnlm.text.corpus import Corpus
from rnnlm.text.vocabulary import Vocabulary
from rnnlm.word_classes import class_file, exchange
from rnnlm.work import Task


def make(output: Output, corpus: Corpus, vocabulary: Vocabulary) -> Task[NDArray[np.int32] | None]:
    """The class of each token (|V|) that an output layer needs beside the counts; None: it needs none. corpus: the
    training text. Yields Note and Progress.

    Raises:
        InputError: more classes than tokens; a file that misses a token or has another number of classes.
    """
    if not isinstance(output, Classes):
        return None
    V = len(vocabulary)
    classes = output.classes or assignment.choose(V)
    assignment.check(classes, V)
    if isinstance(output.by, FileClasses):
        return class_file.read(output.by.path, vocabulary, classes)
    if isinstance(output.by, ExchangeClasses):
        start = assignment.by_frequency(vocabulary.counts, classes)
        made = yield from exchange.cluster(corpus, start, output.by.passes)
        return made
    return None
