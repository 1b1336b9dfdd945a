"""The barrier: threads wait for each other inside a kernel.

    wait(thread)               # nobody goes on before all threads have come here

A thread that waits looks again and again (25 ns), and lets others have the core when that takes long: with fewer
cores than threads the one that is waited for has to run somewhere."""

from __future__ import annotations

from rnnlm.kernels.jit import jit
from rnnlm.kernels.parallel.atomics import count, give_way, look
from rnnlm.kernels.parallel.words import COUNT, own

# Looks before the core is given up.
PATIENCE = 2000


@jit
def wait(thread):
    """Wait until all threads have come here."""
    if thread.threads == 1:
        return
    place = own(thread.number)
    thread.words[place] += 1
    everybody = thread.words[place] * thread.threads
    count(thread.words, COUNT)
    looks = 0
    while look(thread.words, COUNT) < everybody:
        looks += 1
        if looks > PATIENCE:
            give_way()
