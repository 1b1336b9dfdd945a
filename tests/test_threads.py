"""One model in several Python threads: every caller gets the numbers that it would get alone."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

import rnnlm
from rnnlm.sampling.sample import Settings

THREADS = 8


@pytest.fixture(autouse=True)
def often() -> Iterator[None]:
    """Python gives its lock to another thread as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def texts() -> list[str]:
    """Of one to forty lines, so that some take several windows."""
    generator = random.Random(2)
    words = ["the", "dog", "sees", "a", "bird", "zebra", "cats", "sleep"]

    def line() -> str:
        return " ".join(generator.choices(words, k=generator.randint(1, 12))) + "\n"

    return ["".join(line() for _ in range(generator.choice([1, 3, 40]))) for _ in range(60)]


def asked(model: rnnlm.LanguageModel, number: int, text: str) -> Any:
    """One of all that can be asked of a model."""
    if number % 4 == 0:
        return model.perplexity(text, ("carry", "reset")[number // 4 % 2])
    if number % 4 == 1:
        return [(score.token, score.surprisal, score.rank, score.entropy) for score in model.surprisal(text)]
    if number % 4 == 2:
        return model.samples(2, "the", tokens=15, seed=number)
    return model.sample("a dog", tokens=15, seed=number, top_k=5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("unit", ["word", "char"])
def test_eight_threads_get_the_numbers_of_one(runs: dict[str, Path], unit: str, threads: int) -> None:
    model = rnnlm.load(runs[unit], threads)
    given = texts()
    wanted = [asked(model, number, text) for number, text in enumerate(given)]
    together = Barrier(THREADS)

    def all_of_it(_: int) -> list[Any]:
        together.wait()
        return [asked(model, number, text) for number, text in enumerate(given)]

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(all_of_it, range(THREADS)):
            assert found == wanted


def test_a_model_for_each_thread_too(runs: dict[str, Path]) -> None:
    """They have nothing in common but the thread pool."""
    given = texts()[:20]
    wanted = [asked(rnnlm.load(runs["word"], 2), number, text) for number, text in enumerate(given)]

    def all_of_it(_: int) -> list[Any]:
        model = rnnlm.load(runs["word"], 2)
        return [asked(model, number, text) for number, text in enumerate(given)]

    with ThreadPoolExecutor(THREADS) as pool:
        for found in pool.map(all_of_it, range(THREADS)):
            assert found == wanted


def test_generators_that_outlive_a_call(runs: dict[str, Path]) -> None:
    """Left half-way, in turn with each other and with whatever else is asked, each goes on from its own state, and
    nobody waits for one that is never gone on with."""
    model = rnnlm.load(runs["char"], 1)
    text = "the dog sees a bird\n" * 150
    begun: list[Callable[[], Iterator[Any]]] = [
        lambda: model.sampling("the", Settings(tokens=20, seed=1)),
        lambda: model.sampling("a", Settings(tokens=20, samples=3, top_p=0.9)),
        lambda: model.evaluating(text=text),
        lambda: model.evaluating(text=text, state="reset"),
    ]
    wanted = [list(begin()) for begin in begun]
    assert all(len(records) > 2 for records in wanted)
    running = [begin() for begin in begun]
    found: list[list[Any]] = [[] for _ in begun]
    for _ in range(max(map(len, wanted))):
        for records, generator in zip(found, running, strict=True):
            records += [record for record in [next(generator, None)] if record is not None]
            model.perplexity("a bird")
    assert found == wanted
    left = begun[2]()
    next(left)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(model.perplexity, "a bird").result(timeout=60) == model.perplexity("a bird")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_while_another_thread_computes(runs: dict[str, Path]) -> None:
    """The child has no such thread, and need not wait for it."""
    model = rnnlm.load(runs["word"], 1)
    model.perplexity("the dog")
    with model.network.lock:
        child = os.fork()
        if child == 0:
            try:
                signal.alarm(60)
                os._exit(0 if model.perplexity("the dog") > 1 else 1)
            finally:
                os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
