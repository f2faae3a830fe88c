"""--on-bad-row: the first bad row ends the command, or all are left out, counted and listed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from toys import read_jsonl, toy_rows

Command = Callable[..., tuple[int, str, str]]

GOOD = 60
# What stands between the good rows, and what is said of it.
BAD = [
    ("rain,storm,weather", "3 fields, the header has 2 (an unquoted comma?)"),
    (",music", "column 'text': the text is empty"),
    ("the old oven,", "the label is missing"),
    ("the\0oven,kitchen", "a NUL character in column 4"),
    ('the "old oven,kitchen', "a quotation mark inside an unquoted field (column 5)"),
    (b"the caf\xe9,kitchen", "byte 0xe9 in column 8 is not valid in this encoding"),
]
COLUMNS = [None, None, None, 4, 5, 8]


def write_mixed(path: Path, every: int = 10) -> dict[int, str]:
    """Good rows with a bad one after each `every`; returns the lines of the bad ones."""
    lines: list[bytes] = [b"text,label"]
    bad = {}
    for number, row in enumerate(toy_rows(GOOD)):
        lines.append(f"{row['text']},{row['label']}".encode())
        if number % every == every - 1:
            line, reason = BAD[len(bad) % len(BAD)]
            lines.append(line if isinstance(line, bytes) else line.encode())
            bad[len(lines)] = reason
    path.write_bytes(b"\n".join(lines) + b"\n")
    return bad


def test_skipped_rows_are_all_accounted_for(
    hfkit: Command, tiny_base_folder: Path, tmp_path: Path
) -> None:
    train, out = tmp_path / "train.csv", tmp_path / "out"
    bad = write_mixed(train)
    command = [
        "finetune", train, "-m", tiny_base_folder, "-o", out, "--max-steps", 1,
        "--on-bad-row", "skip",
    ]  # fmt: skip
    code, _, stderr = hfkit(*command)
    assert code == 1, stderr
    assert f"{train}: {len(bad)} of {GOOD + len(bad)} rows are bad and left out" in stderr
    listed = read_jsonl(out / "rejected.jsonl")
    assert [one["line"] for one in listed] == list(bad)
    assert [one.get("column") for one in listed] == COLUMNS
    assert all(one["reason"].startswith(bad[one["line"]]) for one in listed)
    assert {one["file"] for one in listed} == {str(train)}
    manifest = json.loads((out / "manifest.json").read_text())
    kept = sum(part["rows"] for part in manifest["data"].values())
    assert kept + len(listed) == GOOD + len(bad)
    assert "rejected.jsonl" in manifest["files"]
    assert json.loads((out / "metrics.json").read_text())["rejected"] == len(bad)
    code, _, stderr = hfkit(*command)
    assert code == 1
    assert "this run is finished; nothing to train" in stderr


def test_bad_rows_of_the_validation_data_are_listed_too(
    hfkit: Command, tiny_base_folder: Path, tmp_path: Path
) -> None:
    train, validation, out = (tmp_path / name for name in ("train.csv", "dev.csv", "out"))
    write_mixed(train, every=GOOD + 1)
    bad = write_mixed(validation, every=30)
    base = ["finetune", train, "-m", tiny_base_folder, "--validation", validation, "-o", out]
    code, _, stderr = hfkit(*base, "--max-steps", 1)
    assert code == 2
    assert not out.exists()
    code, _, stderr = hfkit(*base, "--max-steps", 1, "--on-bad-row", "skip")
    assert code == 1, stderr
    assert [(one["file"], one["line"]) for one in read_jsonl(out / "rejected.jsonl")] == [
        (str(validation), line) for line in bad
    ]


def test_without_a_bad_row_nothing_is_listed_and_the_choice_is_part_of_the_run(
    hfkit: Command, tiny_base_folder: Path, tmp_path: Path
) -> None:
    train, out = tmp_path / "train.csv", tmp_path / "out"
    write_mixed(train, every=GOOD + 1)
    command = ["finetune", train, "-m", tiny_base_folder, "-o", out, "--max-steps", 1]
    assert hfkit(*command, "--on-bad-row", "skip")[0] == 0
    assert (out / "rejected.jsonl").read_bytes() == b""
    code, _, stderr = hfkit(*command)
    assert code == 2
    assert "holds another run (on_bad_row was skip, now error)" in stderr


def test_the_first_bad_rows_are_named_and_the_others_counted(
    hfkit: Command, tiny_base_folder: Path, tmp_path: Path
) -> None:
    train = tmp_path / "train.csv"
    rows = [f"{row['text']},{row['label']}" for row in toy_rows(GOOD)]
    bad = {}
    for number in range(1, GOOD, 2):
        rows[number], bad[number + 2] = BAD[0]
    train.write_text("\n".join(["text,label", *rows]))
    assert len(bad) == 30
    code, _, stderr = hfkit("finetune", train, "-m", tiny_base_folder, "-o", tmp_path / "out")
    assert code == 2
    *others, last = [line for line in stderr.splitlines() if f"{train}:" in line]
    first = next(iter(bad))
    assert last.startswith(f"hfkit: error: {train}:{first}: {bad[first]}")
    assert all(line.startswith("hfkit: warning: ") for line in others)
    assert last.endswith("; 29 more rows are bad; --on-bad-row skip leaves them out")
    assert len(others) == 19
    assert "hfkit: warning: … and 10 more bad rows" in stderr


def test_one_bad_row_names_the_way_out_where_there_is_one(
    hfkit: Command, tiny_base_folder: Path, tmp_path: Path
) -> None:
    train = tmp_path / "train.csv"
    train.write_text("text,label\nrain,a\nsun,b\n,a\ncloud,b\n")
    command = ["finetune", train, "-m", tiny_base_folder, "-o", tmp_path / "out"]
    code, _, stderr = hfkit(*command)
    assert code == 2
    assert stderr.rstrip().endswith(
        f"{train}:4: column 'text': the text is empty; fill it in, or take the row out; "
        "--on-bad-row skip leaves it out"
    )
    assert "--on-bad-row" not in hfkit("convert", train, "-o", tmp_path / "rows.jsonl")[2]


def test_a_file_of_bad_rows_alone_is_an_error(
    hfkit: Command, tiny_base_folder: Path, tmp_path: Path
) -> None:
    train = tmp_path / "train.csv"
    train.write_text("text,label\na,\nb,\nc,\n")
    command = ["finetune", train, "-m", tiny_base_folder, "-o", tmp_path / "out"]
    code, _, stderr = hfkit(*command, "--on-bad-row", "skip")
    assert code == 2
    assert f"hfkit: error: {train}: none of 3 rows can be used" in stderr
    assert not (tmp_path / "out").exists()


def test_evaluate_lists_what_it_leaves_out_beside_the_scores(
    hfkit: Command, tiny_classifier_folder: Path, tmp_path: Path
) -> None:
    data, scores = tmp_path / "test.csv", tmp_path / "scores.json"
    bad = write_mixed(data)
    command = ["evaluate", tiny_classifier_folder, data, "--json"]
    assert hfkit(*command)[0] == 2
    code, stdout, stderr = hfkit(*command, "--on-bad-row", "skip", "-o", scores)
    assert code == 1, stderr
    found = json.loads(stdout)
    assert (found["count"], found["rejected"]) == (GOOD, len(bad))
    listed = read_jsonl(tmp_path / "scores.rejected.jsonl")
    assert [one["line"] for one in listed] == list(bad)
    assert hfkit(*command, "--on-bad-row", "skip", "-o", scores)[0] == 2  # it exists


def test_labels_the_model_does_not_know_are_never_left_out(
    hfkit: Command, tiny_classifier_folder: Path, tmp_path: Path
) -> None:
    data = tmp_path / "test.csv"
    data.write_text("text,label\nrain,weather\na goal,sports\n")
    code, _, stderr = hfkit("evaluate", tiny_classifier_folder, data, "--on-bad-row", "skip")
    assert code == 2
    assert f'{data}:3: label "sports" was not seen at training' in stderr


@pytest.mark.parametrize("skip", [False, True])
def test_rows_without_lines_keep_their_number(
    skip: bool, hfkit: Command, tiny_classifier_folder: Path, tmp_path: Path
) -> None:
    """A row that is left out before must not shift the numbers of those after it."""
    import pyarrow
    from pyarrow import parquet

    rows = [{"text": row["text"], "label": row["label"]} for row in toy_rows(8)]
    rows[2] = {"text": None, "label": None}  # nothing in it: not used, not bad
    rows[6]["label"] = None
    data = tmp_path / "test.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), data)
    command = ["evaluate", tiny_classifier_folder, data, "-o", tmp_path / "scores.json"]
    code, _, stderr = hfkit(*command, *(["--on-bad-row", "skip"] if skip else []))
    assert code == (1 if skip else 2)
    assert f"{data}: row 7: the label is missing" in stderr
    if skip:
        (one,) = read_jsonl(tmp_path / "scores.rejected.jsonl")
        assert (one["row"], "line" in one) == (7, False)


def test_copies_of_training_texts_are_counted_with_the_first_place(
    hfkit: Command, tiny_base_folder: Path, tmp_path: Path
) -> None:
    rows = toy_rows(80)
    train, dev = tmp_path / "train.csv", tmp_path / "dev.csv"
    lines = [f"{row['text']} {n},{row['label']}" for n, row in enumerate(rows)]
    train.write_text("\n".join(["text,label", *lines[:60]]) + "\n")
    planted = [lines[5], lines[9].upper().replace("WEATHER", "weather")]
    texts = [line.rpartition(",") for line in planted]
    copied = [f"{texts[0][0]},music", f"  {texts[1][0]},music"]
    dev.write_text("\n".join(["text,label", *lines[60:], *copied]) + "\n")
    base = ["finetune", train, "-m", tiny_base_folder, "--validation", dev, "--dry-run"]
    code, _, stderr = hfkit(*base)
    assert code == 0, stderr
    assert (
        "1 of 22 validation rows have a text that is in the training data, "
        f"1 more but for case, white space or Unicode form (the first: {dev}:22)"
    ) in stderr
