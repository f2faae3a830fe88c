"""From label cells to names."""

from __future__ import annotations

import pytest

from hfkit.config import Columns
from hfkit.data.labels import (
    LabelNames,
    LabelReader,
    check_near_duplicates,
    near_duplicates,
    read_label_names,
)
from hfkit.errors import InputError

ABC = LabelNames(("a", "b", "c"))


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("pos", "pos"),
        (" pos ", "pos"),
        ("NA", "NA"),
        ("007", "007"),
        ("5.000", "5.000"),
        (3, "3"),
        (1.0, "1"),
        (2.5, "2.5"),
        (True, "true"),
        ([1, "x"], ["1", "x"]),
        ([], []),
        (["x", "x"], ["x"]),
    ],
)
def test_cells(cell, name):
    assert LabelReader().read(cell) == name


def test_a_delimiter_gives_lists():
    reader = LabelReader(ABC, ",")
    assert reader.read("0, 2") == ["a", "c"]
    assert reader.read("1") == ["b"]
    assert reader.read("") == []
    with pytest.raises(InputError, match="one of the labels is empty"):
        reader.read("0,,1")


@pytest.mark.parametrize("cell", [None, "", "  ", float("nan")])
def test_a_missing_label(cell):
    with pytest.raises(InputError, match="the label is missing"):
        LabelReader().read(cell)


def test_numbers_count_from_one_where_the_data_say_so(caplog):
    caplog.set_level("INFO")
    reader = LabelReader(ABC)
    assert reader.learn_base(["3", 1, 2.0]) == 1
    assert [reader.read(cell) for cell in ("3", 1, "b")] == ["c", "a", "b"]
    assert caplog.messages == ["label 1 is 'a', the first of the label names"]
    with pytest.raises(InputError, match="label 0 has no name; the names are for 1 to 3"):
        reader.read(0)


def test_numbers_count_from_zero_where_it_occurs():
    reader = LabelReader(ABC)
    assert reader.learn_base([0, 3]) == 0
    with pytest.raises(InputError, match="label 3 has no name"):
        reader.read(3)


def test_files_of_names(tmp_path):
    plain, numbered = tmp_path / "names.txt", tmp_path / "mapping.txt"
    plain.write_text("World\nSports \n\n")
    numbered.write_text("5\tanger\n2\tjoy\n")
    assert read_label_names(str(plain)) == LabelNames(("World", "Sports"))
    reader = LabelReader.from_settings(Columns(label_names=str(numbered)))
    assert reader.learn_base(["2", "5"]) == 0
    assert [reader.read("2"), reader.read(5)] == ["joy", "anger"]
    numbered.write_text("1\tanger\n1\tjoy\n")
    with pytest.raises(InputError, match=r"mapping.txt:2: number 1 stands on line 1 already"):
        read_label_names(str(numbered))
    with pytest.raises(InputError, match="no such file"):
        read_label_names(str(tmp_path / "absent.txt"))


def test_near_duplicates_are_a_warning(caplog):
    assert near_duplicates(["pos", "neg"]) == []
    check_near_duplicates({"pos": 0, "Pos": 1, "neg": 2, "ＰＯＳ": 3})
    assert caplog.messages == ["labels that may be one and the same: 'Pos', 'pos', 'ＰＯＳ'"]
    with pytest.raises(InputError, match=r"x.csv:5: labels that may be one and the same: 'Pos'"):
        check_near_duplicates({"pos": 0, "Pos": 3}, lambda row: f"x.csv:{row + 2}")


def test_white_space_is_counted(caplog):
    caplog.set_level("INFO")
    reader = LabelReader()
    for cell in (" pos", "neg", "neg\n"):
        reader.read(cell)
    reader.tell()
    assert caplog.messages == ["white space around 2 labels was removed"]
