"""Documents to look answers up in: a folder of text files, or a file with a document a row.

An offset into a document counts the characters of the text as it is read here: line ends and
everything else stay what they are in the file.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hfkit.config import Reading
from hfkit.data.record import strict
from hfkit.data.source import read
from hfkit.errors import InputError, did_you_mean

log = logging.getLogger(__name__)

SUFFIXES = (".txt", ".md")
ID_NAMES = ("id", "_id", "document", "document_id", "doc_id", "docid")
TEXT_NAMES = ("text", "contents", "content", "body", "passage")


class Document(NamedTuple):
    """A text with the name that answers give it; the title helps to find it."""

    id: str
    text: str
    title: str = ""


def read_documents(source: str, *, offline: bool = False) -> list[Document]:
    """Read a folder of .txt and .md files (the id is the path within it), or a JSON Lines, JSON,
    CSV, TSV or Parquet file with the columns text and, if it has them, id and title.

    Raises `InputError` for a file that is not UTF-8, a missing text column, an id that stands
    twice, and where there is no text at all. Documents without text are left out and counted.
    """
    folder = Path(source).expanduser()
    found = _of_folder(folder) if folder.is_dir() else _of_file(source, offline)
    documents = []
    seen: set[str] = set()
    empty = 0
    for place, document in found:
        if document.id in seen:
            raise InputError(f"a second document with the id '{document.id}'", place=place)
        seen.add(document.id)
        if document.text.strip():
            documents.append(document)
        else:
            empty += 1
    if empty:
        log.info("%s: documents without text left out: %d", source, empty)
    if not documents:
        raise InputError("no document with text", place=source)
    return documents


def _of_folder(folder: Path) -> Iterator[tuple[str, Document]]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    others = [path for path in files if path.suffix.lower() not in SUFFIXES]
    if others:
        log.info("%s: files that are neither .txt nor .md left out: %d", folder, len(others))
    for path in files:
        if path.suffix.lower() not in SUFFIXES:
            continue
        try:
            text = path.read_bytes().decode("utf-8")
        except UnicodeDecodeError as error:
            hint = "save it as UTF-8"
            raise InputError(
                f"not UTF-8 at byte {error.start}", place=str(path), hint=hint
            ) from None
        yield str(path), Document(path.relative_to(folder).as_posix(), text)


def _of_file(source: str, offline: bool) -> Iterator[tuple[str, Document]]:
    for record in strict(read(source, Reading(), offline=offline)):
        names = {name.lower(): name for name in record.fields}
        text = next((names[name] for name in TEXT_NAMES if name in names), None)
        if text is None:
            hint = did_you_mean("text", list(record.fields))
            raise InputError("no column with the text", place=record.place, hint=hint)
        identity = next((names[name] for name in ID_NAMES if name in names), None)
        title = record.fields[names["title"]] if "title" in names else ""
        yield (
            record.place,
            Document(
                str(record.row if identity is None else record.fields[identity]),
                str(record.fields[text] or ""),
                str(title or ""),
            ),
        )
