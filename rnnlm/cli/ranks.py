"""Commands whose work several processes share out: ``mpiexec -n 4 rnnlm score ...``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rnnlm.console import Console
    from rnnlm.ranks.ranks import Ranks


def ranks_of(context: typer.Context, console: Console) -> Ranks | None:
    """The ranks that share out what this command computes, until it ends; None where this process was started alone.

    Rank 0 alone comes back from this call: the others do their part inside it, and end. So it stands before whatever
    may fail, which is then said once.
    """
    return context.with_resource(_led(console))


@contextmanager
def _led(console: Console) -> Iterator[Ranks | None]:
    from rnnlm.ranks.launch import joined

    with joined(console.error) as ranks:
        if ranks is None or ranks.rank == 0:
            yield ranks
            return
        from rnnlm.ranks.sharing import work

        work(ranks)
    raise typer.Exit
