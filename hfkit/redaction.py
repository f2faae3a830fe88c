"""Secrets that hfkit neither prints nor writes: access tokens of the Hub, keys of servers."""

from __future__ import annotations

import os
import re

# A token of the Hub; a key as OpenAI and those who speak its protocol give them out.
SHAPES = re.compile(r"\bhf_[A-Za-z0-9]{16,}|\bsk-[A-Za-z0-9_-]{16,}")
VARIABLES = (
    "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HFKIT_API_KEY", "OPENAI_API_KEY", "WANDB_API_KEY",
)  # fmt: skip
SHORTEST = 8  # characters of a value that is one: a shorter one would be found in any text
HIDDEN = "[secret]"


def redacted(text: str) -> str:
    """Return the text with every token, and every value of `VARIABLES`, replaced.

    >>> redacted("refused: hf_abcdefghijklmnopqrst")
    'refused: [secret]'
    """
    for name in VARIABLES:
        value = os.environ.get(name, "")
        if len(value) >= SHORTEST:
            text = text.replace(value, HIDDEN)
    return SHAPES.sub(HIDDEN, text)
