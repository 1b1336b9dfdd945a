"""``python -m rnnlm``: the command line."""

from rnnlm.cli import main

main()
