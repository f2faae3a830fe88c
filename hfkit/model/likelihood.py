"""Language models that say how probable given tokens are, and nothing else.

Their scores of all words at all places stay inside; out comes one number for each token. The model
inside is one of transformers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.modeling_outputs import ModelOutput

from hfkit.model.writer import shifted


@dataclass
class Answered(ModelOutput):  # type: ignore[misc]
    """``answered``: the log-probability of each token, fp32."""

    answered: Tensor | None = None


class Causal(nn.Module):
    """A model that reads from left to right, ``AutoModelForCausalLM``."""

    auto_class = "AutoModelForCausalLM"

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self.base_model_prefix = model.base_model_prefix

    @classmethod
    def from_pretrained(cls, folder: str, **options: Any) -> Any:
        """Load the model as its Auto class does, with transformers' account where that is asked
        for."""
        loaded = getattr(transformers, cls.auto_class).from_pretrained(folder, **options)
        if not options.get("output_loading_info"):
            return cls(loaded)
        model, info = loaded
        return cls(model), info

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Answered:
        """The log-probability ``[B, T]`` of each token of `input_ids` given those before it; 0 for
        the first, which has none before it."""
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        likely = log_probabilities(outputs.logits[:, :-1], input_ids[:, 1:])
        first = likely.new_zeros(len(likely), 1)
        return Answered(answered=torch.cat([first, likely], dim=1))

    def get_input_embeddings(self) -> Any:
        """The table of token vectors."""
        return self.model.get_input_embeddings()


class Conditional(Causal):
    """An encoder-decoder, ``AutoModelForSeq2SeqLM``."""

    auto_class = "AutoModelForSeq2SeqLM"

    def forward(  # type: ignore[override]
        self, input_ids: Tensor, answers: Tensor, attention_mask: Tensor | None = None
    ) -> Answered:
        """The log-probability ``[B, U]`` of each token of `answers` given the source `input_ids`
        ``[B, T]`` and the answers before it."""
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            decoder_input_ids=shifted(self.model, answers),
            use_cache=False,
        )
        return Answered(answered=log_probabilities(outputs.logits, answers))


def log_probabilities(logits: Tensor, tokens: Tensor) -> Tensor:
    """The log-probability of each of `tokens` ``[B, T]`` under `logits` ``[B, T, V]``, in fp32.

    >>> log_probabilities(torch.zeros(1, 1, 4), torch.tensor([[2]])).exp().tolist()
    [[0.25]]
    """
    scores = logits.float()
    chosen = scores.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
    return chosen - scores.logsumexp(dim=-1)
