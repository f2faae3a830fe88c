"""Files of vectors: NumPy's .npy, Parquet and JSON Lines, written and read a part at a time.

    .npy      float32 [rows, D], nothing else; its header is written again at the end, when the
              number of rows is known
    .parquet  the fields of the records, and ``vector``
    .jsonl    the same; a row that has no vector says why

Vectors stand in the order of the input. The first two have no place for a row without one.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hfkit.data.output import Output
from hfkit.data.record import Record
from hfkit.data.writer import to_json
from hfkit.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

VECTOR = "vector"
SUFFIXES = {".npy": "npy", ".parquet": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}
HEADER = 128  # bytes; room for any number of rows

Row = tuple[Record, "NDArray[Any] | None", str]  # a record, its vector or None, why there is none


class VectorFile(Protocol):
    """Takes rows with their vectors, in order."""

    def write(self, rows: Sequence[Row]) -> None:
        """Write some rows. Raises `InputError` for one that has no place here."""
        ...

    def close(self) -> None:
        """Write what belongs at the end."""
        ...

    def abandon(self) -> None:
        """Let go of everything after a failure; nothing more is written."""
        ...


def format_of(path: str | None) -> str:
    """The format that the name of an output stands for; standard output takes JSON Lines.

    >>> format_of("vectors.npy"), format_of(None)
    ('npy', 'jsonl')
    """
    if path in (None, "-"):
        return "jsonl"
    suffix = Path(path or "").suffix.lower()
    if suffix and suffix not in SUFFIXES:
        raise InputError("vectors are written as .npy, .parquet or .jsonl", place=path or "")
    return SUFFIXES.get(suffix, "jsonl")


def make_file(format: str, output: Output) -> VectorFile:
    """Return the writer of a format."""
    kinds: dict[str, Callable[[Output], VectorFile]] = {
        "npy": NpyFile,
        "parquet": ParquetFile,
        "jsonl": JsonLinesFile,
    }
    return kinds[format](output)


def check_names(record: Record, format: str) -> None:
    """Raise `InputError` where a field of the record has a name that is needed for the vector."""
    own = {"npy": (), "parquet": (VECTOR,), "jsonl": (VECTOR, "row", "error")}[format]
    for name in own:
        if name in record.fields:
            hint = "rename it, or write a .npy file"
            raise InputError(
                f'the input has a field "{name}" already', place=record.place, hint=hint
            )


class NpyFile:
    """One array; the header in front of it is filled in at the end."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._rows = 0
        self._width = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Append the vectors."""
        import numpy as np

        vectors = _all_vectors(rows)
        if not self._rows:
            self._width = len(vectors[0])
            self._output.write_bytes(self._header())
        self._output.write_bytes(np.ascontiguousarray(vectors, dtype="<f4").tobytes())
        self._rows += len(vectors)

    def close(self) -> None:
        """Write the number of rows."""
        header = self._header()
        if self._rows:
            self._output.rewrite(header)
        else:
            self._output.write_bytes(header)

    def abandon(self) -> None:
        """Nothing is held."""

    def _header(self) -> bytes:
        import numpy as np

        head = io.BytesIO()
        shape = (self._rows, self._width)
        described = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(head, described)
        magic, body = head.getvalue()[:8], head.getvalue()[10:].rstrip()
        padded = body.ljust(HEADER - 11) + b"\n"
        return magic + len(padded).to_bytes(2, "little") + padded


class JsonLinesFile:
    """One JSON object a line."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def write(self, rows: Sequence[Row]) -> None:
        """Append one line per row."""
        self._output.write("".join(self._line(*row) for row in rows))

    def close(self) -> None:
        """Every line is complete."""

    def abandon(self) -> None:
        """Nothing is held."""

    def _line(self, record: Record, vector: NDArray[Any] | None, error: str) -> str:
        if vector is None:
            return to_json({**record.fields, "row": record.row, "error": error}) + "\n"
        numbers = ", ".join(f"{number:.9g}" for number in vector.tolist())
        fields = to_json(record.fields)[:-1]
        return f'{fields}{", " if record.fields else ""}"{VECTOR}": [{numbers}]}}\n'


class ParquetFile:
    """One row group for each call; the kinds of the columns are those of the first one."""

    def __init__(self, output: Output) -> None:
        self._sink = _Sink(output)
        self._writer: Any = None

    def write(self, rows: Sequence[Row]) -> None:
        """Append one row group. Raises `InputError` for a field of another kind than at first."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        vectors = _all_vectors(rows)
        if self._writer is None:
            names = list(dict.fromkeys(name for record, _, _ in rows for name in record.fields))
            kinds = [(name, _kind([r.fields.get(name) for r, _, _ in rows])) for name in names]
            vector = (VECTOR, pyarrow.list_(pyarrow.float32(), len(vectors[0])))
            self._schema = pyarrow.schema([*kinds, vector])
            self._writer = ParquetWriter(self._sink, self._schema)
        for record, _, _ in rows:
            extra = next((name for name in record.fields if name not in self._schema.names), None)
            if extra is not None:
                raise _unfit(record, f'field "{extra}" is not in the first rows')
        columns = [_column(rows, field) for field in list(self._schema)[:-1]]
        flat = pyarrow.array(vectors.reshape(-1), type=pyarrow.float32())
        columns.append(pyarrow.FixedSizeListArray.from_arrays(flat, vectors.shape[1]))
        self._writer.write_table(pyarrow.table(columns, schema=self._schema))

    def close(self) -> None:
        """Write the foot. An input without a row makes an empty table."""
        import pyarrow
        from pyarrow.parquet import ParquetWriter

        if self._writer is None:
            schema = pyarrow.schema([(VECTOR, pyarrow.list_(pyarrow.float32()))])
            self._writer = ParquetWriter(self._sink, schema)
        self._writer.close()

    def abandon(self) -> None:
        """pyarrow complains of a writer that was never closed."""
        self._sink.closing = True
        if self._writer is not None:
            self._writer.close()


class _Sink(io.RawIOBase):
    """What pyarrow writes to: bytes, one after the other."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self.closing = False  # nothing is written any more

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = bytes(data)
        if not self.closing:
            self._output.write_bytes(content)
        return len(content)

    def tell(self) -> int:
        return self._output.size


def _column(rows: Sequence[Row], field: Any) -> Any:
    """One column of a row group. Raises `InputError` for another kind of value than at first."""
    import pyarrow

    cells = [record.fields.get(field.name) for record, _, _ in rows]
    if pyarrow.types.is_string(field.type):
        cells = [cell if cell is None or isinstance(cell, str) else to_json(cell) for cell in cells]
    try:
        return pyarrow.array(cells, type=field.type)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError) as error:
        problem = f'field "{field.name}" holds another kind of value than in the first rows'
        raise _unfit(rows[0][0], problem) from error


def _kind(values: Sequence[Any]) -> Any:
    """The Arrow type of a column; what is neither a text nor a number becomes JSON."""
    import pyarrow

    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pyarrow.bool_()
    if kinds == {int}:
        return pyarrow.int64()
    return pyarrow.float64() if kinds and kinds <= {int, float} else pyarrow.string()


def _all_vectors(rows: Sequence[Row]) -> NDArray[Any]:
    """The vectors of rows that must all have one."""
    import numpy as np

    for record, vector, error in rows:
        if vector is None:
            hint = "mend the row, or write a .jsonl file, which has a place for errors"
            raise InputError(error, place=record.place, hint=hint)
    return np.stack([vector for _, vector, _ in rows if vector is not None])


def _unfit(record: Record, problem: str) -> InputError:
    return InputError(problem, place=record.place, hint="write a .jsonl file")


def read_npy(path: str) -> NDArray[Any]:
    """Map a .npy file of vectors into memory. Raises `InputError` where it holds anything else."""
    import numpy as np

    try:
        found = np.load(Path(path).expanduser(), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).partition("\n")[0][:120]
        raise InputError(f"not a readable .npy file ({reason})", place=path) from error
    if found.ndim != 2 or found.dtype.kind != "f":
        shape = " x ".join(map(str, found.shape))
        problem = f"holds {found.dtype} {shape}; expected vectors: floats, rows x numbers"
        raise InputError(problem, place=path)
    return np.asanyarray(found)


def vector_of(record: Record) -> NDArray[Any]:
    """The vector that stands in a record. Raises `InputError`."""
    import numpy as np

    try:
        vector = np.array(record.fields.get(VECTOR), dtype=np.float32)
    except (TypeError, ValueError):
        vector = np.zeros(0, dtype=np.float32)
    if vector.ndim != 1 or not vector.size or not np.isfinite(vector).all():
        raise InputError(f'field "{VECTOR}": expected a list of numbers', place=record.place)
    return vector
