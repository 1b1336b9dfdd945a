"""The model card of an exported folder: the network, its training, and what its perplexity stands on."""

from __future__ import annotations

from rnnlm.files import log
from rnnlm.files.model_file import MODEL, Trained
from rnnlm.interchange.huggingface import tokenizer

_CARD = """\
---
library_name: transformers
pipeline_tag: text-generation
tags: [rnnlm, recurrent, {cell}]
---

# {name}

A recurrent language model of {unit}s, trained on a CPU with rnnlm {version}: {network}.
{count:,} tokens{lowercase}; {updates:,} updates, {epochs}.

## Perplexity

{perplexity}

What it stands on: every token is scored, line ends included; what is out of the vocabulary is scored as `<unk>`; the
hidden state {state}. It can be compared with that of other models of the same tokens alone.
{texts}
## Use

The code of the network is `modeling_rnnlm.py`, which needs PyTorch and transformers.

```python
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{name}", trust_remote_code=True)
model = AutoModelForCausalLM.from_pretrained("{name}", trust_remote_code=True)
ids = tokenizer(tokenizer.bos_token + "a line" + tokenizer.eos_token, return_tensors="pt").input_ids
log_probabilities = torch.log_softmax(model(ids).logits[0, :-1], -1).gather(1, ids[0, 1:, None])
```

A text begins as if a line had just ended: the token `bos_token` is the line end, and `eos_token` is the same. A text
without it is read as if it stood before it, so that all words but the first, which then has no prediction, have the
same probabilities. The token `pad_token` has the probability 0.

With minicons, give `bos_token=True` and `eos_token=True`. With the package surprisal, give the padding token back
(it takes `eos_token` for padding, and removes its probability):

```python
from minicons.scorer import IncrementalLMScorer
from surprisal.model import CausalHuggingFaceModel

scorer = IncrementalLMScorer("{name}", "cpu", trust_remote_code=True)
scorer.token_score(["a line"], surprisal=True, base_two=True, bos_token=True, eos_token=True)

model = CausalHuggingFaceModel("{name}", trust_remote_code=True)
model.tokenizer.pad_token = "{pad}"
model.surprise(["a line"])
```
"""

_STATES = {"carry": "goes on over line ends", "reset": "begins each line anew"}


def card(trained: Trained, name: str) -> str:
    """``README.md``; the test text's perplexity is read from the log beside the model, where there is one."""
    config, training, words = trained.config, trained.training, trained.vocabulary
    epochs = training["epoch"]
    return _CARD.format(
        name=name,
        cell=config.model.cell.type,
        unit=words.unit if words.unit != "char" else "character",
        version=training["version"],
        network=_network(trained),
        count=len(words),
        lowercase=", of text in lower case" if words.lowercase else "",
        updates=training["updates"],
        epochs=f"{epochs} epoch{'' if epochs == 1 else 's'}",
        perplexity="\n".join(_perplexity(trained)),
        state=_STATES[config.train.state],
        texts="".join(f"\nSHA-256 of the {which} text: `{sha}`\n" for which, sha in trained.texts.items()),
        pad=tokenizer.padding(words),
    )


def _network(trained: Trained) -> str:
    """The layers in a few words."""
    model = trained.config.model
    options = [name.replace("_", " ") for name, value in model.cell.model_dump().items() if value is True]
    sizes = ", ".join(map(str, model.sizes))
    parts = [f"{model.cell.type}{' with ' + ' and '.join(options) if options else ''}, {sizes} units"]
    parts.append(f"embedding of {trained.config.embedding.size}")
    parts += ["layer normalisation"] * model.layer_norm + ["tied weights"] * model.tie_weights
    return ", ".join([*parts, f"{model.output.type} output"])


def _perplexity(trained: Trained) -> list[str]:
    """A line for the validation text and one for the test text."""
    best, epoch = trained.training.get("best_validation_perplexity"), trained.training.get("best_epoch")
    found = []
    if best is not None:
        found.append(
            f"- validation text: {best:,.2f}, the best of the training{f' (epoch {epoch})' if epoch else ''}"
        )
    # The log's last test is that of the best model, which the run's folder has under this name alone.
    tests = [record for record in log.read(trained.path.parent) if record.get("event") == "test"]
    match tests[-1:]:
        case [{"perplexity": float(perplexity), "scored": int(scored), "unknown": int(unknown)}] if (
            trained.path.name == MODEL
        ):
            found.append(f"- test text: {perplexity:,.2f} ({scored:,} tokens, {unknown:,} of them out of vocabulary)")
    return found or ["Not measured: there was no validation text."]
