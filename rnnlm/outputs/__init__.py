"""The output layers, by the name that ``model.output`` gives them. The second of the two places to extend rnnlm.

Each file has the same functions in the same order: shapes, init, forward, backward, distribution.
"""

from rnnlm.outputs import softmax

OUTPUTS = {"softmax": softmax}
