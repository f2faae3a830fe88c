"""Models that write: AutoModelForSeq2SeqLM, and how it is to write.

What a base model says about writing (generation_config.json) stays where no setting of the task
says otherwise, and is saved with the run: transformers' `generate` then writes as hfkit does. Only
fields that are known here are taken over; a file of somebody else's may ask for more.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForSeq2SeqLM, GenerationConfig

from hfkit.errors import InputError

log = logging.getLogger(__name__)

# Where a configuration in memory says how to write; never in a file.
WRITING = "hfkit_writing"
SAMPLING = "hfkit_sampling"  # the attribute of a loaded model that says how to draw
BEAMS = 4  # as the recipes of T5, BART and NLLB have it, about
TOKENS = ("pad_token_id", "bos_token_id", "eos_token_id", "decoder_start_token_id")
MANNER = (
    "num_beams", "min_length", "length_penalty", "no_repeat_ngram_size",
    "encoder_no_repeat_ngram_size", "repetition_penalty", "early_stopping",
)  # fmt: skip
OF_BEAMS = ("length_penalty", "early_stopping")
FORCED = ("forced_bos_token_id", "forced_eos_token_id", "bad_words_ids", "suppress_tokens")


class Writer:
    """Makes a model that writes; it is the very one that `AutoModelForSeq2SeqLM` makes."""

    @classmethod
    def from_pretrained(cls, folder: str, *, config: Any, **options: Any) -> Any:
        """Load the model and settle how it writes, by `config` and by what it brings along.

        With ``output_loading_info`` also returns transformers' account. Raises `InputError` for a
        model that does not say what a text begins with.
        """
        plain = copy.deepcopy(config)  # the caller may try again with the one it has
        settings = plain.__dict__.pop(WRITING, {})
        found = AutoModelForSeq2SeqLM.from_pretrained(folder, config=plain, **options)
        settle(found[0] if options.get("output_loading_info") else found, settings)
        return found

    @classmethod
    def from_config(cls, config: Any, **options: Any) -> Any:
        """A model of random weights, which writes as `config` says. Raises what `from_pretrained`
        does."""
        plain = copy.deepcopy(config)
        settings = plain.__dict__.pop(WRITING, {})
        model = AutoModelForSeq2SeqLM.from_config(plain, **options)
        settle(model, settings)
        return model


def settle(model: Any, settings: Mapping[str, Any]) -> None:
    """Fix how `model` writes; say what that is."""
    stored = model.generation_config
    values = {name: getattr(stored, name, None) for name in (*TOKENS, *MANNER, *FORCED)}
    for name in TOKENS:
        if values[name] is None:
            values[name] = getattr(model.config, name, None)
    values |= {name: value for name, value in settings.items() if name != "sample"}
    if "min_new_tokens" in settings:
        values["min_length"] = None
    if values["decoder_start_token_id"] is None:
        place = str(model.name_or_path)
        raise InputError('no "decoder_start_token_id" in config.json', place=place)
    sampling = settings.get("sample")
    if sampling:
        values["num_beams"] = 1
    elif "num_beams" not in settings and (values["num_beams"] or 1) == 1:
        values["num_beams"] = BEAMS
    if values["num_beams"] == 1:
        values |= dict.fromkeys(OF_BEAMS)
    kept = {name: value for name, value in values.items() if value is not None}
    model.generation_config = GenerationConfig(**kept)
    setattr(model, SAMPLING, sampling)
    names = [name for name in (*MANNER, "min_new_tokens", "max_new_tokens") if name in kept]
    told = {name: kept[name] for name in names}
    drawn = f", drawn with {listed(sampling)}" if sampling else ""
    log.info("texts are written with %s%s", listed(told), drawn)


def listed(values: Mapping[str, Any]) -> str:
    """Settings on one line."""
    return ", ".join(f"{name}={value}" for name, value in values.items() if value is not None)


def writes(model: Any) -> bool:
    """Whether a loaded model is one that `Writer` has loaded."""
    return hasattr(model, SAMPLING)


def decoder_inputs(model: Any, labels: NDArray[Any]) -> NDArray[Any]:
    """What the decoder reads while it learns ``labels [B, T]``; see `shifted`."""
    return np.asarray(shifted(model, torch.from_numpy(np.ascontiguousarray(labels))).numpy())


def shifted(model: Any, right: Tensor) -> Tensor:
    """The right tokens ``[B, T]``, one place later.

    Each family shifts in its own way, some of them turn the last token to the front.
    """
    own = getattr(model, "prepare_decoder_input_ids_from_labels", None)
    if own is not None:
        found: Tensor = own(right)
        return found
    shift = getattr(sys.modules[type(model).__module__], "shift_tokens_right", None)  # M2M, NLLB
    if shift is None:
        raise InputError(f"{type(model).__name__} does not say how its labels are shifted")
    config = model.config
    found = shift(right, config.pad_token_id, config.decoder_start_token_id)
    return found
