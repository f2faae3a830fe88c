"""How long texts are for a model: counted by its own tokenizer, or estimated without one."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from hfkit.config import CheckConfig
from hfkit.data.checks.lengths import Measure, words_of
from hfkit.errors import InputError
from hfkit.model.locate import Located, locate
from hfkit.run.opening import USUAL_LENGTH, checked_length

log = logging.getLogger(__name__)

TOKENS_PER_WORD = 4 / 3  # of English with the vocabulary of BERT, about
Texts = tuple[str, ...]


def measure_of(config: CheckConfig, *, together: bool) -> tuple[Measure, int, str]:
    """Return what measures rows, the longest that a model reads at once, and the unit in words.

    `together`: the texts of a row are read as one; else each by itself, and the longest counts.
    Nothing is downloaded: a model that is not at hand is told, and lengths are estimated.
    """
    base = _at_hand(config.model)
    if base is None:
        limit = config.max_length or USUAL_LENGTH
        return _estimate(together), limit, "tokens, estimated: 4/3 of the words (-m MODEL counts)"
    from hfkit.model.facts import describe
    from hfkit.text import from_file

    limit = checked_length(config.max_length, describe(base.folder).max_length)
    tokenizer = from_file(base.folder, 2**31)

    def measure(rows: Sequence[Texts]) -> list[int]:
        pairs = together and all(len(texts) == 2 for texts in rows)
        if pairs:
            found = tokenizer.encode([a for a, _ in rows], [b for _, b in rows])
            return [len(one["input_ids"]) for (one,) in found]
        flat = [text for texts in rows for text in texts]
        sizes = iter([len(one["input_ids"]) for (one,) in tokenizer.encode(flat)])
        combine = sum if together else max
        return [combine([next(sizes) for _ in texts] or [0]) for texts in rows]

    return measure, limit, f"tokens of {base.name}"


def _at_hand(model: str | None) -> Located | None:
    """The model, where it lies on this disk with a tokenizer that can be read from a file."""
    if model is None:
        return None
    try:
        base = locate(model, offline=True)
    except InputError as error:
        if model.startswith((".", "/", "~")):
            raise
        log.warning("%s: %s; lengths are estimated", model, error.message)
        return None
    if not (base.folder / "tokenizer.json").is_file():
        log.warning("%s has no tokenizer.json; lengths are estimated", model)
        return None
    return base


def _estimate(together: bool) -> Measure:
    def measure(rows: Sequence[Texts]) -> list[int]:
        if together:
            words = words_of(rows)
        else:
            words = [max(words_of([(text,) for text in texts]) or [0]) for texts in rows]
        return [round(count * TOKENS_PER_WORD) for count in words]

    return measure
