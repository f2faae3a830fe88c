"""Texts that a server writes, in place of a model here.

POST URL/v1/chat/completions    the messages that the task makes of a row
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from hfkit.infer.server import AT_ONCE, ServerPredictor, said

if TYPE_CHECKING:
    from hfkit.tasks.base import Answer, Row

log = logging.getLogger(__name__)

# Settings of writing that the protocol has no word for.
UNKNOWN = ("beams", "min_new_tokens", "length_penalty", "no_repeat_ngram")


class EndpointWriter(ServerPredictor):
    """Writes texts. `task` is text2text or generation: it puts a row into messages, and says how
    long a text may be and where it stops."""

    def __init__(
        self, task: Any, model: str, url: str, *, offline: bool = False, at_once: int = AT_ONCE
    ) -> None:
        super().__init__(model, url, offline=offline, at_once=at_once)
        self.task = task
        options = task.options
        left = [name for name in UNKNOWN if getattr(options, name) is not None]
        if left:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in left)
            log.info("%s: no part where a server answers", names)
        self._manner: dict[str, Any] = {"max_tokens": task.new_tokens, "temperature": 0}
        if options.sample:
            self._manner |= {
                "temperature": options.sample_temperature,
                "seed": options.sample_seed,
            }
            chosen = {"top_p": options.sample_top_p, "top_k": options.sample_top_k}
            self._manner |= {name: value for name, value in chosen.items() if value is not None}
        if task.stop:
            self._manner["stop"] = task.stop

    def answered(self, row: Row) -> Answer | str:
        """The text that the server wrote."""
        return {"text": said(self.ask({"messages": self.task.messages(row), **self._manner}))}
