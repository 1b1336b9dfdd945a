"""The section `model`: cells, output layers and initializers, told apart by their type."""

from __future__ import annotations

import itertools
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from rnnlm.config.base import NOT_BOOL, Count, NotNegative, Positive, Probability, Section, Shorthand, Typed, UserPath

# -- cells
# -----------------------------------------------------------------------------------------------------------------


class Elman(Typed):
    """The simple recurrent network: h(t) = f(h(t-1) H + e(t) I + b1)."""

    type: Literal["elman"] = "elman"
    activation: Literal["sigmoid", "tanh", "relu"] = Field("sigmoid", description="the function f")


class Gru(Typed):
    """Gated recurrent unit with the reset gate after the product, as in PyTorch."""

    type: Literal["gru"] = "gru"


class GruBefore(Typed):
    """Gated recurrent unit with the reset gate before the product."""

    type: Literal["gru_before"] = "gru_before"


class Lstm(Typed):
    """Long short-term memory."""

    type: Literal["lstm"] = "lstm"
    peepholes: bool = Field(False, description="true: the gates see c too")
    coupled_gates: bool = Field(False, description="true: the input gate is 1 - the forget gate")
    forget_bias: Annotated[float, Field(ge=-100, le=100), NOT_BOOL] = Field(
        1.0, description="initial value of the forget gates' biases"
    )


class Mingru(Typed):
    """Minimal gated recurrent unit, whose gate and candidate do not see h(t-1)."""

    type: Literal["mingru"] = "mingru"


class Scrn(Typed):
    """Structurally constrained recurrent network: fast units beside slow ones, the context."""

    type: Literal["scrn"] = "scrn"
    context: Count = Field(40, description="slow units, the last ones of each layer's hidden")
    context_decay: Probability = Field(0.95, description="share of a slow unit that each step keeps")


Cell = Annotated[Elman | Gru | GruBefore | Lstm | Mingru | Scrn, Field(discriminator="type"), Shorthand()]

# -- output layers
# -----------------------------------------------------------------------------------------------------------------


class Softmax(Typed):
    """One softmax over the whole vocabulary."""

    ties: ClassVar[bool] = True
    type: Literal["softmax"] = "softmax"
    variance_regularization: NotNegative = Field(
        0.0,
        description="times the variance of log Z over a window, half of which is added to each J(t) (Chen et al. "
        "2015): draws log Z to one value, with which a word's score needs no sum over the vocabulary",
    )


class DirectConnections(Section):
    """Direct connections from the last tokens to the scores: hashed n-gram features (Mikolov et al. 2011)."""

    order: Annotated[int, Field(ge=2, le=8), NOT_BOOL] = Field(3, description="tokens of the longest n-grams")
    size: Count = Field(
        4_194_304, description="weights of the table that all n-grams share; as many as the vocabulary has at least"
    )


class Direct(DirectConnections, Typed):
    """Full softmax with direct n-gram connections beside the network (Mikolov et al. 2011)."""

    ties: ClassVar[bool] = True
    type: Literal["direct"] = "direct"


class Adaptive(Typed):
    """Adaptive softmax: clusters of tokens by frequency (Grave et al. 2017)."""

    ties: ClassVar[bool] = True
    type: Literal["adaptive"] = "adaptive"
    cutoffs: Annotated[list[Count], Field(min_length=1, max_length=8)] | None = Field(
        None,
        description="where clusters begin, in tokens by falling count: [2000, 10000] makes a head of the 2,000 most "
        "frequent ones and two clusters; null: chosen by the size of the vocabulary, and written into config.yaml",
    )
    factor: Annotated[float, Field(ge=1), NOT_BOOL] = Field(
        4.0, description="how many times narrower each cluster is than the one before it"
    )

    @field_validator("cutoffs")
    @classmethod
    def cutoffs_rise(cls, cutoffs: list[int] | None) -> list[int] | None:
        if cutoffs is not None and any(a >= b for a, b in itertools.pairwise(cutoffs)):
            raise ValueError(f"each cutoff must be more than the one before it; found {cutoffs}")
        return cutoffs


class FrequencyClasses(Typed):
    """Neighbours by frequency, with equal sums of the square roots of their counts."""

    type: Literal["frequency"] = "frequency"


class ExchangeClasses(Typed):
    """Exchange clustering of the training text by class bigrams (Martin, Liermann & Ney 1998)."""

    type: Literal["exchange"] = "exchange"
    passes: Count = Field(10, description="passes over the vocabulary at most")


class FileClasses(Typed):
    """Classes from a file."""

    type: Literal["file"] = "file"
    path: UserPath = Field(description="the class of each token of the vocabulary: token TAB class, a line each")


ClassesBy = Annotated[FrequencyClasses | ExchangeClasses | FileClasses, Field(discriminator="type"), Shorthand()]


class Classes(Typed):
    """Class-based softmax: a softmax over classes, and one over the tokens of a class (Goodman 2001)."""

    ties: ClassVar[bool] = False  # whether U can be the transposed embedding table
    type: Literal["classes"] = "classes"
    classes: Count | None = Field(
        None, description="how many classes there are; null: the square root of the vocabulary's size"
    )
    by: ClassesBy = Field(FrequencyClasses(), description="what the classes are made by")


class Hierarchical(Typed):
    """Hierarchical softmax over a Huffman tree of the vocabulary (Mikolov et al. 2013)."""

    ties: ClassVar[bool] = False  # whether U can be the transposed embedding table
    type: Literal["hierarchical"] = "hierarchical"


class Mixture(Typed):
    """Mixture of softmaxes (Yang et al. 2018)."""

    ties: ClassVar[bool] = True
    type: Literal["mixture"] = "mixture"
    softmaxes: Count = Field(5, description="how many softmaxes")


class Sampled(Typed):
    """Softmax that is trained by a sample of the vocabulary (Jean et al. 2015; Mnih & Teh 2012)."""

    ties: ClassVar[bool] = True
    type: Literal["sampled"] = "sampled"
    objective: Literal["importance", "nce"] = Field(
        "importance",
        description="importance: importance sampling of the softmax's denominator; nce: noise-contrastive estimation",
    )
    samples: Count = Field(1000, description="tokens that are drawn for each window, shared by its rows")
    noise_power: Annotated[float, Field(ge=0, le=1), NOT_BOOL] = Field(
        0.75, description="tokens are drawn by their counts to this power: 1 unigrams, 0 all alike"
    )
    direct: DirectConnections | None = Field(
        None, description="direct n-gram connections, a section as of output: direct; {}: by its defaults, null: none"
    )


Output = Annotated[
    Softmax | Adaptive | Classes | Direct | Hierarchical | Mixture | Sampled, Field(discriminator="type"), Shorthand()
]

# -- initializers of I and H
# -----------------------------------------------------------------------------------------------------------------


class UniformWeights(Typed):
    """I and H uniform in +-scale."""

    type: Literal["uniform"] = "uniform"
    scale: Positive = Field(0.1, description="the largest weight")


class XavierWeights(Typed):
    """I and H uniform in +-sqrt(6 / (rows + columns)) (Glorot & Bengio 2010)."""

    type: Literal["xavier"] = "xavier"


class OrthogonalWeights(Typed):
    """H orthogonal (Saxe et al. 2014), I as xavier."""

    type: Literal["orthogonal"] = "orthogonal"


class IdentityWeights(Typed):
    """H the identity (Le et al. 2015), I as xavier."""

    type: Literal["identity"] = "identity"


RecurrentInit = Annotated[
    UniformWeights | XavierWeights | OrthogonalWeights | IdentityWeights, Field(discriminator="type"), Shorthand()
]

# -- the whole network
# -----------------------------------------------------------------------------------------------------------------


class Dropout(Section):
    """Rates of dropout in training. A bare number is that of `input`, `between` and `output`."""

    input: Probability = Field(0.0, description="of e(t), before the first layer")
    between: Probability = Field(0.0, description="of h(t) between layers")
    output: Probability = Field(0.0, description="of h(t) after the last layer")
    words: Probability = Field(0.0, description="of words for a whole window")
    recurrent: Probability = Field(0.0, description="of elements of H for a whole window (DropConnect)")
    variational: bool = Field(
        False, description="true: input, between and output have one mask for all steps of a window"
    )

    @model_validator(mode="after")
    def variational_drops(self) -> Self:
        if self.variational and not (self.input or self.between or self.output):
            raise ValueError("variational goes with input, between or output; found 0 for all of them")
        return self


class Model(Section):
    """The network."""

    cell: Cell = Field(Elman(), description="the recurrent layer")
    hidden: Count | Annotated[list[Count], Field(min_length=1, max_length=16)] = Field(
        200, description="D_h, units a layer; a list: of each layer, the first one reads the embedding"
    )
    layers: Annotated[int, Field(ge=1, le=16), NOT_BOOL] = Field(
        1, description="recurrent layers; where hidden is a list its length counts"
    )
    output: Output = Field(Softmax(), description="the output layer")
    recurrent_init: RecurrentInit | None = Field(None, description="initializer of I and H; null: the cell's own")
    tie_weights: bool = Field(
        False,
        description="true: U is the transposed embedding table, behind a projection where embedding.size is not the "
        "last layer's; of output: adaptive in the head, and in clusters as wide as the embedding",
    )
    layer_norm: bool = Field(
        False, description="true: what goes up from a layer is normalised over its units; the recurrence is not"
    )
    dropout: Annotated[Dropout, Shorthand(("input", "between", "output"))] = Field(
        Dropout(), description="what is dropped in training"
    )

    @model_validator(mode="after")
    def options_fit(self) -> Self:
        if isinstance(self.hidden, list) and self.layers not in (1, len(self.hidden)):
            raise ValueError(f"hidden lists {len(self.hidden)} layers; found layers: {self.layers}")
        if self.tie_weights and not self.output.ties:
            raise ValueError(
                "tie_weights goes with output: softmax, adaptive, direct, mixture or sampled; "
                f"found output: {self.output.type}"
            )
        if isinstance(self.cell, Mingru) and self.dropout.recurrent > 0:
            raise ValueError("dropout.recurrent drops numbers of H, which a mingru has not")
        if isinstance(self.cell, Scrn) and self.cell.context >= min(self.sizes):
            raise ValueError(
                f"cell.context must be less than hidden of every layer; found context: {self.cell.context}, "
                f"hidden: {min(self.sizes)}"
            )
        return self

    @property
    def activation(self) -> Literal["sigmoid", "tanh", "relu"]:
        """f of an Elman network, the only cell that has one."""
        assert isinstance(self.cell, Elman)
        return self.cell.activation

    @property
    def sizes(self) -> tuple[int, ...]:
        """D_h of each layer."""
        return tuple(self.hidden) if isinstance(self.hidden, list) else (self.hidden,) * self.layers

    @property
    def dropout_rates(self) -> tuple[float, ...]:
        """What is dropped of e(t), and of each layer's h(t) on its way up."""
        return (self.dropout.input, *[self.dropout.between] * (len(self.sizes) - 1), self.dropout.output)

    @property
    def drops(self) -> bool:
        """Whether there is any dropout at all."""
        return any(self.dropout_rates) or self.dropout.words > 0 or self.dropout.recurrent > 0
