"""Samples on the way: what the network writes while it is trained."""

from __future__ import annotations

import time

from rnnlm.sampling import prompts
from rnnlm.sampling.records import Sample, Sampled, extend
from rnnlm.sampling.sample import Settings
from rnnlm.sampling.sample import sample as sampling
from rnnlm.text import tokenizers
from rnnlm.training.records import TrainingSample
from rnnlm.training.run import Run


def sample(run: Run) -> TrainingSample:
    """A text that the network writes now, with the weights that a validation would score.

    It begins from the state 0, as validation does. Its random numbers follow from the seed and the number of updates,
    so that it takes none of the training's, and a run that goes on writes the same.
    """
    at, settings, wanted, began = run.at, run.settings, run.settings.sample, time.monotonic()
    prompt = prompts.encode(wanted.prompt, run.vocabulary, "train.sample.prompt")
    how = Settings(
        tokens=wanted.tokens,
        seed=(settings.seed << 64) + at.updates,
        stop_at_line_end=tokenizers.ends_lines(run.vocabulary.unit),
    )
    written = Sample(wanted.prompt)
    with run.average.in_place():
        for step in sampling(run.network, run.vocabulary, [prompt], run.config.state, how):
            if isinstance(step, Sampled):
                extend([written], step)
    seconds = time.monotonic() - began
    run.last_seconds += seconds  # the speed is that of training
    at.seconds += seconds
    return TrainingSample(at.updates, at.epoch, at.tokens, at.seconds, written.text)
