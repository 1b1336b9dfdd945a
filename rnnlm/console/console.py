"""The console: results on standard output, progress, messages and errors on standard error.

`Console.watch` runs a task to its end, draws each of its records, and returns its result: live bars and tables in a
terminal, plain lines elsewhere, nothing with ``quiet``. `Console.show` prints a view (see `rnnlm.console.views`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text

from rnnlm.console.controls import Screen, visible
from rnnlm.console.formats import finite
from rnnlm.console.progress import Bars, Lines
from rnnlm.console.views.evaluation import evaluation_view
from rnnlm.console.views.ranks import ranks_view
from rnnlm.console.views.sampling import samples_view
from rnnlm.errors import RnnlmError
from rnnlm.evaluation.records import Evaluation
from rnnlm.sampling.records import Samples
from rnnlm.training.records import End, RankSpeeds, Start, TrainingSample, Updates, Valid
from rnnlm.work import Note, Progress, Task

_T = TypeVar("_T")

_NO_SCREEN = 10_000  # columns of a file or a pipe: as many as a view could want


class Console:
    """Prints records, views and messages.

    Args:
        quiet: errors and results only.
        out, err: left out: standard output and standard error.
    """

    def __init__(self, quiet: bool = False, out: Screen | None = None, err: Screen | None = None) -> None:
        self.quiet = quiet
        # No markup: a path or a word may have brackets and colons in it.
        self.out = out or Screen(highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.err = err or Screen(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
        for stream in (self.out, self.err):
            if not stream.is_terminal:
                stream.width = _NO_SCREEN  # a table is as wide as it needs
        self._lines = Lines(self.err)
        self._bars: Bars | None = None
        self._results = True

    @property
    def width(self) -> int:
        """Columns of the screen."""
        return self.out.width

    # -- tasks

    def watch(self, task: Task[_T], results: bool = True) -> _T:
        """Run `task` to its end, drawing what it yields; returns its result. `results` False: perplexities and
        samples are not drawn, since the result is printed as JSON."""
        self._results = results
        if self.err.is_terminal and not self.quiet:
            self._bars = Bars(self.err)
        try:
            while True:
                try:
                    self.draw(next(task))
                except StopIteration as end:
                    result: _T = end.value
                    return result
        finally:
            self._stop_bars()

    def draw(self, record: Any) -> None:
        """Show one record of a task."""
        if isinstance(record, Evaluation | Samples):
            if self._results:
                self._result(record)
        elif self.quiet:
            return
        elif isinstance(record, Note):
            self.note(record)
        else:
            self._advance(record)

    def _advance(self, record: Any) -> None:
        """Show how far a task or a training has come."""
        display = self._bars or self._lines
        if isinstance(record, Progress):
            display.progress(record)
        elif isinstance(record, Start):
            display.start(record)
        elif isinstance(record, Updates):
            display.updates(record)
        elif isinstance(record, Valid):
            display.valid(record)
        elif isinstance(record, TrainingSample):
            display.sample(record)
        elif isinstance(record, RankSpeeds):
            self.note(ranks_view(record))
        elif isinstance(record, End):
            self._stop_bars()
            display.end(record)

    def _result(self, record: Evaluation | Samples) -> None:
        self._stop_bars()
        if isinstance(record, Samples):
            self.show(samples_view(record))
        else:
            self.out.print(Text("--- test text", style="dim"))
            self.show(evaluation_view(record))

    def _stop_bars(self) -> None:
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    # -- results, on standard output

    def show(self, view: Iterable[RenderableType | Note]) -> None:
        """Print a view; its notes go to standard error. A str in it is a text that a model wrote (see `text`)."""
        for part in view:
            if isinstance(part, Note):
                self.note(part)
            elif isinstance(part, str):
                self.text(part if part.endswith("\n") else part + "\n")
            else:
                self.out.print(part)

    def text(self, text: str) -> None:
        """Write a text of a model: as it is into a file or pipe, with visible control characters to a terminal."""
        self.out.file.write(visible(text) if self.out.is_terminal else text)
        self.out.file.flush()

    def line(self, text: str) -> None:
        self.out.print(Text(text))

    def json(self, value: Any) -> None:
        """One JSON object, in ASCII: JSON is UTF-8 whatever encoding the terminal has. A figure that is not finite
        is null, since JSON has no word for it."""
        sys.stdout.write(json.dumps(finite(value)) + "\n")

    # -- messages, on standard error

    def remark(self, view: Iterable[RenderableType | Note]) -> None:
        """Print a view beside a result that standard output has."""
        if not self.quiet:
            for part in view:
                if isinstance(part, Note):
                    self.note(part)
                else:
                    self.err.print(part)

    def note(self, note: Note) -> None:
        self._sentences(Text.assemble(("warning: ", "yellow"), note.text) if note.warning else Text(note.text))

    def error(self, error: RnnlmError) -> None:
        self._sentences(Text.assemble(("error: ", "bold red"), str(error)))

    def _sentences(self, text: Text) -> None:
        """Print one line; to a terminal, lines that end with a word. A path that is longer is left to the terminal,
        so that it can be copied."""
        longest = max(map(cell_len, text.plain.split()), default=0)
        self.err.print(text, soft_wrap=not self.err.is_terminal or longest > self.err.width)
