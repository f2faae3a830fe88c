"""The texts of a row: what a model reads of it, without label, completion and document."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hfkit.data.split import APART

Texts = tuple[str, ...]


def joined_texts(row: Mapping[str, Any]) -> Texts:
    """What a row is read from: its texts, words joined.

    >>> joined_texts({"tokens": ["Bo", "sings"], "label": ["B-PER", "O"]})
    ('Bo sings',)
    """
    texts = (value for role, value in row.items() if role not in APART)
    return tuple(" ".join(map(str, t)) if isinstance(t, list) else str(t) for t in texts)


def written_texts(row: Mapping[str, Any], *, label_is_text: bool) -> Iterator[tuple[str, str]]:
    """Yield each role with what people wrote there; of a conversation, the messages one by one."""
    for role, value in row.items():
        if role == "document" or (role == "label" and not label_is_text):
            continue
        if isinstance(value, str):
            yield role, value
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for message in value:
                if isinstance(message.get("content"), str):
                    yield role, message["content"]
        elif isinstance(value, list):
            yield role, " ".join(map(str, value))
