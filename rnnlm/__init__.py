"""rnnlm trains, scores and samples recurrent neural language models.

    import rnnlm
    rnnlm.train("configs/quickstart.yaml")
    model = rnnlm.load("runs/quickstart")
    model.perplexity("a text"); model.surprisal("a text"); model.sample(prompt="the")

Nothing heavy is imported until one of these is used, so that ``rnnlm --help`` is quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnlm.version import __version__ as __version__

if TYPE_CHECKING:
    from rnnlm.api import LanguageModel as LanguageModel
    from rnnlm.api import gradcheck as gradcheck
    from rnnlm.api import ledger as ledger
    from rnnlm.api import load as load
    from rnnlm.api import train as train

_API = ("LanguageModel", "gradcheck", "ledger", "load", "train")

# Hidden from type checkers, which would take every name that is not there for one that is.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name in _API:
            from rnnlm import api

            return getattr(api, name)
        raise AttributeError(f"module 'rnnlm' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *_API})
