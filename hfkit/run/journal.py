"""How far a file of predictions has come, so that the same command can go on with it after a kill.

    out.jsonl.part        whole windows of rows, after a kill perhaps with a piece of one more
    out.jsonl.part.json   the journal: how many of its bytes count, and a hash of them; how many
                          rows of the input they answer, and a hash of those; and what the answers
                          depend on beside the rows

It is written after a window, at most once in `EVERY` seconds, when the rows it tells of are on the
disk. What goes on is cut where the journal says, at the border of a window, and so computes the
same batches again: the file comes out as it would have without the kill, to the byte.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from time import monotonic
from typing import TYPE_CHECKING, Any

from hfkit import sealing
from hfkit.data.output import ANEW, Output
from hfkit.data.record import Record
from hfkit.data.writer import Writer
from hfkit.errors import InputError
from hfkit.run.output import first_difference, hash_of
from hfkit.run.tally import Tally

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

EVERY = 0.5  # seconds


@dataclass(frozen=True)
class Position:
    """Where an output stands between two windows: what was read, with its hash, what of it had no
    answer, what was written, with its hash, and what the writer has settled."""

    windows: int = 0
    rows: int = 0
    read: str = ""
    errors: int = 0
    truncated: int = 0
    size: int = 0
    written: str = ""
    writer: dict[str, Any] = field(default_factory=dict)


class Journal:
    """The journal of one output. `fingerprint` is asked once for what the answers depend on."""

    def __init__(self, output: Output, fingerprint: Callable[[], Mapping[str, Any]]) -> None:
        self._output = output
        self._fingerprint = fingerprint
        self._known: Mapping[str, Any] | None = None
        self._read = hashlib.sha256()
        self._windows = 0
        self._noted = monotonic()
        if output.journal is not None:
            sealing.stage_of(output.journal).unlink(
                missing_ok=True
            )  # of a kill while it was written

    def go_on(self, records: Iterator[Record], writer: Writer) -> Position:
        """Take up what an earlier command has left, and pass over the records it has answered.

        Begins at the first record where it has left nothing. Raises `InputError` where it was
        another command, where the records are others, and where the files are damaged.
        """
        path = self._output.journal
        if path is None or not path.exists():
            log.info("%s: nothing to go on with; begins at the first row", self._output.name)
            return Position()
        position = self._found(path)
        for record in islice(records, position.rows):
            self._add(record)
        if self._read.hexdigest() != position.read:
            raise InputError(
                f"the first {position.rows} rows of the input are not those that were answered",
                place=f"{self._output.name}.part",
                hint=ANEW,
            )
        self._output.go_on(position.size, position.written)
        writer.restore(position.writer)
        self._windows = position.windows
        log.info("%s: goes on behind row %s", self._output.name, f"{position.rows:,}")
        return position

    def add(self, records: Iterable[Record], writer: Writer, tally: Tally) -> None:
        """Count a window that was written: its records, and the totals with it."""
        for record in records:
            self._add(record)
        self._windows += 1
        if self._output.journal is None or monotonic() - self._noted < EVERY:
            return
        settled = writer.state()
        if settled is None:
            return
        self._output.sync()
        position = Position(
            self._windows,
            tally.rows,
            self._read.hexdigest(),
            tally.errors,
            tally.truncated,
            self._output.size,
            self._output.digest,
            settled,
        )
        content = {"depends_on": dict(self._depends_on()), "position": asdict(position)}
        sealing.write_json(self._output.journal, {**content, "seal": hash_of(content)})
        self._noted = monotonic()

    def _add(self, record: Record) -> None:
        said = repr((record.row, record.fields, record.error))
        self._read.update(said.encode("utf-8", "backslashreplace"))

    def _found(self, path: Path) -> Position:
        place = f"{self._output.name}.part"
        try:
            content = sealing.read_json(path)
            if content.pop("seal") != hash_of(content):
                raise InputError("not as it was written")
            position, before = Position(**content["position"]), dict(content["depends_on"])
        except (InputError, KeyError, TypeError, ValueError) as error:
            raise InputError("its journal is damaged", place=place, hint=ANEW) from error
        other = first_difference(before, self._depends_on())
        if other:
            raise InputError(f"another command has begun it: {other}", place=place, hint=ANEW)
        return position

    def _depends_on(self) -> Mapping[str, Any]:
        if self._known is None:
            self._known = self._fingerprint()
        return self._known
