"""The output layers by the name that ``model.output`` gives them: an extension point.

Each is a package with a class that has the methods of ``protocols.OutputLayer``, and its compiled functions.
"""

from collections.abc import Callable
from typing import Any

from rnnlm.network.outputs.adaptive import Adaptive
from rnnlm.network.outputs.classes import Classes
from rnnlm.network.outputs.direct import DirectSoftmax
from rnnlm.network.outputs.hierarchical import Hierarchical
from rnnlm.network.outputs.mixture import Mixture
from rnnlm.network.outputs.sampled import Sampled
from rnnlm.network.outputs.softmax import Softmax
from rnnlm.network.protocols import OutputLayer

# Called with D_h, d, V, tied and the options of the output layer's section in the configuration, by name.
OUTPUTS: dict[str, Callable[..., OutputLayer[Any]]] = {
    "softmax": Softmax,
    "adaptive": Adaptive,
    "classes": Classes,
    "direct": DirectSoftmax,
    "hierarchical": Hierarchical,
    "mixture": Mixture,
    "sampled": Sampled,
}

__all__ = ["OUTPUTS", "Adaptive", "Classes", "DirectSoftmax", "Hierarchical", "Mixture", "Sampled", "Softmax"]
