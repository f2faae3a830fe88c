r"""From bytes to physical lines: compression, encoding, line ends.

A line ends at ``\n`` or ``\r\n``; at a lone ``\r`` only where the beginning of the file has no
``\n`` at all. Nothing else splits a line (U+2028 does not). Lines keep their ends, because a CSV
cell may hold line breaks. A byte that is not valid in the encoding becomes a lone surrogate, which
`unreadable` finds: it spoils its own row, not the file.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import BinaryIO, cast

from hfkit.data.display import shown
from hfkit.data.record import Fault
from hfkit.errors import InputError, ResourceError, did_you_mean

STDIN = "<stdin>"
HEAD = 1 << 16
ENCODINGS = ("utf-8", "utf-16", "latin-1", "cp1252", "gb18030", "big5", "shift_jis", "euc-kr")
GZIP = b"\x1f\x8b"
FOREIGN = (
    (b"PK\x03\x04", "a zip archive or an Excel file", "unpack it, or export the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file", "export the sheet as CSV"),
    (b"PAR1", "a Parquet file", "use --input-format parquet"),
    (b"ARROW1", "an Arrow file", "convert it to Parquet"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "unpack it first"),
    (b"BZh", "compressed by bzip2", "unpack it first"),
    (b"\xfd7zXZ", "compressed by xz", "unpack it first"),
    (b"%PDF", "a PDF file", "extract its text first"),
    (b"version https://git-lfs", "a Git LFS pointer, not the data", "run git lfs pull"),
    (b"<!DOCTYPE html", "an HTML page, not data", "download the raw file"),
    (b"<html", "an HTML page, not data", "download the raw file"),
)


def _open_stdin() -> BinaryIO:
    """Standard input behind a buffer of its own: a thread may still wait in it when Python exits,
    and Python aborts when it cannot take the lock of `sys.stdin` then."""
    try:
        raw = io.FileIO(sys.stdin.fileno(), closefd=False)
        return cast(BinaryIO, io.BufferedReader(raw, buffer_size=HEAD))
    except (OSError, ValueError):  # replaced by a stream in memory
        stream = sys.stdin.buffer
        return cast(BinaryIO, stream if hasattr(stream, "peek") else io.BufferedReader(stream))


def open_bytes(path: str) -> BinaryIO:
    """Open a file, a gzip file by its name, or stdin (`STDIN`) for reading bytes.

    Raises `InputError` where it is missing, a folder, or may not be read.
    """
    if path == STDIN:
        return _open_stdin()
    try:
        stream = io.BufferedReader(io.FileIO(path), buffer_size=HEAD)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror})", place=path) from error
    packed = stream.peek(2)[:2] == GZIP
    if packed and not path.endswith(".gz"):
        stream.close()
        raise InputError("is compressed by gzip", place=path, hint="rename it to end in .gz")
    if not path.endswith(".gz"):
        return cast(BinaryIO, stream)
    stream.close()
    if not packed:
        raise InputError("ends in .gz but is not a gzip file", place=path, hint="rename it")
    return cast(BinaryIO, gzip.GzipFile(path, "rb"))


def read_bytes(path: str, most: int) -> bytes:
    """Return the whole content. Raises `InputError` where it is longer than `most` bytes."""
    try:
        with open_bytes(path) as stream:
            content = stream.read(most + 1)
    except (EOFError, zlib.error, OSError) as error:
        raise _reading_error(error, path) from error
    if len(content) > most:
        raise InputError(f"is larger than {most >> 20} MiB", place=path, hint="split it")
    return content


def physical_lines(path: str, encoding: str) -> Iterator[str]:
    """Yield the lines of a file with their ends, decoded, without a byte order mark.

    Raises `InputError` for what is no text in this encoding, and for a broken gzip file.
    """
    number = 0
    stream = open_bytes(path)
    try:
        head = cast(io.BufferedReader, stream).peek(HEAD)[:HEAD]
        _check_head(head, path, encoding)
        text = _decoded(stream, head, encoding)
        try:
            for line in text:
                number += 1
                yield line.removeprefix("\ufeff") if number == 1 else line
        finally:
            text.detach()
    except UnicodeError as error:
        reason = getattr(error, "reason", str(error))
        place, problem = f"{path}:{number + 1}", f"not {shown(encoding)} ({reason})"
        raise InputError(problem, place=place, hint="set --encoding") from error
    except (EOFError, zlib.error, OSError) as error:
        raise _reading_error(error, f"{path}:{number + 1}") from error
    finally:
        if path != STDIN:
            stream.close()


def peeked(lines: Iterator[str], count: int) -> tuple[list[str], Iterator[str]]:
    """Return the first `count` lines that are not blank, and all lines again.

    >>> first, again = peeked(iter(["", "a", "b"]), 1)
    >>> first, list(again)
    (['a'], ['', 'a', 'b'])
    """
    taken: list[str] = []
    full = (line for line in _remembered(lines, taken) if line.strip())
    first = list(islice(full, count))
    return first, chain(taken, lines)


def without_end(line: str) -> str:
    """Return a line without its line end."""
    return line.removesuffix("\n").removesuffix("\r")


def unreadable(line: str) -> str:
    """Return what is wrong with the characters of a line; empty where nothing is."""
    if "\0" in line:
        column = line.index("\0") + 1
        return Fault(f"a NUL character in column {column}", column)
    if line.isascii():
        return ""
    try:
        line.encode()
    except UnicodeEncodeError as error:
        byte, column = ord(line[error.start]) - 0xDC00, error.start + 1
        found = f"byte 0x{byte:02x} in column {column} is not valid in this encoding"
        return Fault(f"{found}; save the file as UTF-8, or set --encoding", column)
    return ""


def _remembered(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _decoded(stream: BinaryIO, head: bytes, encoding: str) -> io.TextIOWrapper:
    newline = "\r" if b"\r" in head and b"\n" not in head else "\n"
    try:
        return io.TextIOWrapper(
            stream, encoding=encoding, errors="surrogateescape", newline=newline
        )
    except LookupError as error:
        raise InputError(
            f"unknown encoding {shown(encoding)}",
            place="--encoding",
            hint=did_you_mean(encoding, ENCODINGS),
        ) from error


def _reading_error(error: Exception, place: str) -> InputError | ResourceError:
    if isinstance(error, (EOFError, zlib.error, gzip.BadGzipFile)):
        return InputError(f"the gzip file is broken ({error})", place=place, hint="get it again")
    return ResourceError(f"cannot be read ({error})", place=place)


def _check_head(head: bytes, path: str, encoding: str) -> None:
    """Raise `InputError` where the first bytes show that this is not text in `encoding`."""
    if encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32")):
        return
    if path == STDIN and head.startswith(GZIP):
        raise InputError("is compressed by gzip", place=path, hint="pipe it through gunzip")
    for magic, what, remedy in FOREIGN:
        if head.startswith(magic):
            raise InputError(f"is {what}", place=path, hint=remedy)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _mostly_zero(head[::2], head[1::2]):
        raise InputError("is UTF-16, not UTF-8", place=path, hint="add --encoding utf-16")
    control = sum(head.count(byte) for byte in (*range(9), *range(14, 27), *range(28, 32)))
    if 0 in head and control * 10 > len(head):
        raise InputError("is a binary file, not text", place=path)
    if encoding.lower() in ("utf-8", "utf8"):
        _check_utf8(head, path)


def _mostly_zero(*halves: bytes) -> bool:
    return any(len(half) > 3 and half.count(0) * 2 > len(half) for half in halves)


def _check_utf8(head: bytes, path: str) -> None:
    """Refuse a file in which several lines are not ASCII and none of them is UTF-8: that is another
    encoding. One such line among others spoils its row only."""
    lines = head.split(b"\n")
    if len(head) >= HEAD // 8:  # the last line may be cut inside a character
        lines.pop()
    foreign = [line for line in lines if not line.isascii()]
    if len(foreign) < 2 or any(_is_utf8(line) for line in foreign):
        return
    number = next(index for index, line in enumerate(lines, 1) if not line.isascii())
    raise InputError(
        "is not UTF-8", place=f"{path}:{number}", hint=f"try --encoding {_guess(foreign)}"
    )


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _guess(lines: list[bytes]) -> str:
    text = b"\n".join(lines).decode("gb18030", errors="replace")
    foreign = [character for character in text if character > "\x7f"]
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in foreign)
    # In Chinese text nearly all characters are common ones; Latin text read as GB gives odd ones.
    if chinese * 2 > len(foreign) and chinese * 4 > len(text) - text.count("\n"):
        return "gb18030"
    return "latin-1"
