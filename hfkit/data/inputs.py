"""What the user wants answered: a text, a file, a pipe, or ``column=value`` pairs of one row."""

from __future__ import annotations

import logging
import os
import re
import select
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hfkit.config import PredictConfig, Reading
from hfkit.data.record import Record
from hfkit.errors import EmptyError, InputError

log = logging.getLogger(__name__)

PAIR = re.compile(r"([A-Za-z_][\w.-]*)=(.*)", re.DOTALL)
LONE = re.compile("[\ud800-\udfff]")  # what Python makes of bytes that are not UTF-8
LONGEST_PATH = 1024
ALONE = ("text", "question", "tokens")  # columns that make a row by themselves


class Input(NamedTuple):
    """Records to answer. `live`: they come from a pipe, whenever they come. `format`: of the file,
    as far as its name tells. `single`: one row, typed on the command line. `empty`: there are
    none, which is known before one is asked for."""

    records: Iterator[Record]
    live: bool = False
    format: str = ""
    single: bool = False
    empty: bool = False


def open_input(config: PredictConfig) -> Input:
    """Find out what the arguments are.

    An argument that looks like a file (a data suffix, or a path) must exist, so that a mistyped
    name is not answered as a text; ``--text`` says it is one. Raises `InputError`.
    """
    inputs = config.inputs
    if config.text:
        if not inputs:
            raise InputError("no text", place="--text")
        return _typed({"text": " ".join(inputs)})
    if not inputs:
        return _piped(config)
    pairs = [PAIR.fullmatch(given) for given in inputs]
    named = (config.text_column, config.question_column, config.tokens_column)
    alone = [name or usual for name, usual in zip(named, ALONE, strict=True)]
    if len(inputs) > 1 or (pairs[0] and pairs[0][1] in alone):
        if not all(pairs):
            raise InputError(
                f"{len(inputs)} inputs; expected one, or column=value pairs",
                hint="put quotation marks around a text, or around a pattern of files",
            )
        return _typed({pair[1]: pair[2] for pair in pairs if pair})
    if inputs[0] == "-":
        return _standard_input(config)
    if is_file(inputs[0]):
        return _file(inputs[0], config)
    return _typed({"text": inputs[0]})


def open_texts(
    inputs: list[str], reading: Reading, *, text: bool, column: str | None, offline: bool
) -> Input:
    """Find out what texts are meant where only texts are: several of them, or one input as above.

    Raises `InputError` for several files.
    """
    if len(inputs) > 1 and not text:
        file = next((given for given in inputs if is_file(given)), None)
        if file is not None:
            raise InputError(
                f"{len(inputs)} inputs; expected one file, or texts",
                place=file,
                hint="put quotation marks around a pattern of files",
            )
        records = (Record({"text": given}, n, "text") for n, given in enumerate(inputs, start=1))
        return Input(records, single=True)
    settings = {name: getattr(reading, name) for name in Reading.model_fields}
    return open_input(
        PredictConfig(inputs=inputs, text=text, text_column=column, offline=offline, **settings)
    )


def _typed(fields: dict[str, str]) -> Input:
    for name, text in fields.items():
        if not text.isascii() and LONE.search(text):
            raise InputError("bytes that are not valid UTF-8", place=f"the {name} typed here")
    return Input(iter([Record(dict(fields), 1, "input")]), single=True)


def _piped(config: PredictConfig) -> Input:
    if sys.stdin is None or sys.stdin.isatty():
        raise InputError(
            "nothing to predict",
            hint='give a text, a file, or pipe rows in: hfkit predict MODEL "a text"',
        )
    return _standard_input(config)


def _standard_input(config: PredictConfig) -> Input:
    from hfkit.data.source import read

    try:
        live = not stat.S_ISREG(os.fstat(sys.stdin.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):  # closed, or replaced by a stream in memory
        live = False
    if _is_over():
        log.info("stdin is empty: there is nothing to answer")
        return Input(iter([]), format=_format("", config), empty=True)
    return Input(_if_any(read("-", config)), live=live, format=_format("", config))


def _is_over() -> bool:
    """Whether standard input is known to hold nothing: no file, a file of no bytes, or a pipe whose
    writer has gone without a word. Of a pipe that is silent so far nobody knows."""
    try:
        file = sys.stdin.fileno()
        found = os.fstat(file)
        if stat.S_ISREG(found.st_mode):
            return found.st_size == 0
        if stat.S_ISFIFO(found.st_mode) and hasattr(select, "poll"):
            asked = select.poll()
            asked.register(file, select.POLLIN)
            events = asked.poll(0)
            return bool(events) and not events[0][1] & select.POLLIN
        return os.path.samestat(found, Path(os.devnull).stat())
    except (OSError, ValueError, AttributeError):  # closed, or replaced by a stream in memory
        return False


def _if_any(records: Iterator[Record]) -> Iterator[Record]:
    """A filter that is given nothing answers nothing: the ``grep`` before it found no line."""
    try:
        yield from records
    except EmptyError:
        return


def _file(path: str, config: PredictConfig) -> Input:
    from hfkit.data.source import read

    try:
        records = read(path, config, offline=config.offline)
    except InputError as error:
        hint = "; ".join(filter(None, [error.hint, "use --text if it is a text"]))
        raise InputError(error.message, place=error.place, hint=hint) from error
    live = Path(path).exists() and not Path(path).is_file()
    return Input(records, live=live, format=_format(path, config))


def _format(path: str, config: PredictConfig) -> str:
    from hfkit.data.source import format_of

    return config.input_format if config.input_format != "auto" else format_of(path)


def is_file(given: str) -> bool:
    """Tell a file from a text: an existing file, a data suffix, or what a shell user takes for a
    path: a separator and no spaces. The "and/or" within a text is none."""
    from hfkit.data.source import format_of

    if "\n" in given or len(given) > LONGEST_PATH:
        return False
    one_word = given.isascii() and not re.search(r"\s", given)
    if format_of(given) or given.startswith(("./", "../", "~/")) or ("/" in given and one_word):
        return True
    try:
        if not Path(given).is_file():
            return False
    except OSError:  # longer than the system lets a name be
        return False
    log.info("%s is a file and is read as one; --text takes it as text", given)
    return True
