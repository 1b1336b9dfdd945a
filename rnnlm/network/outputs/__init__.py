"""The output layers, by the name that ``model.output`` gives them. The second of the two places to extend rnnlm.

Each has the same functions in the same order: shapes, init, forward, loss, backward, distribution; ready, step,
log_softmax and draw for one token at a time; multiplications and held_bytes, what it takes.
"""

from rnnlm.network.outputs import mixture, softmax

OUTPUTS = {"softmax": softmax, "mixture": mixture}
