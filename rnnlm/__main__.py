"""The command ``rnnlm``, also as ``python -m rnnlm``."""

from __future__ import annotations

import signal


def main() -> None:
    """Import the command line and run it."""
    # As long as there is nothing to lose Ctrl-C ends the process: Python would show what it was importing.
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from rnnlm import cli

    signal.signal(signal.SIGINT, handler)
    cli.main()


if __name__ == "__main__":
    main()
