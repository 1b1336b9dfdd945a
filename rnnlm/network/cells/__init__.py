"""The recurrent cells by the name that ``model.cell`` gives them: an extension point.

Each is a file with a class that has the methods of ``protocols.Cell``, and the compiled functions of its steps.
``recurrence`` has what they have in common.
"""

from collections.abc import Callable
from typing import Any

from rnnlm.network.cells.elman import Elman
from rnnlm.network.cells.gru import GRU
from rnnlm.network.cells.gru_before import GRUBefore
from rnnlm.network.cells.lstm import LSTM
from rnnlm.network.cells.mingru import MinGRU
from rnnlm.network.cells.scrn import SCRN
from rnnlm.network.protocols import Cell

# Called with d, D_h and the options of the cell's section in the configuration, by name.
CELLS: dict[str, Callable[..., Cell[Any, Any]]] = {
    "elman": Elman,
    "gru": GRU,
    "gru_before": GRUBefore,
    "lstm": LSTM,
    "mingru": MinGRU,
    "scrn": SCRN,
}

__all__ = ["CELLS", "GRU", "LSTM", "SCRN", "Elman", "GRUBefore", "MinGRU"]
