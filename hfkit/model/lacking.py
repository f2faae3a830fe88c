"""What the weights of a folder lack of the model that config.json describes, or have too much."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

from hfkit.errors import InputError
from hfkit.model.facts import ModelFacts

log = logging.getLogger(__name__)

# What the families call their stack of layers, inside the names of tensors.
LAYERS = {"layer", "layers", "block", "h"}


def of_encoder(model: Any, missing: Iterable[str]) -> list[str]:
    """Which of the weights that are missing every base model has. It may lack a head, and a pooler:
    one pre-trained on masked words has none."""
    prefixes: tuple[str, ...] = (f"{model.base_model_prefix}.",)
    if getattr(model.config, "is_encoder_decoder", False):  # T5's parts stand at the top
        prefixes += ("encoder.", "decoder.", "shared.")
    return [key for key in missing if key.startswith(prefixes) and ".pooler." not in key]


def allow_or_refuse(absent: list[str], name: str, *, allowed: bool) -> None:
    """An encoder with holes in it: half a model, unless somebody says that it is meant so."""
    if not allowed:
        raise InputError(
            f"the weights lack {some(absent)} of the encoder that config.json describes",
            place=name,
            hint="download the model again, or train them anew with --allow-missing",
        )
    count = "1 weight" if len(absent) == 1 else f"{len(absent)} weights"
    log.warning(
        "%s: %s of the encoder not in it, or of another shape, and so new and random: %s",
        name, count, some(absent),
    )  # fmt: skip
    log.debug("new and random: %s", ", ".join(absent))


def check_layers(info: Mapping[str, Any], name: str) -> None:
    """Weights of layers that config.json does not have would silently take no part."""
    unused = sorted(key for key in info["unexpected_keys"] if LAYERS & set(key.split(".")))
    if unused:
        raise InputError(
            f"{some(unused)} in the weights have no place in the model that config.json describes",
            place=name,
        )


def check_finite(model: Any, name: str) -> None:
    """Raise `InputError` for weights that hold NaN or infinity."""
    import torch

    for key, tensor in model.state_dict().items():
        if not tensor.is_floating_point() or not tensor.numel():
            continue
        # The least and the largest number are NaN where one is. `isfinite` takes 10 times as long,
        # and copies: with a large vocabulary, more than a prediction takes.
        if not all(map(math.isfinite, map(float, torch.aminmax(tensor)))):
            raise InputError(f"the weights hold NaN or infinity ({key})", place=name)


def mismatched(info: Mapping[str, Any]) -> list[str]:
    """Names of weights with another shape; versions give (name, found, wanted) or the name."""
    return [key if isinstance(key, str) else key[0] for key in info.get("mismatched_keys") or ()]


def report(name: str, facts: ModelFacts, headed: bool, kept: bool, new: list[str]) -> None:
    """Say in one note which of the head's weights start at random, or that the head was kept."""
    if kept and not new:
        named = ", its labels are the same" if facts.labels else ""
        log.info("%s: the trained head is kept%s", name, named)
    elif facts.has_head and not headed:
        log.info("%s: its trained head plays no part", name)
    elif facts.has_head and not kept:
        named = f" ({', '.join(facts.labels[:6])})" if facts.labels else ""
        log.info("%s: its trained head%s answers another question and is replaced", name, named)
    if new:
        log.info("%s: not in it, and so new and random: %s", name, some(new))


def some(names: list[str]) -> str:
    """Up to four names and how many more.

    >>> some(["a", "b", "c", "d", "e"])
    'a, b, c, d and 1 more'
    """
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
