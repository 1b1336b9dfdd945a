"""The recurrent layers, by the name that ``model.cell`` gives them. The first of the two places to extend rnnlm.

Each file has the same functions in the same order: shapes, init, forward, backward.
"""

from rnnlm.cells import elman

CELLS = {"elman": elman}
