"""A table for a person at a terminal: of each row the answer and the beginning of the text; of a
single text a bar for each of the best classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hfkit.data.writer import Plain, Result, rounded, to_json

SNIPPET = 60  # characters of a text in a table
BARS = 5  # classes shown for a single text
BAR_WIDTH = 20


class Table(Plain):
    """For a person at a terminal: the answer, then the beginning of the text."""

    def __init__(self, single: bool) -> None:
        self._single = single

    def text(self, results: Sequence[Result]) -> str:
        """Return one line for each result; for a single text a bar for each of the best classes."""
        return "".join(map(self._lines, results))

    def _lines(self, result: Result) -> str:
        record, answer, error = result
        if answer is None:
            return f"row {record.row}: {_shown(error, 200)}\n"
        if self._single and isinstance(answer.get("scores"), dict):
            return _bars(answer["scores"], chosen=answer.get("labels"))
        if self._single and "text" in answer:  # a text that was written is wanted whole
            return shown_lines(answer["text"]) + "\n"
        if self._single:
            return _brief(answer) + "\n"
        text = " | ".join(str(value) for value in record.fields.values() if value is not None)
        return f"{_brief(answer):<28}  {_shown(text, SNIPPET)}\n"


def _brief(answer: Mapping[str, Any]) -> str:
    """The answer in a few words: ``pos  0.93``."""
    if "label" in answer:
        score = f"  {answer['score']:.2f}" if "score" in answer else ""  # a server gives none
        return f"{_shown(answer['label'], 40)}{score}"
    if "labels" in answer:
        return ", ".join(_shown(label, 40) for label in answer["labels"]) or "(none)"
    if "value" in answer:
        return f"{answer['value']:.4g}"
    if "text" in answer:
        return _shown(answer["text"], 2 * SNIPPET)
    if "entities" in answer:
        found = answer["entities"]
        each = (f"{one['label']} {_shown(one['text'], 40)} {one['score']:.2f}" for one in found)
        return ", ".join(each) or "(none)"
    if "answer" in answer:
        each = (
            f"{_shown(one['answer'], 40) or '(none)'}  {one['score']:.2f}"
            + (f"  {_shown(str(one['document']), 40)}" if one.get("document") is not None else "")
            for one in answer.get("answers") or [answer]
        )
        return ", ".join(each)
    if "filled" in answer:
        return _shown(answer["filled"], 200)
    if "log_prob" in answer:
        return f"{answer['log_prob']:.4f}  perplexity {answer['perplexity']:.4g}"
    if "score" in answer:
        same = "" if "same" not in answer else "  same" if answer["same"] else "  not the same"
        return f"{answer['score']:.2f}{same}"
    return to_json(rounded(dict(answer)))


def _bars(scores: Mapping[str, float], chosen: Sequence[str] | None) -> str:
    """The best classes, one a line; of several labels the chosen ones carry a mark."""
    best = sorted(scores.items(), key=lambda item: -item[1])[: max(BARS, len(chosen or ()))]
    width = max(len(_shown(label, 40)) for label, _ in best)
    marks = {label: "* " if label in (chosen or ()) else "  " for label, _ in best}
    return "".join(
        f"{'' if chosen is None else marks[label]}{_shown(label, 40):<{width}}  {score:.2f}  "
        f"{'█' * round(score * BAR_WIDTH)}".rstrip()
        + "\n"
        for label, score in best
    )


def shown_lines(text: str) -> str:
    """A text with its lines, all other control characters spelled.

    >>> shown_lines("a\\n\\x1b[31mb")
    'a\\n\\\\x1b[31mb'
    """
    return "\n".join(_shown(line, len(line)) for line in text.split("\n"))


def _shown(text: str, width: int) -> str:
    """Cut a text and spell its control characters, which could drive a terminal.

    >>> _shown("a\\x1b[31mb", 40)
    'a\\\\x1b[31mb'
    """
    safe = "".join(
        character if character.isprintable() else repr(character)[1:-1]
        for character in text[:width]
    )
    return safe + "…" if len(text) > width else safe
