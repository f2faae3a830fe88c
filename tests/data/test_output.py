"""A file has its name only when it is whole; a failure says what failed."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from hfkit.data.output import open_output
from hfkit.errors import InputError, InUseError, ResourceError


def test_the_name_appears_at_the_end(tmp_path):
    path = tmp_path / "out.jsonl"
    with open_output(str(path)) as output:
        output.write("né\n")
        assert not path.exists()
        assert (tmp_path / "out.jsonl.part").read_text("utf-8") == "né\n"
    assert path.read_bytes() == "né\n".encode()
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]


def test_a_file_is_not_overwritten_unasked(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("old\n")
    with pytest.raises(InputError, match="exists") as caught, open_output(str(path)):
        pass
    assert "--overwrite" in str(caught.value)
    with open_output(str(path), overwrite=True) as output:
        output.write("new\n")
        assert path.read_text() == "old\n"
    assert path.read_text() == "new\n"


def test_a_file_that_appeared_meanwhile_is_kept(tmp_path):
    path = tmp_path / "out.jsonl"
    with pytest.raises(InputError), open_output(str(path)) as output:
        output.write("mine\n")
        path.write_text("theirs\n")
    assert path.read_text() == "theirs\n"
    assert (tmp_path / "out.jsonl.part").read_text() == "mine\n"


def test_after_a_failure_the_lines_so_far_are_kept_and_named(tmp_path, caplog):
    path = tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt), open_output(str(path)) as output:
        output.write("one\n")
        raise KeyboardInterrupt
    assert not path.exists()
    assert (tmp_path / "out.jsonl.part").read_text() == "one\n"
    assert "out.jsonl.part" in caplog.text
    with open_output(str(path)) as output:  # the next run starts anew
        output.write("two\n")
    assert path.read_text() == "two\n"
    assert (tmp_path / "out.jsonl.part.old-1").read_text() == "one\n"


def test_a_name_that_cannot_be_one_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "away").symlink_to(tmp_path / "nowhere" / "file")
    for name, says in ((str(tmp_path / "loop"), "--output"), ("a\0b", "--output"),
                       (str(tmp_path / "away"), "nowhere"), ("", "--output")):  # fmt: skip
        with pytest.raises(InputError, match=says), open_output(name):
            pass


def test_a_failure_before_the_first_line_leaves_nothing(tmp_path):
    with pytest.raises(InputError), open_output(str(tmp_path / "out")):
        raise InputError("no such model")
    assert [path.name for path in tmp_path.iterdir()] == []


def test_one_process_at_a_time(tmp_path):
    path = str(tmp_path / "out")
    with open_output(path) as output:
        output.write("one\n")
        with pytest.raises(InUseError), open_output(path):
            pass
        output.write("two\n")
    assert Path(path).read_text() == "one\ntwo\n"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match="does not exist"), open_output(str(tmp_path / "no" / "f")):
        pass


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InputError, match="folder"), open_output(str(tmp_path), True):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_device_is_one_line():
    with pytest.raises(ResourceError, match="no space left"), open_output("/dev/full") as output:
        output.write("x\n")
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)


def test_standard_output_replaced_by_a_stream(capsys):
    with open_output(None) as output:
        output.write("x\n")
        assert not output.is_terminal
    assert capsys.readouterr().out == "x\n"


def test_standard_output_itself(capfd):
    with open_output("-") as output:
        output.write("né\n")
    assert capfd.readouterr().out == "né\n"


def test_a_closed_standard_output_is_named(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(ResourceError, match="closed"), open_output(None):
        pass


def test_a_reader_that_is_gone_is_no_resource_error():
    read, write = os.pipe()
    os.close(read)
    from hfkit.data.output import Output

    try:
        with pytest.raises(BrokenPipeError):
            Output("pipe", write).write("x\n")
    finally:
        os.close(write)
