"""What transformers has no head for: `Embedder`, one vector for each text.

The encoder inside stays a plain AutoModel, in memory and on disk; pooling is what is done with its
output. The one thing to know: vectors come out as they are, not normalised, and in fp32, since the
windows of a long text are averaged before the length of a vector is looked at.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel
from transformers.modeling_outputs import ModelOutput

from hfkit.errors import InputError
from hfkit.model.pooling import POOLINGS, stored_pooling

# Where a configuration in memory says how to pool and whether to normalise; never in a file.
POOLING, NORMALIZE = "hfkit_pooling", "hfkit_normalize"


@dataclass
class Embeddings(ModelOutput):  # type: ignore[misc]
    """``embeddings [B, D]``: one vector per row, fp32, not normalised."""

    embeddings: Tensor | None = None


class Embedder(nn.Module):
    """An encoder and how its token vectors become one; `pooling` is "mean", "cls" or "max".

    `normalize` is for the folder only: whether those who load it get vectors of length 1.
    """

    base_model_prefix = "encoder"

    def __init__(self, encoder: Any, pooling: str, normalize: bool = True) -> None:
        super().__init__()
        if pooling not in POOLINGS:
            raise InputError(f"unknown pooling '{pooling}'", hint="one of " + ", ".join(POOLINGS))
        self.encoder = encoder
        self.pooling = pooling
        self.normalize = normalize
        self.config = encoder.config

    @classmethod
    def from_pretrained(cls, folder: str, *, config: Any, **options: Any) -> Any:
        """Load the encoder as AutoModel does; pool as `config` says, else as the folder says,
        else by the mean.

        With ``output_loading_info`` also returns transformers' account, with the names that the
        weights have in here.
        """
        config = copy.deepcopy(config)  # the caller may try again with the one it has
        pooling = config.__dict__.pop(POOLING, None) or stored_pooling(Path(folder)) or "mean"
        normalize = config.__dict__.pop(NORMALIZE, True)
        loaded = AutoModel.from_pretrained(folder, config=config, **options)
        if not options.get("output_loading_info"):
            return cls(loaded, pooling, normalize)
        encoder, info = loaded
        inside = {f"{cls.base_model_prefix}.{key}" for key in info["missing_keys"]}
        # A pooler on top of the encoder, new or not, has no part in the vectors.
        missing = {key for key in inside if ".pooler." not in key}
        return cls(encoder, pooling, normalize), {**info, "missing_keys": missing}

    @classmethod
    def from_config(cls, config: Any, **options: Any) -> Any:
        """An encoder of random weights."""
        config = copy.deepcopy(config)
        pooling = config.__dict__.pop(POOLING, None) or "mean"
        normalize = config.__dict__.pop(NORMALIZE, True)
        return cls(AutoModel.from_config(config, **options), pooling, normalize)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
    ) -> Embeddings:
        """Return one vector per row of `input_ids` ``[B, T]``."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        inputs = {"input_ids": input_ids, "attention_mask": mask}
        if token_type_ids is not None:
            inputs["token_type_ids"] = token_type_ids
        tokens = self.encoder(**inputs).last_hidden_state.float()
        return Embeddings(embeddings=pooled(tokens, mask, self.pooling))

    @property
    def width(self) -> int:
        """The length of a vector."""
        return int(self.config.hidden_size)

    def get_input_embeddings(self) -> Any:
        """The encoder's table of token vectors."""
        return self.encoder.get_input_embeddings()

    def save_pretrained(self, folder: Any, **options: Any) -> None:
        """Save the bare encoder."""
        self.encoder.save_pretrained(folder, **options)


def pooled(tokens: Tensor, mask: Tensor, pooling: str) -> Tensor:
    """One vector of each row's token vectors ``[B, T, D]``; `mask` ``[B, T]`` is 0 at padding.

    >>> pooled(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[1, 1, 0]]), "mean").tolist()
    [[2.0]]
    """
    if pooling == "cls":
        return tokens[:, 0]
    real = mask.unsqueeze(-1)
    if pooling == "max":
        return tokens.masked_fill(real == 0, -torch.inf).max(dim=1).values
    weights = real.to(tokens.dtype)
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1e-9)
