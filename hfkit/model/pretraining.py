"""Heads of pre-training that are asked about some of the tokens only.

A row has some hundred tokens, a vocabulary thirty thousand; scores of all words at all places would
fill the memory, and six in seven of them nobody reads. The model inside stays one of transformers,
in memory and on disk. What its head is given is cut down to the `positions` that are asked for,
between the encoder and the head: every head of this kind reads each place on its own.

In training the scores at the positions come out, ``logits [B, P, V]``. In prediction what is made
of them, as they are large: the best tokens with their log-probabilities, and the log-probability of
the token that stood there, where it is given.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from threading import local
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.modeling_outputs import ModelOutput

BEST = "hfkit_best"  # where a configuration in memory says how many of the best tokens are wanted


@dataclass
class Scores(ModelOutput):  # type: ignore[misc]
    """``logits [B, P, V]`` of the tokens asked for, and ``next_logits [B, 2]``."""

    logits: Tensor | None = None
    next_logits: Tensor | None = None


@dataclass
class Found(ModelOutput):  # type: ignore[misc]
    """``best_ids`` and ``best [B, P, K]`` with their log-probabilities, those of the answers
    ``answered [B, P]``, and ``next_logits [B, 2]``."""

    best_ids: Tensor | None = None
    best: Tensor | None = None
    answered: Tensor | None = None
    next_logits: Tensor | None = None


class _Asked(local):
    """The positions that a thread asks for: batches are computed on several."""

    positions: Tensor | None = None

    def __deepcopy__(self, memo: Any) -> _Asked:
        """Nothing is asked of a copy yet."""
        return _Asked()


class MaskedWords(nn.Module):
    """A model for masked words, ``AutoModelForMaskedLM``, asked at some positions."""

    auto_class = "AutoModelForMaskedLM"

    def __init__(self, model: Any, best: int = 1) -> None:
        super().__init__()
        self.model = model
        self.best = best
        self.config = model.config
        self.base_model_prefix = model.base_model_prefix
        self._asked = _Asked()
        getattr(model, model.base_model_prefix).register_forward_hook(self._choose)

    @classmethod
    def from_pretrained(cls, folder: str, *, config: Any, **options: Any) -> Any:
        """Load the model as its Auto class does, with transformers' account where that is asked
        for."""
        config = deepcopy(config)  # the caller may try again with the one it has
        best = config.__dict__.pop(BEST, 1)
        loaded = getattr(transformers, cls.auto_class).from_pretrained(
            folder, config=config, **options
        )
        if not options.get("output_loading_info"):
            return cls(loaded, best)
        model, info = loaded
        return cls(model, best), info

    @classmethod
    def from_config(cls, config: Any, **options: Any) -> Any:
        """A model of random weights."""
        config = deepcopy(config)
        best = config.__dict__.pop(BEST, 1)
        return cls(getattr(transformers, cls.auto_class).from_config(config, **options), best)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        positions: Tensor | None = None,
        answers: Tensor | None = None,
    ) -> Scores | Found:
        """Score the tokens at `positions` ``[B, P]`` of `input_ids` ``[B, T]``, or at all places;
        `answers` ``[B, P]`` are the tokens that stood there."""
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        self._asked.positions = positions
        try:
            scores = self.scores(self.model(**inputs))
        finally:
            self._asked.positions = None
        if self.training or positions is None:
            return scores
        return self._found(scores, answers)

    def scores(self, outputs: Any) -> Scores:
        """What of the model's outputs is asked for."""
        return Scores(logits=outputs.logits)

    def _choose(self, module: nn.Module, args: Any, output: Any) -> Any:
        """Cut what the encoder gives its head down to the positions."""
        positions = self._asked.positions
        if positions is None:
            return output
        places = positions.unsqueeze(-1).expand(-1, -1, output[0].shape[-1])
        output.last_hidden_state = output[0].gather(1, places)
        return output

    def _found(self, scores: Scores, answers: Tensor | None) -> Found:
        likely = torch.log_softmax(scores.logits.float(), dim=-1)  # type: ignore[union-attr]
        best, ids = likely.topk(min(self.best, likely.shape[-1]), dim=-1)
        answered = None if answers is None else likely.gather(-1, answers.unsqueeze(-1))[..., 0]
        return Found(best_ids=ids, best=best, answered=answered, next_logits=scores.next_logits)

    def get_input_embeddings(self) -> Any:
        """The table of token vectors."""
        return self.model.get_input_embeddings()

    def save_pretrained(self, folder: Any, **options: Any) -> None:
        """Save the model inside."""
        self.model.save_pretrained(folder, **options)


class Pretraining(MaskedWords):
    """A model with both heads of BERT, ``AutoModelForPreTraining``: masked words, and whether the
    second text follows the first."""

    auto_class = "AutoModelForPreTraining"

    def scores(self, outputs: Any) -> Scores:
        """The outputs of both heads."""
        return Scores(logits=outputs.prediction_logits, next_logits=outputs.seq_relationship_logits)
