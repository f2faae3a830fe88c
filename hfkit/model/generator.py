"""Models that go on with a text: AutoModelForCausalLM, and how it is to write.

In training the scores of all tokens come out, ``logits [B, T, V]``. In evaluation they would fill
the memory, and what is made of them comes out instead: the log-probability of each token given
those before it, and whether it was the likeliest one. The model inside stays one of transformers,
in memory and on disk, with a generation_config.json by which its `generate` writes as hfkit does.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationConfig
from transformers.modeling_outputs import ModelOutput

from hfkit.model.likelihood import log_probabilities
from hfkit.model.writer import FORCED, MANNER, OF_BEAMS, WRITING, listed

log = logging.getLogger(__name__)

TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id")
OURS = ("ends", "room", "sample", "stop", "writes")  # settings that transformers does not know


@dataclass
class Scores(ModelOutput):  # type: ignore[misc]
    """``logits [B, T, V]``: of the token behind each."""

    logits: Tensor | None = None


@dataclass
class Likely(ModelOutput):  # type: ignore[misc]
    """``answered [B, T]``: the log-probability of each token, fp32; ``right [B, T]``: whether it
    was the likeliest. Both are 0 for the first, which has none before it."""

    answered: Tensor | None = None
    right: Tensor | None = None


class Generator(nn.Module):
    """A model that reads and writes from left to right.

    `writes`: it is asked to write, and not only how likely the tokens are that it is given. `room`
    is the most tokens of a prompt, `sample` says how to draw, `stop` holds the words before which a
    text ends, and `spelled` makes texts of tokens.
    """

    def __init__(self, model: Any, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.model = model
        self.config = model.config
        self.base_model_prefix = model.base_model_prefix
        self.writes = bool(settings.get("writes"))
        self.room: int = settings.get("room", 0)
        self.sample: Mapping[str, Any] | None = settings.get("sample")
        self.stop: Sequence[str] = settings.get("stop", ())
        self.spelled: Callable[[Sequence[list[int]]], list[str]] | None = None
        settle(model, settings)

    @classmethod
    def from_pretrained(cls, folder: str, *, config: Any, **options: Any) -> Any:
        """Load the model as its Auto class does, with transformers' account where that is asked
        for."""
        plain = copy.deepcopy(config)  # the caller may try again with the one it has
        settings = plain.__dict__.pop(WRITING, {})
        loaded = AutoModelForCausalLM.from_pretrained(folder, config=plain, **options)
        model, *info = loaded if options.get("output_loading_info") else [loaded]
        found = cls(model, settings)
        if found.writes and found.stop:
            from hfkit import text

            code = bool(options.get("trust_remote_code"))
            found.spelled = text.from_transformers(Path(folder), 1, code=code).spelled
        return (found, *info) if info else found

    @classmethod
    def from_config(cls, config: Any, **options: Any) -> Any:
        """A model of random weights."""
        plain = copy.deepcopy(config)
        settings = plain.__dict__.pop(WRITING, {})
        return cls(AutoModelForCausalLM.from_config(plain, **options), settings)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        prompt_length: Tensor | None = None,
    ) -> Scores | Likely:
        """Score the tokens of `input_ids` ``[B, T]``; `prompt_length` is for those that write."""
        outputs = self.model(input_ids=input_ids, attention_mask=attention_mask, use_cache=False)
        if self.training:
            return Scores(logits=outputs.logits)
        before, tokens = outputs.logits[:, :-1], input_ids[:, 1:]
        likely = log_probabilities(before, tokens)
        first = likely.new_zeros(len(likely), 1)
        right = (before.argmax(dim=-1) == tokens).long()
        return Likely(
            answered=torch.cat([first, likely], dim=1), right=torch.cat([first.long(), right], 1)
        )

    def get_input_embeddings(self) -> Any:
        """The table of token vectors."""
        return self.model.get_input_embeddings()

    def save_pretrained(self, folder: Any, **options: Any) -> None:
        """Save the model inside."""
        self.model.save_pretrained(folder, **options)


def settle(model: Any, settings: Mapping[str, Any]) -> None:
    """Fix how `model` writes: by the settings, then by what it brings along, then greedily.

    All tokens that end a text for the model end one here (a chat model has several), and those of
    the settings.
    """
    stored = model.generation_config
    values = {name: getattr(stored, name, None) for name in (*TOKENS, *MANNER, *FORCED)}
    for name in TOKENS:
        if values[name] is None:
            values[name] = getattr(model.config, name, None)
    ends = [*_each(values["eos_token_id"]), *settings.get("ends", ())]
    values["eos_token_id"] = list(dict.fromkeys(ends)) or None
    if values["pad_token_id"] is None:  # GPT-2 has none; what it stands for is masked
        values["pad_token_id"] = ends[0] if ends else 0
    values |= {name: value for name, value in settings.items() if name not in OURS}
    if "min_new_tokens" in settings:
        values["min_length"] = None
    sampling = settings.get("sample")
    if sampling or values["num_beams"] is None:
        values["num_beams"] = 1
    if values["num_beams"] == 1:
        values |= dict.fromkeys(OF_BEAMS)
    kept = {name: value for name, value in values.items() if value is not None}
    model.generation_config = GenerationConfig(**kept)
    if not settings.get("writes"):
        return
    names = [name for name in (*MANNER, "min_new_tokens", "max_new_tokens") if name in kept]
    drawn = f", drawn with {listed(sampling)}" if sampling else ""
    log.info("texts are written with %s%s", listed({name: kept[name] for name in names}), drawn)
    if getattr(stored, "do_sample", False) and not sampling:
        log.info(
            "the model's own settings draw; here the likeliest token is taken, without --sample"
        )


def _each(tokens: int | list[int] | None) -> list[int]:
    if tokens is None:
        return []
    return [tokens] if isinstance(tokens, int) else list(tokens)
