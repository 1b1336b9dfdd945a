"""The command line, a file a command.

A command reads its arguments, calls one library function and hands the answer to the console. Whatever is
heavy is imported inside the command, so that ``--help`` is quick.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import typer

from rnnlm.cli import (
    bench,
    compare,
    config,
    corpus,
    derive,
    embed,
    eval,
    export,
    gradcheck,
    gradients,
    help,
    import_,
    init,
    inspect,
    next,
    ngram,
    pairs,
    rescore,
    runs,
    sample,
    score,
    syntaxgym,
    train,
    vocab,
    warmup,
)
from rnnlm.errors import InputError, RnnlmError

# What the parser of arguments raises: click's class, or that of the copy of click inside newer versions of typer.
_UsageError: Any = typer.BadParameter.__mro__[1]

app = typer.Typer(
    cls=help.Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add(name: str, function: Callable[..., None]) -> None:
    app.command(name, cls=help.Command, epilog=help.epilog(name))(function)


_add("init", init.command)
_add("train", train.command)
_add("eval", eval.command)
_add("score", score.command)
_add("pairs", pairs.command)
_add("rescore", rescore.command)
_add("syntaxgym", syntaxgym.command)
_add("compare", compare.command)
_add("runs", runs.command)
_add("sample", sample.command)
_add("next", next.command)
_add("ngram", ngram.command)
_add("vocab", vocab.command)
_add("embed", embed.command)
_add("gradcheck", gradcheck.command)
_add("gradients", gradients.command)
_add("derive", derive.command)
_add("inspect", inspect.command)
_add("export", export.command)
_add("import", import_.command)
_add("bench", bench.command)
_add("warmup", warmup.command)
app.add_typer(corpus.app, name="corpus")
app.add_typer(config.app, name="config")


def _print_version(wanted: bool) -> None:
    if wanted:
        import rnnlm

        typer.echo(f"rnnlm {rnnlm.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
    debug: bool = typer.Option(False, "--debug", help="Show a traceback with an error (also RNNLM_DEBUG=1)."),
) -> None:
    """Train, score and sample recurrent neural language models.

    A CONFIG is a YAML file or a recipe's name (quickstart); a MODEL is a run's folder or its model.safetensors.
    """


def main() -> None:
    """Run the command line; an error is one line on standard error and an exit status."""
    # Before the first import of NumPy, which the commands do; see ``kernels.matmul.blas_threads``.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Importing and compiling make a million objects that stay; Python would look through them again and again.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)  # nor look through them at the end, which takes a tenth of a second
    arguments = sys.argv[1:]
    # Anywhere on the line, since it is typed after something went wrong.
    debug = "--debug" in arguments or os.environ.get("RNNLM_DEBUG", "") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that knows no é shows \xe9
    warnings.showwarning = _show_warning
    try:
        status = app(args=arguments, prog_name="rnnlm", standalone_mode=False)
        sys.stdout.flush()  # here, where an error of it is told
        if status:
            sys.exit(status)
    except _UsageError as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()  # the help
            sys.exit(2)
        from rnnlm.ranks.launch import leave_to_the_first, own_rank

        if own_rank() > 0:
            leave_to_the_first()
        path = error.ctx.command_path if error.ctx else "rnnlm"
        # Some versions of typer begin the reason with the kind of error that pydantic had inside.
        found = error.format_message().replace("Value error, ", "").rstrip(".")
        _fail(InputError(f"{path}: {found}; {path} --help says what there is"))
    except RnnlmError as error:
        if debug:
            raise
        _fail(error)
    except (KeyboardInterrupt, typer.Abort):
        sys.exit(130)
    except BrokenPipeError:
        _drop_output()  # the reader (head, less) has gone
        sys.exit(1)
    except OSError as error:
        if debug:
            raise
        try:
            sys.stdout.flush()
        except OSError:
            _drop_output()
        where = f"{error.filename}: " if error.filename else ""
        _fail(RnnlmError(f"{where}{error.strerror or error}; --debug shows what was done there"))
    except MemoryError as error:
        if debug:
            raise
        _fail(
            RnnlmError(
                f"out of memory ({str(error) or 'no details'}); lower train.batch, model.hidden or vocab.max_size"
            )
        )
    except Exception as error:
        if debug:
            raise
        _fail(
            RnnlmError(
                f"internal: {type(error).__name__}: {error}; run it again with --debug and report what it shows"
            )
        )


def _drop_output() -> None:
    """Throw away what standard output could not be written: Python would complain once more when it closes it."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message: Warning | str, *where: Any, **more: Any) -> None:
    """A warning as a line, without the place in the source that Python would show."""
    from rnnlm.console import Console
    from rnnlm.work import Note

    Console().note(Note(str(message), warning=True))


def _fail(error: RnnlmError) -> None:
    from rnnlm.console import Console

    Console().error(error)
    sys.exit(error.exit_status)
