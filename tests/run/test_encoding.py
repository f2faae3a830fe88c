"""Encoded rows come back as they went in, from memory and from files."""

from __future__ import annotations

import resource
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import toy_rows, write_csv

from hfkit.api import finetune
from hfkit.errors import ResourceError
from hfkit.run import encoding
from hfkit.run.encoding import Packed

ROWS = st.fixed_dictionaries(
    {
        "input_ids": st.lists(st.integers(0, 2**31 - 1), max_size=5),
        "labels": st.integers(-100, 9) | st.floats(-9, 9, width=32),
        "_row": st.integers(0, 9),
    }
)


@given(st.lists(st.lists(ROWS, max_size=4), max_size=5), st.integers(0, 200))
def test_rows_from_files_are_those_from_memory(tmp_path_factory, chunks, large):
    place = tmp_path_factory.getbasetemp()
    whole = [row for chunk in chunks for row in chunk]
    in_memory, mapped = Packed(chunks), Packed(iter(chunks), place, large)
    assert list(in_memory) == list(mapped) == whole
    assert {key: array.dtype for key, array in mapped.values.items()} == {
        key: array.dtype for key, array in in_memory.values.items()
    }
    if whole:
        assert mapped.lengths.tolist() == [len(row["input_ids"]) for row in whole]


def test_large_arrays_are_mapped_and_leave_nothing(tmp_path):
    rows = [{"input_ids": [1, 2, 3], "_row": number} for number in range(100)]
    packed = Packed([rows[:50], rows[50:]], tmp_path, large=500)
    assert isinstance(packed.values["input_ids"].base, np.memmap)
    assert not isinstance(packed.values["_row"].base, np.memmap)
    assert not list(tmp_path.iterdir())  # the file has no name: nothing can be left behind


@contextmanager
def largest_file(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said(tmp_path):
    rows = [{"input_ids": [1] * 100} for _ in range(100)]
    with largest_file(8192), pytest.raises(ResourceError, match="disk full") as error:
        Packed([rows], tmp_path, large=500)
    assert error.value.exit_code == 4


def test_a_run_on_mapped_rows_is_the_same_run(tmp_path, tiny_base_folder, monkeypatch):
    source = write_csv(tmp_path / "rows.csv", toy_rows(40))
    weights = []
    for name, chunk, large in (("memory", 4096, encoding.LARGE), ("files", 7, 0)):
        monkeypatch.setattr(encoding, "CHUNK", chunk)
        monkeypatch.setattr(encoding, "LARGE", large)
        finetune(model=str(tiny_base_folder), train=str(source), output=str(tmp_path / name),
                 max_steps=3)  # fmt: skip
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]
