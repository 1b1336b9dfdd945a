"""Draws records and results. Results go to standard output; progress, messages and errors to standard error.

`Console.watch` runs a generator of records to its end, draws each record, and returns the generator's result: live
bars and tables in a terminal, plain lines elsewhere, nothing with ``quiet``.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from rich.console import Console as RichConsole
from rich.console import Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.text import Text

from rnnlm.console import gradients
from rnnlm.console.bars import Bars, Detail, Left
from rnnlm.console.curve import curve_lines
from rnnlm.console.formats import amount, counted, duration, figure, finite, new_table, value_text
from rnnlm.errors import RnnlmError
from rnnlm.evaluation.records import Evaluation
from rnnlm.gradients.check.records import GradientCheck
from rnnlm.gradients.derivation.records import Heading, Quantity, Remark
from rnnlm.gradients.ledger.records import Ledger
from rnnlm.measure.records import Bench, Plan, Warmed
from rnnlm.sampling.records import Sampled, Samples
from rnnlm.training.records import Checkpoint, End, Start, Step, Valid
from rnnlm.work import Note, Task
from rnnlm.work import Progress as ProgressRecord

_T = TypeVar("_T")

_PLAIN_SECONDS = 10.0  # between two lines about one task where there is no terminal

# The table of validations, a line an epoch, within 80 columns.
_VALID_WIDTHS = (5, 11, 13, 15, 9, 11, 13)


def _valid_row(cells: Sequence[str]) -> str:
    return "".join(f"{cell:>{width}}" for cell, width in zip(cells, _VALID_WIDTHS, strict=True))


_VALID_HEADING = (
    "* best so far" + _valid_row(["", "", "training", "validation  ", "nats a", "learning", ""])[13:].rstrip(),
    _valid_row(["epoch", "updates", "perplexity", "perplexity  ", "token", "rate", "time"]),
)


class Console:
    """Draws records.

    Args:
        quiet: errors and results only.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        # No markup: a path or a word may have brackets and colons in it.
        self.out = RichConsole(highlight=False, soft_wrap=True, markup=False, emoji=False)
        self.err = RichConsole(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._headed = False
        self._start: Start | None = None
        self._epochs = 0
        self._losses: list[float] = []
        self._last_line: dict[str, float] = {}
        self._results = True

    def watch(self, work: Task[_T], results: bool = True) -> _T:
        """Run `work` to its end, drawing what it yields; returns its result. `results` False: perplexities and
        samples are not drawn, since the result is printed as JSON."""
        self._results = results
        if not self.err.is_terminal or self.quiet:
            return self._consume(work)
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TaskProgressColumn(),
            Left(),
            Detail(),
            console=self.err,
            transient=True,
            refresh_per_second=8,
        )
        self._bars.start()
        try:
            return self._consume(work)
        finally:
            self._stop_bars()

    def _stop_bars(self) -> None:
        """Take the bars away, so that what is printed from now on stays where it is."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def _consume(self, work: Task[_T]) -> _T:
        while True:
            try:
                self.draw(next(work))
            except StopIteration as end:
                result: _T = end.value
                return result

    def draw(self, record: Any) -> None:
        """Show one record."""
        if isinstance(record, Evaluation | Samples):
            if self._results:
                self._result(record)
        elif self.quiet:
            return
        elif isinstance(record, Note):
            self.note(record)
        elif isinstance(record, ProgressRecord):
            self._progress(record)
        elif isinstance(record, Start):
            self._training_starts(record)
        elif isinstance(record, Step):
            self._step(record)
        elif isinstance(record, Valid):
            self._valid(record)
        elif isinstance(record, End):
            self._end(record)
        elif isinstance(record, Checkpoint):
            pass

    def _result(self, record: Evaluation | Samples) -> None:
        self._stop_bars()
        if isinstance(record, Samples):
            self.samples(record)
        else:
            self.out.print(Text("--- test text", style="dim"))
            self.evaluation(record)

    # -- messages
    # ---------------------------------------------------------------------------------------------------------

    def error(self, error: RnnlmError) -> None:
        self.err.print(Text.assemble(("error: ", "bold red"), str(error)))

    def note(self, note: Note) -> None:
        self.err.print(Text.assemble(("warning: ", "yellow"), note.text) if note.warning else Text(note.text))

    def line(self, text: str) -> None:
        """A line of a result, on standard output."""
        self.out.print(Text(text))

    def json(self, value: Any) -> None:
        """One JSON object on standard output. A figure that is not finite is null: JSON has no word for it."""
        sys.stdout.write(json.dumps(finite(value), ensure_ascii=False) + "\n")

    def table(self, title: str | None, columns: Sequence[tuple[str, str]], rows: Iterable[Sequence[str]]) -> None:
        """A table on standard output; columns are (heading, "left" | "right")."""
        table = new_table(columns)
        table.title = title
        for row in rows:
            table.add_row(*row)
        self.out.print(table)

    # -- training
    # ---------------------------------------------------------------------------------------------------------

    def _training_starts(self, start: Start) -> None:
        self._start = start
        self._epochs = start.epochs
        self._losses.clear()
        self._headed = False
        self.err.print(
            f"{start.parameters:,} parameters, {start.tokens_per_epoch:,} tokens an epoch "
            f"in {start.steps_per_epoch:,} updates, "
            f"{counted(start.epochs, 'epoch')}, {counted(start.threads, 'thread')}"
        )
        if self._bars is not None:
            self._clear_bars()
            self._tasks["train"] = self._bars.add_task(
                "training",
                total=start.total_steps,
                completed=start.step,
                detail="the first time, the kernels are compiled",
            )

    def _clear_bars(self) -> None:
        assert self._bars is not None
        self._tasks.clear()
        for task in self._bars.task_ids:
            self._bars.remove_task(task)

    def _step(self, step: Step) -> None:
        self._losses.append(step.loss)
        text = (
            f"perplexity {figure(step.perplexity)} · {step.tokens_per_second:,.0f} tokens/s · "
            f"loss {step.loss:.3f} · gradient {step.gradient_norm:.3g} · rate {step.learning_rate:.3g}"
        )
        if self._bars is not None:
            self._bars.update(
                self._tasks["train"],
                completed=step.step,
                description=f"epoch {step.epoch + 1} of {self._epochs}",
                detail=text,
            )
        elif self._due("train"):
            self.err.print(f"epoch {step.epoch + 1} · update {step.step:,}{self._time_left(step)} · {text}")

    def _time_left(self, step: Step) -> str:
        start = self._start
        if start is None or step.step <= start.step:
            return ""
        left = step.seconds / step.step * (start.total_steps - step.step)
        return f" of {start.total_steps:,} · {duration(left)} left"

    def _valid(self, valid: Valid) -> None:
        cells = [
            str(valid.epoch),
            f"{valid.step:,}",
            figure(valid.train_perplexity),
            f"{figure(valid.perplexity)} {'*' if valid.best else ' '}",
            f"{valid.loss:.4f}",
            f"{valid.learning_rate:.3g}",
            duration(valid.seconds),
        ]
        if self._bars is not None:
            if not self._headed:
                self._headed = True
                for line in _VALID_HEADING:
                    self.err.print(Text(line, style="bold"))
            self.err.print(_valid_row(cells))
        else:
            self.err.print(
                f"epoch {valid.epoch} done · training perplexity {cells[2]} · "
                f"validation perplexity {cells[3].strip()} ({cells[4]} nats a token) · {cells[6]}"
            )

    def _end(self, end: End) -> None:
        reasons = {
            "epochs": "all epochs done",
            "max_updates": "train.max_updates reached",
            "patience": "validation has not improved for train.patience epochs",
        }
        best = (
            f", best validation perplexity {figure(end.best_perplexity)}" if end.best_perplexity is not None else ""
        )
        self._stop_bars()
        if self._headed:
            self.err.print()
        for text in curve_lines(self._losses):
            self.err.print(Text(text, style="cyan"))
        if self._losses:
            updates = end.step - (self._start.step if self._start else 0)
            self.err.print(f"{'':9} training loss, nats a token, over {updates:,} updates")
        after = f"after {duration(end.seconds)}{best}"
        if end.reason == "interrupted":
            self.err.print(f"stopped; --resume goes on from here ({after}); the run is in {end.run}")
        else:
            self.err.print(f"{reasons[end.reason]} {after}; the run is in {end.run}")

    # -- tasks
    # ------------------------------------------------------------------------------------------------------------

    def _progress(self, record: ProgressRecord) -> None:
        detail = f"{amount(record.done).rstrip()} {record.unit}"
        if self._bars is not None:
            if record.task not in self._tasks:
                self._tasks[record.task] = self._bars.add_task(record.task, total=record.total, detail="")
            task = self._tasks[record.task]
            self._bars.update(task, completed=record.done, total=record.total, detail=detail)
            if record.total is not None and record.done >= record.total:
                self._bars.update(task, visible=False)
        elif self._due(record.task):
            of = f" of {amount(record.total).rstrip()}" if record.total is not None else ""
            self.err.print(f"{record.task}: {amount(record.done).rstrip()}{of} {record.unit}")
        if record.total is not None and record.done >= record.total:
            self._last_line.pop(record.task, None)

    def _due(self, task: str) -> bool:
        """Whether a plain line about this task is due; the first one only after a while, so short work says
        nothing."""
        now = time.monotonic()
        last = self._last_line.setdefault(task, now if task != "train" else now - _PLAIN_SECONDS)
        if now - last < _PLAIN_SECONDS:
            return False
        self._last_line[task] = now
        return True

    # -- results
    # ----------------------------------------------------------------------------------------------------------

    def evaluation(self, found: Evaluation, source: str | None = None) -> None:
        """The perplexity with all that it stands on; `source`: the text's name."""
        rows = [("text", source)] if source is not None else []
        rows.append(("perplexity", figure(found.perplexity)))
        if found.lowest_perplexity is not None:
            over = found.perplexity / found.lowest_perplexity - 1
            lowest = f"{figure(found.lowest_perplexity)}   (this model: {over:+.1%})"
            rows.append(("lowest possible perplexity", lowest))
        without = "none is known" if found.perplexity_without_unk is None else figure(found.perplexity_without_unk)
        rows += [
            ("perplexity without unknown tokens", without),
            ("tokens scored", f"{found.tokens:,}   (line ends counted: {found.line_ends:,})"),
            ("unknown tokens", f"{found.unknown:,}   ({found.unknown / found.tokens:.2%})"),
            ("bits a token", f"{found.bits_per_token:.4f}"),
            (
                "bits a character of the raw text",
                f"{found.bits_per_character:.4f}   ({found.characters:,} characters)",
            ),
            ("hidden state at line ends", "carried over" if found.state == "carry" else "reset"),
            ("speed", f"{found.tokens_per_second:,.0f} tokens/s   ({found.seconds:.2f} s)"),
        ]
        width = max(len(name) for name, _ in rows)
        for name, value in rows:
            self.out.print(Text(f"{name:<{width}}   {value}", style="bold" if name == "perplexity" else ""))
        for text in found.notes:
            self.note(Note(text, warning=True))

    def samples(self, found: Samples) -> None:
        for i, text in enumerate(found.texts, 1):
            if len(found.texts) > 1:
                self.out.print(Text(f"--- sample {i}", style="dim"))
            self.out.print(Text(text.rstrip("\n")))

    def stream(self, work: Iterator[Any], prompt: str, joiners: Sequence[Any], show: bool = True) -> list[str]:
        """Draw sampling: one sample token by token as it comes; several side by side in a terminal, at the end
        elsewhere. Returns the texts; `show` False: draws only the notes."""
        texts = [prompt] * len(joiners)
        alone = show and len(joiners) == 1
        begun = False
        live = (
            Live(console=self.out, transient=True, refresh_per_second=12)
            if show and not alone and self.out.is_terminal
            else None
        )
        if live:
            live.start()
        try:
            for record in work:
                if isinstance(record, Sampled):
                    if alone and not begun:
                        sys.stdout.write(prompt)
                    begun = True
                    for i, piece in enumerate(record.pieces):
                        added = "" if piece is None else joiners[i].add(piece)
                        texts[i] += added
                        if alone:
                            sys.stdout.write(added)
                            sys.stdout.flush()
                    if live:
                        live.update(Group(*(Text(f"{i}: {text.strip()}") for i, text in enumerate(texts, 1))))
                else:
                    self.draw(record)
        finally:
            if live:
                live.stop()
        rests = [joiner.rest() for joiner in joiners]
        texts = [text + rest for text, rest in zip(texts, rests, strict=True)]
        if alone:
            sys.stdout.write(rests[0] if texts[0].endswith("\n") else rests[0] + "\n")
            sys.stdout.flush()
        elif show:
            self.samples(Samples(tuple(texts)))
        return texts

    def plan(self, plan: Plan) -> None:
        rows = [(name, " x ".join(f"{n:,}" for n in shape), f"{size:,}") for name, shape, size in plan.tensors]
        rows.append(("all", "", f"{plan.parameters:,}"))
        self.table(None, [("parameter", "left"), ("shape", "right"), ("numbers", "right")], rows)
        free = f"   ({amount(plan.available_bytes)}B free)" if plan.available_bytes is not None else ""
        facts = [
            ("vocabulary", f"{plan.vocabulary:,} tokens"),
            ("training text", f"{plan.train_tokens:,} tokens, {plan.unknown / plan.train_tokens:.2%} unknown"),
            ("memory", f"{amount(plan.memory_bytes)}B and about 250 MB for Python{free}"),
            ("disk", f"{amount(plan.disk_bytes)}B"),
            ("speed", f"{plan.tokens_per_second:,.0f} tokens/s, measured here on {counted(plan.threads, 'thread')}"),
            ("an epoch", duration(plan.seconds_per_epoch)),
            (
                "the run",
                f"{duration(plan.seconds)} for {plan.total_steps:,} updates, "
                f"at most {counted(plan.epochs, 'epoch')}, without validation",
            ),
        ]
        for name, value in facts:
            self.out.print(Text(f"{name:<14} {value}"))

    def bench(self, found: Bench) -> None:
        """What ``rnnlm bench`` measured."""
        rows = [
            ("training", found.training_tokens_per_second, f"{found.training_gflops:,.0f} GFLOP/s"),
            ("evaluation", found.evaluation_tokens_per_second, ""),
            ("sampling, one text", found.sampling_tokens_per_second, ""),
            ("sampling, 64 at once", found.sampling_64_tokens_per_second, ""),
        ]
        self.table(
            None,
            [("", "left"), ("tokens/s", "right"), ("", "right")],
            [(name, f"{speed:,.0f}", note) for name, speed, note in rows],
        )
        self.table(
            None,
            [("of an update", "left"), ("share", "right"), ("GFLOP/s", "right"), ("of the machine's", "right")],
            [
                (layer.name, f"{layer.share:.1%}", *self._gflops(layer.gflops, found.machine_gflops))
                for layer in found.layers
            ],
        )
        peak = f"{amount(found.peak_bytes)}B" if found.peak_bytes is not None else "not known here"
        facts = [
            ("machine", f"{found.machine_gflops:,.0f} GFLOP/s in large products, {counted(found.threads, 'thread')}"),
            ("network", f"{found.parameters:,} numbers in {found.precision}, vocabulary {found.vocabulary:,}"),
            ("first update", f"{found.first_update_seconds:.2f} s, with reading or compiling the kernels"),
            ("peak memory", peak),
        ]
        for name, value in facts:
            self.out.print(Text(f"{name:<14} {value}"))

    @staticmethod
    def _gflops(own: float | None, machine: float) -> tuple[str, str]:
        return ("", "") if own is None else (f"{own:,.0f}", f"{own / machine:.0%}")

    def warmed(self, found: Warmed) -> None:
        """What ``rnnlm warmup`` compiled."""
        self.out.print(
            Text(f"kernels for {', '.join(found.precisions)} are in {found.cache} ({found.seconds:.1f} s)")
        )

    def inspection(self, found: dict[str, Any]) -> None:
        """What ``rnnlm inspect`` found."""
        training = found["training"]
        epochs = counted(training["epoch"], "epoch")
        best = training.get("best_validation_perplexity")
        facts = [
            ("file", found["path"]),
            ("parameters", f"{found['parameters']:,}"),
            ("vocabulary", f"{found['vocabulary']:,} tokens: {' '.join(found['most_frequent'])} ..."),
            ("trained", f"{training['step']:,} updates, {epochs}, by rnnlm {training['version']}"),
            ("best", "no validation text" if best is None else f"validation perplexity {figure(best)}"),
        ]
        for name, value in facts:
            self.out.print(Text(f"{name:<11} {value}"))
        columns = [("tensor", "left"), ("shape", "right"), ("type", "left"), ("norm", "right"), ("largest", "right")]
        rows = [
            (name, " x ".join(f"{n:,}" for n in t["shape"]), t["type"], f"{t['norm']:.4g}", f"{t['largest']:.4g}")
            for name, t in found["tensors"].items()
        ]
        self.table(None, columns, rows)
        for section, values in found["config"].items():
            self.out.print(
                Text(self._hanging(section, [f"{key}: {value_text(value)}" for key, value in values.items()]))
            )

    def _hanging(self, name: str, parts: Sequence[str]) -> str:
        """`parts` after `name`; in a terminal broken between the parts, and indented."""
        lines = [f"{name:<11} "]
        for number, part in enumerate(parts, 1):
            piece = part + ("," if number < len(parts) else "")
            if self.out.is_terminal and len(lines[-1]) + len(piece) >= self.out.width and lines[-1].strip():
                lines.append(" " * 12)
            lines[-1] += piece + " "
        return "\n".join(line.rstrip() for line in lines)

    def grammars(self, found: dict[str, Any]) -> None:
        """The built-in grammars of ``rnnlm corpus list``."""
        columns = [("grammar", "left"), ("words", "right"), ("words a sentence", "right"), ("bits a token", "right")]
        rows = [
            (
                name,
                f"{d.words:,}",
                f"{d.mean_sentence_length:.2f}",
                f"{d.entropy_rate_bits:.4f}",
                figure(d.lowest_perplexity),
            )
            for name, d in found.items()
        ]
        self.table(None, [*columns, ("lowest perplexity", "right")], rows)

    def corpora(self, found: Sequence[Any]) -> None:
        """The public corpora of ``rnnlm corpus list``: their sizes, then what each of them is."""
        splits = ("train", "valid", "test")
        # Few columns: in 80 of the terminal's, what is cut first is the name, which `corpus get` wants whole.
        columns = [
            ("corpus", "left"),
            ("unit", "left"),
            *((f"{split} tokens", "right") for split in splits),
            ("download", "right"),
        ]
        rows = [
            (
                entry.name,
                entry.unit,
                *(f"{entry.splits[split].tokens:,}" if split in entry.splits else "-" for split in splits),
                "is here" if entry.present else "?" if entry.size is None else f"{amount(entry.size)}B",
            )
            for entry in found
        ]
        self.table(None, columns, rows)
        columns = [("corpus", "left"), ("what it is", "left"), ("licence", "left")]
        self.table(None, columns, [(entry.name, entry.title, entry.licence) for entry in found])

    def made(self, made: Any) -> None:
        """What ``rnnlm corpus make`` wrote."""
        d = made.grammar
        bound = "" if d.unambiguous else ", or less: the grammar may be ambiguous"
        facts = [
            ("grammar", f"{d.path}: {d.words:,} words, {d.rules:,} rules"),
            ("mean sentence", f"{d.mean_sentence_length:.4f} words"),
            ("entropy of a sentence", f"{d.entropy_per_sentence_bits:.6f} bits{bound}"),
            ("entropy rate", f"{d.entropy_rate_bits:.6f} bits a token, one </s> a sentence counted{bound}"),
            ("lowest perplexity", f"{d.lowest_perplexity:.4f}{bound}"),
        ]
        if d.ambiguity is not None:
            facts.append(("why not exact", d.ambiguity))
        for name, value in facts:
            self.out.print(Text(f"{name:<22} {value}"))
        columns = [("text", "left"), ("sentences", "right"), ("tokens", "right"), ("grammar's perplexity", "right")]
        rows = [(t.path, f"{t.sentences:,}", f"{t.tokens:,}", f"{t.perplexity:.4f}") for t in made.texts]
        self.table(None, columns, rows)

    # -- gradients
    # --------------------------------------------------------------------------------------------------------

    def gradient_check(self, found: GradientCheck) -> None:
        """What ``rnnlm gradcheck`` found."""
        self._parts(gradients.gradient_check(found, self._width))

    def ledger(self, found: Ledger) -> None:
        """What ``rnnlm gradients`` found."""
        self._parts(gradients.ledger(found, self._width))

    @property
    def _width(self) -> int:
        """Columns of the screen; a file or a pipe has as many as anything here wants."""
        return self.out.width if self.out.is_terminal else 140

    def _parts(self, parts: Iterable[Any]) -> None:
        for part in parts:
            self.out.print(part, width=self._width)

    def derivation(self, walk: Iterable[Heading | Remark | Quantity], as_json: bool = False) -> bool:
        """``rnnlm derive``, a quantity at a time; whether all of them passed their checks."""
        passed, checked, told = True, 0, []
        for record in walk:
            if isinstance(record, Quantity):
                passed &= record.passed
                checked += bool(record.against)
            if as_json:
                told.append(record.json())
            else:
                self._parts(gradients.derivation_step(record, self._width))
        if as_json:
            self.json({"passed": passed, "checked": checked, "derivation": told})
        else:
            verdict = "all of them right" if passed else "NOT all of them right"
            self.out.print()
            self.out.print(Text(f"{checked} quantities checked, {verdict}", style="bold" if passed else "bold red"))
        return passed
