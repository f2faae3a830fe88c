"""Files that look broken and are not, and rows that other readers change without a word."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hfkit.cli.app import run as command_line
from hfkit.config import Columns, Reading
from hfkit.data.checks.duplicates import KnownTexts, find_overlap
from hfkit.data.dataset import load_rows

ROLES = {"text": "the text", "label": "the label"}
# Other readers make None, numbers or formulas of these, or cut a line in two.
ODD = [
    "NA", "N/A", "null", "nan", "None", "1e999", "-0", "007", "=1+1", "true", "#", "\\N", "1_000",
    "a\u2028b", "a\x0bb", "a\x0cb", "a\x85b", "😀👍🏽", "שלום", "مرحبا بالعالم", "  two  ", '"',
    '""', ",", "'", "\\", "{}", "[]", "a\nb", "a\r\nb", "\u202eabc", "a\u200bb", "ﬁ", "①",
]  # fmt: skip


def as_csv(texts: list[str], mark: str = ",") -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=mark, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(["text", "label"])
    writer.writerows([text, str(number % 2)] for number, text in enumerate(texts))
    return out.getvalue()


def as_records(texts: list[str]) -> list[dict[str, str]]:
    return [{"text": text, "label": str(number % 2)} for number, text in enumerate(texts)]


def as_jsonl(texts: list[str]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in as_records(texts))


WRITERS: dict[str, Callable[[list[str]], str]] = {
    "csv": as_csv,
    "tsv": lambda texts: as_csv(texts, "\t"),
    "jsonl": as_jsonl,
    "json": lambda texts: json.dumps(as_records(texts), ensure_ascii=False),
}


def texts_of(path: Path) -> list[str]:
    rows = load_rows(str(path), Reading(), Columns(), ROLES).rows
    assert [row["label"] for row in rows] == [str(number % 2) for number in range(len(rows))]
    return [row["text"] for row in rows]


@pytest.mark.parametrize("kind", WRITERS)
def test_odd_texts_come_out_as_they_stand_in_the_file(
    kind: str, tmp_path: Path, measured: Callable[..., None]
) -> None:
    path = tmp_path / f"train.{kind}"
    path.write_bytes(WRITERS[kind](ODD).encode())
    changed = sum(a != b for a, b in zip(texts_of(path), ODD, strict=True))
    measured("D2", f"odd texts in {kind}", texts=len(ODD), changed=changed)
    assert changed == 0


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_marks_line_ends_and_a_line_of_a_million_characters_are_accepted(
    kind: str, ends: str, mark: str, tmp_path: Path
) -> None:
    texts = ["one", "wörd " * 200_000, "zwei 😀", "three"]
    path = tmp_path / f"train.{kind}"
    path.write_bytes((mark + WRITERS[kind](texts)).replace("\n", ends).encode())
    assert texts_of(path) == texts


def test_a_text_longer_than_the_model_is_cut_and_said_so(
    tiny_classifier_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    measured: Callable[..., None],
) -> None:  # fmt: skip
    path = tmp_path / "long.jsonl"
    path.write_text(as_jsonl(["rain", "the old oven " * 80_000, "sun"]))
    command = ["predict", str(tiny_classifier_folder), str(path), "--on-long", "truncate"]
    assert command_line(command) == 0
    out, err = capfd.readouterr()
    found = [json.loads(line)["prediction"].get("truncated", False) for line in out.splitlines()]
    measured("R8", "a text of a million characters", rows=3, cut=sum(found), crashes=0)
    assert found == [False, True, False]
    assert "1 of 3 texts are longer than the model reads and were cut" in err


def test_planted_copies_are_all_found(
    counts: Callable[[int, int], int], measured: Callable[..., None]
) -> None:
    rows = counts(5_000, 100_000)
    train = [(f"Text number {number}, of many",) for number in range(rows)]
    other = [(f"another one {number}",) for number in range(rows // 10)]
    planted = [train[number] for number in range(0, rows, 100)]
    half = len(planted) // 2
    other += planted[:half] + [(f" {text.upper()}\t",) for (text,) in planted[half:]]
    found = find_overlap(KnownTexts.of(train), KnownTexts.of(other))
    measured("D10", "copies planted, 1 %", planted=len(planted), found=found.same + found.alike)
    assert (found.same, found.alike) == (half, len(planted) - half)
