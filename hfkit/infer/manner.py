"""One model, asked to write in several manners: each request says how long and how to draw.

What an engine writes by is settled when its model is loaded. Here a copy of that, with what a task
says otherwise, is put in its place while some rows are answered. Only for the one thread that asks
the engine.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hfkit.text import Tokenizer

WRITING = "hfkit_writing"  # where a task's head says how to write
OF_BEAMS = {"num_beams": 1, "length_penalty": 1.0, "early_stopping": False}
# Of a task's settings those that transformers knows, too.
KNOWN = ("max_new_tokens", "min_new_tokens", "num_beams", "length_penalty", "no_repeat_ngram_size")


class Manner:
    """How one request wants texts to be written."""

    def __init__(self, engine: Any, head: Mapping[str, Any], tokenizer: Tokenizer) -> None:
        settings = head[WRITING]
        self._model = engine.model
        self._goes_on = hasattr(self._model, "room")
        self._writer: Any = self._model.model if self._goes_on else self._model
        self._config = copy.deepcopy(self._writer.generation_config)
        changed = {name: settings[name] for name in KNOWN if name in settings}
        if "min_new_tokens" in changed:
            changed["min_length"] = 0
        sample = settings.get("sample")
        if sample or changed.get("num_beams") == 1:
            changed |= OF_BEAMS
        for name, value in changed.items():
            setattr(self._config, name, value)
        self._own: dict[str, Any] = {"hfkit_sampling": sample}
        if self._goes_on:
            stop: Sequence[str] = settings["stop"]
            self._own = {"sample": sample, "stop": stop, "room": settings["room"]}
            if stop:
                self._own["spelled"] = tokenizer.spelled

    @contextmanager
    def on(self) -> Iterator[None]:
        """Write in this manner, inside."""
        before = {name: getattr(self._model, name) for name in self._own}
        config = self._writer.generation_config
        self._writer.generation_config = self._config
        self._set(self._own)
        try:
            yield
        finally:
            self._writer.generation_config = config
            self._set(before)

    def _set(self, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            setattr(self._model, name, value)
