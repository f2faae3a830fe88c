"""Parquet through pyarrow, a batch at a time; rows have numbers, not lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hfkit.data.display import shown
from hfkit.data.formats.class_label import class_names, with_names
from hfkit.data.lines import STDIN, read_bytes
from hfkit.data.record import Record
from hfkit.errors import InputError

BATCH = 1024
LARGEST = 1 << 30  # bytes; only for what must be held in memory: stdin and gzip


def read(path: str) -> Iterator[Record]:
    """Yield the rows as Python values. Raises `InputError` for a broken or empty file."""
    from pyarrow import ArrowException, BufferReader
    from pyarrow.parquet import ParquetFile

    in_memory = path == STDIN or path.endswith(".gz")
    row = 0
    try:
        with ParquetFile(BufferReader(read_bytes(path, LARGEST)) if in_memory else path) as file:
            columns = file.schema_arrow.names
            twice = next((name for name in columns if columns.count(name) > 1), None)
            if twice is not None:
                raise InputError(f"the column {shown(twice)} stands twice", place=path)
            names = class_names(_features(file.schema_arrow.metadata))
            for batch in file.iter_batches(batch_size=BATCH):
                for fields in batch.to_pylist():
                    row += 1
                    yield Record(with_names(fields, names), row, path)
    except (ArrowException, OSError, UnicodeDecodeError) as error:
        reason = repr(str(error).partition("\n")[0][:120])[1:-1]  # it may quote bytes of the file
        raise InputError(f"not a readable Parquet file ({reason})", place=path) from error
    if not row:
        raise InputError("holds no rows", place=path)


def _features(metadata: Mapping[bytes, bytes] | None) -> Mapping[str, Any]:
    """Return the features that `datasets` wrote beside the schema; empty where there are none."""
    try:
        described = json.loads((metadata or {}).get(b"huggingface", b"{}"))
        features = described["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    return features if isinstance(features, dict) else {}
