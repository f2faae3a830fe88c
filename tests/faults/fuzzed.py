"""Files to fuzz: good ones of every format, what is done to them, and independent parsers.

The parsers here share no code with hfkit: csv in its strict mode, json, and splitting by hand.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

Row = dict[str, Any]

ROWS = 20  # of a file
WORDS = [
    "a",
    "fine",
    "day",
    "with",
    "rain",
    "in",
    "the",
    "south",
    "and",
    "wind",
    "from",
    "the",
    "sea",
    "music",
    "kitchen",
    "weather",
    "12",
    "3.5",
    "café",
    "naïve",
    "Straße",
    "天气",
    "很好",
    "今天",
    "😀",
    "👍🏽",
    "שלום",
    "مرحبا",
    "нет",
    "x²",
    "½",
    "it's",
    "co-op",
]
# Words that other readers turn into nothing, into numbers, or into formulas.
ODD = ("NA", "null", "nan", "None", "1e999", "-0", "007", "=1+1", "true", "#N/A", "1_000", "\\N")
# In a quoted cell or a JSON text these are characters like any other.
INSIDE = (",", '"', '""', "\n", "\r\n", "\t", "\u2028", "\x0b", ";", "|", "\\", "'", "{", "[", "#")
LABELS = ("music", "kitchen", "weather")
TAGS = ("O", "O", "O", "B-PER", "I-PER", "B-LOC")
PIECES = (  # what is put in somewhere
    b"\0", b'"', b'""', b"'", b",", b"\t", b"\n", b"\r", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xff",
    b"\xff\xfe", b"\xc3", b"\xe4\xb8", b"\xed\xa0\xbd", b"\xc0\x80", b"\\ud83d", b"\\u0000", b"{",
    b"}", b"[", b"]", b":", b"\\", b"NaN", b"1e999", b"null", b"\x1a", b"\x0c", b"\xe2\x80\xa8",
    b"-DOCSTART- O\n", b"# ", b";", b" ",
)  # fmt: skip


def text_of(random: Random, inside: tuple[str, ...] = ()) -> str:
    """A text of some words; now and then an odd one alone."""
    if random.random() < 0.15:
        return random.choice(ODD)
    words = [random.choice(WORDS) for _ in range(random.randint(1, 9))]
    if inside and random.random() < 0.3:
        words.insert(random.randrange(len(words) + 1), random.choice(inside))
    return " ".join(words)


def rows_of(random: Random, inside: tuple[str, ...] = ()) -> list[Row]:
    """Rows for classification."""
    return [
        {"text": text_of(random, inside), "label": LABELS[n % len(LABELS)]} for n in range(ROWS)
    ]


def _delimited(random: Random, mark: str) -> bytes:
    end = random.choice(("\n", "\n", "\r\n"))
    out = io.StringIO(newline="")
    quoting = random.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    writer = csv.DictWriter(
        out, ["text", "label"], delimiter=mark, lineterminator=end, quoting=quoting
    )
    writer.writeheader()
    writer.writerows(rows_of(random, INSIDE))
    return _marked(random, out.getvalue())


def _jsonl(random: Random) -> bytes:
    ascii_only = random.random() < 0.5
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in rows_of(random, INSIDE)]
    return _marked(random, "\n".join(lines) + random.choice(("\n", "")))


def _json(random: Random) -> bytes:
    rows = rows_of(random, INSIDE)
    content = rows if random.random() < 0.7 else {"version": "1", "data": rows}
    return _marked(random, json.dumps(content, ensure_ascii=False, indent=random.choice((None, 1))))


def _text(random: Random) -> bytes:
    return _marked(random, "".join(text_of(random) + "\n" for _ in range(ROWS)))


def _conll(random: Random) -> bytes:
    parts = []
    for _ in range(ROWS):
        words = [random.choice(WORDS + list(ODD)) for _ in range(random.randint(1, 7))]
        parts.append("".join(f"{word}\t{random.choice(TAGS)}\n" for word in words))
    return _marked(random, "\n".join(parts))


def _parquet(random: Random) -> bytes:
    import pyarrow
    from pyarrow import parquet

    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(rows_of(random, INSIDE)), sink)
    return bytes(sink.getvalue())


def _marked(random: Random, text: str) -> bytes:
    return (b"\xef\xbb\xbf" if random.random() < 0.1 else b"") + text.encode()


MAKERS: dict[str, Callable[[Random], bytes]] = {
    "csv": lambda random: _delimited(random, ","),
    "tsv": lambda random: _delimited(random, "\t"),
    "jsonl": _jsonl,
    "json": _json,
    "txt": _text,
    "conll": _conll,
    "parquet": _parquet,
}


def damaged(random: Random, data: bytes) -> bytes:
    """The bytes after one to four blows."""
    for _ in range(random.randint(1, 4)):
        place = random.randrange(len(data) + 1)
        blow = random.randrange(6)
        if blow == 0 and place < len(data):
            flipped = data[place] ^ 1 << random.randrange(8)
            data = data[:place] + bytes([flipped]) + data[place + 1 :]
        elif blow == 1:
            data = data[:place] + random.randbytes(random.randint(1, 6)) + data[place:]
        elif blow == 2:
            data = data[:place] + data[place + random.randint(1, 12) :]
        elif blow == 3 and random.random() < 0.3:
            data = data[:place]
        else:
            data = data[:place] + random.choice(PIECES) + data[place:]
    return data


def make(random: Random) -> tuple[str, bytes, bool]:
    """The ending of a file's name, its bytes, and whether they are as they were written."""
    kind = random.choice([*MAKERS, "csv", "jsonl", "csv.gz", "jsonl.gz"])
    data = MAKERS[kind.removesuffix(".gz")](random)
    good = random.random() < 0.2
    if not kind.endswith(".gz"):
        return kind, data if good else damaged(random, data), good
    outside = random.random() < 0.3  # the packed bytes are hit, not what is in them
    packed = gzip.compress(data if good or outside else damaged(random, data), mtime=0)
    return kind, damaged(random, packed) if outside and not good else packed, good


# Independent parsers: rows, or None for a file that is not good, or whose reading is a guess.


def parse(kind: str, data: bytes) -> list[Row] | None:
    """The rows of a file, read without hfkit."""
    if kind == "parquet":
        return _parsed_parquet(data)
    try:
        text = (gzip.decompress(data) if kind.endswith(".gz") else data).decode("utf-8")
    except (OSError, EOFError, ValueError, zlib.error):
        return None
    text = text.removeprefix("\ufeff")
    if "\0" in text or ("\r" in text and "\n" not in text):
        return None
    return PARSERS[kind.removesuffix(".gz")](text)


def _parsed_delimited(text: str, mark: str) -> list[Row] | None:
    if mark not in text.split("\n", 1)[0]:
        return None  # another delimiter is looked for
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    try:
        header, *rows = [cells for cells in reader if cells]
    except (csv.Error, ValueError):
        return None
    names = [name.strip() for name in header]
    wrong = len(set(names)) < len(names) or not all(names)
    if wrong or any(len(cells) != len(names) for cells in rows):
        return None
    return [dict(zip(names, cells, strict=True)) for cells in rows]


def _parsed_jsonl(text: str) -> list[Row] | None:
    try:
        found = [json.loads(line) for line in text.split("\n") if line.strip()]
    except (ValueError, RecursionError):
        return None
    return found if all(isinstance(one, dict) for one in found) else None


def _parsed_json(text: str) -> list[Row] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, dict):
        found = next((v for v in found.values() if isinstance(v, list)), None)
    return found if found and all(isinstance(one, dict) for one in found) else None


def _parsed_text(text: str) -> list[Row] | None:
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    return [{"text": line.removesuffix("\r")} for line in lines]


def _parsed_conll(text: str) -> list[Row] | None:
    if "\t" not in text.split("\n", 1)[0] or "-DOCSTART-" in text:
        return None
    rows: list[Row] = [{"tokens": [], "tags": []}]
    for line in text.split("\n"):
        line = line.removesuffix("\r")
        if not line.strip(" \t\r"):
            rows.append({"tokens": [], "tags": []})
            continue
        cells = line.split("\t")
        if len(cells) != 2 or (line.startswith("#") and cells[1] not in TAGS):
            return None  # it may be a comment
        rows[-1]["tokens"].append(cells[0])
        rows[-1]["tags"].append(cells[1])
    return [row for row in rows if row["tokens"]]


def _parsed_parquet(data: bytes) -> list[Row] | None:
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import read_table

    try:
        return list(read_table(BufferReader(data)).to_pylist())
    except (ArrowException, OSError, ValueError):
        return None


PARSERS: dict[str, Callable[[str], list[Row] | None]] = {
    "csv": lambda text: _parsed_delimited(text, ","),
    "tsv": lambda text: _parsed_delimited(text, "\t"),
    "jsonl": _parsed_jsonl,
    "json": _parsed_json,
    "txt": _parsed_text,
    "conll": _parsed_conll,
}
