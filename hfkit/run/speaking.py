"""A text that is shown while it is written: one text, asked at a terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hfkit.data.table_writer import shown_lines
from hfkit.data.writer import Plain, Result, Writer
from hfkit.prompts import cut_before, settled

if TYPE_CHECKING:
    from hfkit.infer.predictor import Predictor
    from hfkit.infer.server import ServerPredictor


class Spoken(Plain):
    """A table of one text; what was shown of it already is not shown again.

    `spelled` makes a text of tokens, `stop` holds the words before which it ends, `strips`: white
    space at its beginning is no part of it.
    """

    def __init__(
        self,
        table: Writer,
        write: Callable[[str], None],
        spelled: Callable[[Sequence[list[int]]], list[str]],
        stop: Sequence[str],
        *,
        strips: bool,
    ) -> None:
        self._table = table
        self._write = write
        self._spelled = spelled
        self._stop = stop
        self._strips = strips
        self._shown = ""

    def hear(self, tokens: list[int]) -> None:
        """Show what is new in the tokens so far, as far as it is settled."""
        (text,) = self._spelled([tokens])
        text = settled(cut_before(text, self._stop), self._stop)
        found = shown_lines(text.lstrip() if self._strips else text)
        if found.startswith(self._shown):
            self._write(found[len(self._shown) :])
            self._shown = found

    def text(self, results: Sequence[Result]) -> str:
        """Return what is left to show."""
        whole = self._table.text(results)
        known = whole.startswith(self._shown)
        return whole[len(self._shown) :] if known else f"\n{whole}"


def spoken(
    table: Writer, predictor: Predictor | ServerPredictor, write: Callable[[str], None]
) -> Writer:
    """The writer that shows a text as it comes, where its engine tells; else the table."""
    engine: Any = getattr(predictor, "engine", None)
    tokenizer: Any = getattr(predictor, "tokenizer", None)
    if not hasattr(engine, "listener") or engine.model.model.generation_config.num_beams > 1:
        return table
    task: Any = predictor.task
    writer = Spoken(table, write, tokenizer.spelled, task.options.stop, strips=task.is_chat)
    engine.listener = writer.hear
    return writer
