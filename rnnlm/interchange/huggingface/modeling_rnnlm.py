"""Recurrent language models of rnnlm for transformers, in PyTorch alone.

`rnnlm export --to hf` copies this file beside a model's weights; transformers runs it from there
(``trust_remote_code=True``). Licence: MIT.

Row vectors: e(t) is the embedding of the input token, h(t) the hidden state, D_h its size, o the product by element.
Each cell's equations stand at its step. Above the layers, p = h P where there is a P (else p = h):

    z2 = p U + b2          one softmax: logits. U is the transposed embedding table where the weights are tied
    y^ = softmax(z2)

    log y^ = log sum_k pi_k softmax(tanh(h P_k + c_k) U + b2)       a mixture of softmaxes, pi = softmax(h W)

A text begins as if a line had just ended: with the state `initial`, and the line end as the first input. A text whose
first token is another one is read as if the line end stood before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.utils import ModelOutput


class RnnlmConfig(PretrainedConfig):
    """The network.

    vocab_size: |V| + 1; the last token pads. cell: its name, and `cell_options`. hidden_sizes: D_h of each layer.
    cell_shapes, output_shapes: the shapes of the parameters by name, of each layer and of the output layer.
    softmaxes: how many; 1: no mixture. reset_at_line_end: whether each line begins with the initial state.
    """

    model_type = "rnnlm"

    def __init__(
        self,
        vocab_size: int = 2,
        embedding_size: int = 1,
        hidden_sizes: list[int] | None = None,
        cell: str = "elman",
        cell_options: dict[str, Any] | None = None,
        cell_shapes: list[dict[str, list[int]]] | None = None,
        output_shapes: dict[str, list[int]] | None = None,
        softmaxes: int = 1,
        layer_norm: bool = False,
        tied_embeddings: bool = False,
        reset_at_line_end: bool = False,
        **others: Any,
    ) -> None:
        self.vocab_size, self.embedding_size, self.hidden_sizes = vocab_size, embedding_size, hidden_sizes or []
        self.hidden_size, self.num_hidden_layers = [embedding_size, *self.hidden_sizes][-1], len(self.hidden_sizes)
        self.cell, self.cell_options, self.cell_shapes = cell, cell_options or {}, cell_shapes or []
        self.output_shapes, self.softmaxes, self.layer_norm = output_shapes or {}, softmaxes, layer_norm
        self.tied_embeddings, self.reset_at_line_end = tied_embeddings, reset_at_line_end
        others["tie_word_embeddings"] = False  # the output layer reads the table itself
        super().__init__(**others)


class Parameters(nn.Module):
    """Parameters by the names that they have in rnnlm."""

    def __init__(self, shapes: dict[str, list[int]]) -> None:
        super().__init__()
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(shape)))


def elman(p: Parameters, options: dict[str, Any], before: Tensor, z: Tensor) -> Tensor:
    """h(t) = f(h(t-1) H + e(t) I + b1)."""
    f: Callable[[Tensor], Tensor] = getattr(torch, options["activation"])
    return f(before @ p.H + z)


def gru(p: Parameters, options: dict[str, Any], before: Tensor, z: Tensor) -> Tensor:
    """r, u = sigmoid(h(t-1) H + e(t) I + b1); n = tanh(z_n + r o (h(t-1) H_n + bh)); h = (1 - u) o n + u o h(t-1)."""
    z_r, z_u, z_n = z.chunk(3, -1)
    h_r, h_u, h_n = (before @ p.H).chunk(3, -1)
    r, u = torch.sigmoid(z_r + h_r), torch.sigmoid(z_u + h_u)
    return (1 - u) * torch.tanh(z_n + r * (h_n + p.bh)) + u * before


def gru_before(p: Parameters, options: dict[str, Any], before: Tensor, z: Tensor) -> Tensor:
    """As `gru`, but n = tanh(z_n + (r o h(t-1)) H_n)."""
    z_r, z_u, z_n = z.chunk(3, -1)
    H_r, H_u, H_n = p.H.chunk(3, -1)
    r, u = torch.sigmoid(z_r + before @ H_r), torch.sigmoid(z_u + before @ H_u)
    return (1 - u) * torch.tanh(z_n + (r * before) @ H_n) + u * before


def lstm(p: Parameters, options: dict[str, Any], before: Tensor, z: Tensor) -> Tensor:
    """c(t) = f o c(t-1) + i o tanh(z_g); h(t) = o o tanh(c(t)); with peepholes the gates see c o P too.

    The state is h and c behind one another. Coupled gates: i = 1 - f.
    """
    h, c = before.chunk(2, -1)
    *z_i, z_f, z_g, z_o = (z + h @ p.H).split(h.shape[-1], -1)
    *P_i, P_f, P_o = p.P if options["peepholes"] else [0] * (len(z_i) + 2)
    f = torch.sigmoid(z_f + c * P_f)
    i = 1 - f if options["coupled_gates"] else torch.sigmoid(z_i[0] + c * P_i[0])
    c = f * c + i * torch.tanh(z_g)
    return torch.cat([torch.sigmoid(z_o + c * P_o) * torch.tanh(c), c], -1)


def mingru(p: Parameters, options: dict[str, Any], before: Tensor, z: Tensor) -> Tensor:
    """h(t) = (1 - u) o h(t-1) + u o n, with u = sigmoid(z_u) and n = z_n."""
    z_u, n = z.chunk(2, -1)
    u = torch.sigmoid(z_u)
    return (1 - u) * before + u * n


def scrn(p: Parameters, options: dict[str, Any], before: Tensor, z: Tensor) -> Tensor:
    """s(t) = (1 - a) e(t) I_s + a s(t-1); h(t) = sigmoid([h(t-1), s(t)] H + e(t) I_h + b1): fast and slow units."""
    a, fast = options["context_decay"], p.b1.numel()
    s = (1 - a) * z[..., fast:] + a * before[..., fast:]
    return torch.cat([torch.sigmoid(torch.cat([before[..., :fast], s], -1) @ p.H + z[..., :fast]), s], -1)


# step(parameters, options, state before (B x S), e(t) I + b1) -> the state after, whose first D_h numbers are h(t)
STEPS = {"elman": elman, "gru": gru, "gru_before": gru_before, "lstm": lstm, "mingru": mingru, "scrn": scrn}


@dataclass
class RnnlmOutput(ModelOutput):
    """What a model gives.

    last_hidden_state: of the top layer, B x T x D_h. logits: B x T x |V| + 1, of the token after each one. state: of
    each layer, B x S, after the last token: to go on from.
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    last_hidden_state: Tensor | None = None
    state: tuple[Tensor, ...] | None = None
    hidden_states: tuple[Tensor, ...] | None = None


class RnnlmPreTrainedModel(PreTrainedModel):
    """What both models have in common."""

    config_class = RnnlmConfig
    base_model_prefix = "model"
    _is_stateful = True

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: a model without weights is of no use here."""


class RnnlmModel(RnnlmPreTrainedModel):
    """The embedding and the recurrent layers."""

    def __init__(self, config: RnnlmConfig) -> None:
        super().__init__(config)
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.cells = nn.ModuleList(Parameters(shapes) for shapes in config.cell_shapes)
        norms = [nn.LayerNorm(size, eps=1e-5) if config.layer_norm else nn.Identity() for size in config.hidden_sizes]
        self.norms = nn.ModuleList(norms)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.embedding = value

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        state: tuple[Tensor, ...] | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **ignored: Any,
    ) -> RnnlmOutput | tuple[Any, ...]:
        """The layers' outputs.

        Args:
            input_ids: B x T; attention_mask: 0 where nothing is read, as at padding; state: where to go on from.
        """
        config, line_end = self.config, self.config.eos_token_id
        read = input_ids != config.pad_token_id
        if attention_mask is not None:
            read &= attention_mask[:, -input_ids.shape[1] :] != 0
        line_ends_before = 0
        if state is None:
            line_ends_before = 1
            first = input_ids.gather(1, read.int().argmax(1, keepdim=True))
            read = torch.cat([first != line_end, read], 1)
            input_ids = torch.cat([torch.full_like(first, line_end), input_ids], 1)
            state = tuple(cell.initial.expand(len(input_ids), -1) for cell in self.cells)
        resets = (input_ids == line_end) & read & config.reset_at_line_end
        up = self.embedding(input_ids)
        outputs, after = [up], []
        for size, cell, norm, before in zip(config.hidden_sizes, self.cells, self.norms, state, strict=True):
            z = up @ cell.I
            z = z + F.pad(cell.b1, (0, z.shape[-1] - cell.b1.numel()))  # an SCRN's slow units have no bias
            h = []
            for t in range(input_ids.shape[1]):
                before = torch.where(resets[:, t, None], cell.initial, before)
                new = STEPS[config.cell](cell, config.cell_options, before, z[:, t])
                before = torch.where(read[:, t, None], new, before)
                h.append(before[:, :size])
            up = norm(torch.stack(h, 1))
            outputs.append(up)
            after.append(before)
        outputs = [value[:, line_ends_before:] for value in outputs]
        wanted = config.output_hidden_states if output_hidden_states is None else output_hidden_states
        result = RnnlmOutput(
            last_hidden_state=outputs[-1], state=tuple(after), hidden_states=tuple(outputs) if wanted else None
        )
        return result.to_tuple() if return_dict is False else result


class RnnlmForCausalLM(RnnlmPreTrainedModel, GenerationMixin):
    """The whole network: log y^ of the next token is the log-softmax of the logits."""

    def __init__(self, config: RnnlmConfig) -> None:
        super().__init__(config)
        self.model = RnnlmModel(config)
        self.output = Parameters(config.output_shapes)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embedding

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.model.embedding = value

    def logits(self, h: Tensor) -> Tensor:
        """z2 (... x |V| + 1) from h (... x D_h); of a mixture, log y^."""
        p, count = self.output, self.config.softmaxes
        U = self.model.embedding.weight.T if self.config.tied_embeddings else p.U
        if count == 1:
            return (h @ p.P if hasattr(p, "P") else h) @ U + p.b2
        log_pi = torch.log_softmax(h @ p.W, -1)
        g = torch.tanh(h @ p.P + p.c).unflatten(-1, (count, -1))
        return torch.logsumexp(log_pi[..., None] + torch.log_softmax(g @ U + p.b2, -1), -2)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        state: tuple[Tensor, ...] | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **ignored: Any,
    ) -> RnnlmOutput | tuple[Any, ...]:
        """As `RnnlmModel`, with logits; with labels (B x T, -100: not counted), the mean loss of tokens 2 to T."""
        found = self.model(input_ids, attention_mask, state, output_hidden_states, return_dict=True)
        logits, loss = self.logits(found.last_hidden_state), None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        result = RnnlmOutput(loss, logits, found.last_hidden_state, found.state, found.hidden_states)
        return result.to_tuple() if return_dict is False else result

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, **ignored: Any
    ) -> dict[str, Any]:
        """All tokens each time: a beam search orders its texts anew at every step, but not their states."""
        return {"input_ids": input_ids, "attention_mask": attention_mask}
