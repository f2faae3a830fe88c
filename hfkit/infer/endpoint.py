"""Zero-shot answers from a server, in place of a model here.

    POST URL/v1/chat/completions    the labels in the instruction, the text as the user's message

The answer is constrained to the labels by a JSON schema. A server that refuses schemas is asked
without one, which is said once, and its reply must then be one of the labels word for word. A text
whose reply is none has an error and no guess.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hfkit.infer.server import AT_ONCE, RefusedError, ServerPredictor, said

if TYPE_CHECKING:
    from hfkit.tasks.base import Answer, Row

log = logging.getLogger(__name__)

ONE = 'Choose the label that fits the text best. Reply with JSON only: {{"label": "..."}}. {}'
SEVERAL = (
    "Choose all labels that fit the text; there may be none. "
    'Reply with JSON only: {{"labels": ["...", "..."]}}. {}'
)


class EndpointPredictor(ServerPredictor):
    """Chooses labels. `task` is zero-shot: it knows the labels of a row, and whether several may
    fit."""

    def __init__(
        self, task: Any, model: str, url: str, *, offline: bool = False, at_once: int = AT_ONCE
    ) -> None:
        super().__init__(model, url, offline=offline, at_once=at_once)
        self.task = task
        self._constrained = True

    def answered(self, row: Row) -> Answer | str:
        """The label that the server chose, or why it chose none."""
        labels = self.task.candidates(row)
        return self._chosen(self._reply(row["text"], labels), labels)

    def _reply(self, text: str, labels: Sequence[str]) -> str:
        """The server's words about a text; without a schema where it takes none."""
        if self._constrained:
            try:
                return self._asked(text, labels, constrained=True)
            except RefusedError as error:
                reply = self._asked(text, labels, constrained=False)  # or the text was refused
                if self._constrained:
                    self._constrained = False
                    log.warning(
                        "the server takes no schema (%s); its replies must be labels word for word",
                        error,
                    )
                return reply
        return self._asked(text, labels, constrained=False)

    def _asked(self, text: str, labels: Sequence[str], *, constrained: bool) -> str:
        several = self.task.options.multi_label
        described = self.task.described
        about = {
            label: described[label] for label in labels if described.get(label, label) != label
        }
        listed = "Labels: " + json.dumps(list(labels), ensure_ascii=False)
        listed += f"\nWhat they mean: {json.dumps(about, ensure_ascii=False)}" if about else ""
        body: dict[str, Any] = {
            "messages": [
                {"role": "system", "content": (SEVERAL if several else ONE).format(listed)},
                {"role": "user", "content": text},
            ],
        }
        if constrained:
            body["temperature"] = 0
            body["response_format"] = _schema(labels, several)
        return said(self.ask(body))

    def _chosen(self, reply: str, labels: Sequence[str]) -> Answer | str:
        """The answer that a reply gives, or why it gives none."""
        several = self.task.options.multi_label
        value = _value(reply, "labels" if several else "label")
        given = value if isinstance(value, list) and several else [value]
        found = [_matching(one, labels) for one in given]
        if None in found:
            shown = self.clean(reply)[:60]
            return f'the reply is {"not a list of labels" if several else "no label"}: "{shown}"'
        if several:
            return {"labels": [label for label in labels if label in found]}
        return {"label": found[0]}


def _schema(labels: Sequence[str], several: bool) -> dict[str, Any]:
    """The response_format that leaves a model nothing but the labels to say."""
    label: dict[str, Any] = {"type": "string", "enum": list(labels)}
    name = "labels" if several else "label"
    schema = {
        "type": "object",
        "properties": {name: {"type": "array", "items": label} if several else label},
        "required": [name],
        "additionalProperties": False,
    }
    described = {"name": "answer", "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": described}


def _value(reply: str, name: str) -> Any:
    """What a reply says: the value in its JSON, else its words."""
    text = reply.strip()
    if text.startswith("```"):
        text = text.strip("`").removeprefix("json").strip()
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value.get(name) if isinstance(value, Mapping) else value


def _matching(value: Any, labels: Sequence[str]) -> str | None:
    """The label that a value is, but for quotation marks, a full stop and capitals; else None.

    >>> _matching("Sports.", ["sports", "arts"]), _matching("a sport", ["sports"])
    ('sports', None)
    """
    if not isinstance(value, str):
        return None
    if value in labels:
        return value
    plain = value.strip().removesuffix(".").strip("\"'").casefold()
    alike = [label for label in labels if label.casefold() == plain]
    return alike[0] if len(alike) == 1 else None
