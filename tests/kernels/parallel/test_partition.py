"""The partition of work over threads."""

from __future__ import annotations

import numpy as np
import pytest

from rnnlm.kernels.parallel.partition import partition
from rnnlm.kernels.parallel.words import Thread


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
@pytest.mark.parametrize("total", [0, 1, 2, 15, 16, 17, 100, 1001])
@pytest.mark.parametrize("grain", [1, 16])
def test_ranges_cover_everything_once(threads: int, total: int, grain: int) -> None:
    covered = []
    for number in range(threads):
        start, stop = partition(Thread(number, threads, np.empty(0, np.int64)), total, grain)
        assert start % grain == 0 or start == total
        covered += range(start, stop)
    assert covered == list(range(total))
