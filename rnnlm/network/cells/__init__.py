"""The recurrent layers, by the name that ``model.cell`` gives them. The first of the two places to extend rnnlm.

Each file has the same functions in the same order: shapes, state_size, init, forward, state_after, backward, and for
sampling ready, project, step. ``recurrence`` has what they share.
"""

from rnnlm.network.cells import elman, gru, gru_before, lstm, mingru, scrn

CELLS = {"elman": elman, "gru": gru, "gru_before": gru_before, "lstm": lstm, "mingru": mingru, "scrn": scrn}
