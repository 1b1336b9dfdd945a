"""Shared by all tests: the switch for slow ones, and where the real corpora are."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from real_corpora import REAL_CORPORA

from rnnlm.corpora import cache


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the tests marked slow too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow; give --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def ptb() -> Path:
    """The folder of the real Penn Treebank files; skips where it is not there."""
    folder = REAL_CORPORA / "ptb"
    if not folder.is_dir():
        pytest.skip("the Penn Treebank is not on this machine")
    return folder


@pytest.fixture(scope="session", autouse=True)
def _prepared_texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The cache of prepared texts in a folder of the tests' own."""
    folder = tmp_path_factory.mktemp("texts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "folder", lambda: folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def _closing_terminals() -> None:
    """Tests close terminals: the signal counts, also where the tests themselves were told to outlive theirs."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


pytest_plugins = ["small", "training_runs", "run_folders"]
