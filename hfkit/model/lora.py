"""What ``--lora`` asks for, and which layers of a model get an adapter; needs no torch.

An adapter (Hu et al. 2021, arXiv 2106.09685) stands beside a linear layer and adds to what it gives

    W x  +  alpha/r · B A x          A [r, in] drawn at random, B [out, r] begins with zeros

Only A and B learn. Which layers have one is told by their names, since each family has its own
words for query and value; a family that has none of these words gets adapters in all its layers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, fields
from importlib.util import find_spec

from hfkit.errors import InputError, did_you_mean

PLACE = "--lora"
# What families call the layers that make queries and values, alone or together with keys.
ATTENTION = frozenset(
    {
        "query", "value", "query_proj", "value_proj", "q_proj", "v_proj", "q", "v", "q_lin",
        "v_lin", "q_head", "v_head", "c_attn", "in_proj", "Wqkv", "qkv_proj", "query_key_value",
    }
)  # fmt: skip
USUAL, ALL = "attention", "all"
IN_LAYERS = re.compile(r"\.\d+\.")


@dataclass(frozen=True)
class Lora:
    """The rank of the adapters, what they are multiplied by (``alpha / r``), the dropout before
    them, and the `targets`: "attention", "all", or names of layers."""

    r: int
    alpha: float
    dropout: float = 0.0
    targets: tuple[str, ...] = (USUAL,)

    def __str__(self) -> str:
        """The same as text, with nothing left open.

        >>> str(parse("16"))
        'r=16,alpha=32,dropout=0,targets=attention'
        """
        targets = "+".join(self.targets)
        return f"r={self.r},alpha={self.alpha:g},dropout={self.dropout:g},targets={targets}"


def parse(text: str) -> Lora:
    """Read ``r=16``, ``16`` or ``r=16,alpha=32,dropout=0.05,targets=query+value``.

    Raises `InputError` for anything else.

    >>> parse("r=8,targets=all")
    Lora(r=8, alpha=16.0, dropout=0.0, targets=('all',))
    """
    known = [field.name for field in fields(Lora)]
    given: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = part.strip().partition("=")
        name, value = (name.strip(), value.strip()) if equals else ("r", name)
        if name not in known or name in given or not value:
            hint = did_you_mean(name, known) or "as r=16,alpha=32,dropout=0.05,targets=query+value"
            raise InputError(f"cannot read '{part.strip()}'", place=PLACE, hint=hint)
        given[name] = value
    r = _number(given, "r", 8)
    if r < 1 or r != int(r):
        raise InputError(f"r is a whole number from 1, got {given['r']}", place=PLACE)
    alpha = _number(given, "alpha", 2 * r)
    dropout = _number(given, "dropout", 0.0)
    if alpha <= 0 or not 0 <= dropout < 1:
        raise InputError("alpha is above 0, dropout from 0 to below 1", place=PLACE)
    targets = tuple(dict.fromkeys(filter(None, given.get("targets", USUAL).split("+"))))
    return Lora(int(r), alpha, dropout, targets or (USUAL,))


def check_package() -> None:
    """Raise `InputError` where peft is not installed."""
    if find_spec("peft") is None:
        raise InputError(
            "adapters need peft", place=PLACE, hint='install it with: pip install "hfkit[lora]"'
        )


def chosen(linear: Iterable[str], targets: Collection[str]) -> list[str]:
    """Which of the `linear` layers, by their paths, get an adapter.

    Raises `InputError` for a name that no layer has.

    >>> chosen(["encoder.layer.0.query", "encoder.layer.0.dense"], ["attention"])
    ['encoder.layer.0.query']
    """
    paths = [path for path in linear if IN_LAYERS.search(path)]
    if not paths:
        raise InputError("this model has no linear layers for adapters", place=PLACE)
    if ALL in targets:
        return paths
    names = {path.rpartition(".")[2] for path in paths}
    wanted = set(targets) - {USUAL}
    absent = sorted(wanted - names)
    if absent:
        hint = did_you_mean(absent[0], names) or f"its layers are {', '.join(sorted(names))}"
        raise InputError(f"no layer is called '{absent[0]}'", place=PLACE, hint=hint)
    if USUAL in targets:
        wanted |= (names & ATTENTION) or names
    return [path for path in paths if path.rpartition(".")[2] in wanted]


def _number(given: Mapping[str, str], name: str, otherwise: float) -> float:
    try:
        number = float(given.get(name, otherwise))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{name} is not a number: '{given[name]}'", place=PLACE)
    return number
