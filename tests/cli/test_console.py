"""Lines and tables: one line each, plain in a pipe, whole on a narrow terminal."""

from __future__ import annotations

import io

import pytest

from hfkit.cli.console import is_terminal, number, printable, say, show_scores
from hfkit.metrics.statistics import Scores


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def scores(classes: int = 2) -> Scores:
    labels = [f"label {index}" for index in range(classes)]
    per_class = [
        {
            "label": label,
            "support": 5,
            "predicted": 5,
            "precision": 0.5,
            "recall": index / classes,
            "f1": index / classes,
        }
        for index, label in enumerate(labels)
    ]
    matrix = [[int(row == column) * 7 for column in range(classes)] for row in range(classes)]
    return Scores(
        values={"f1_macro": 0.25, "accuracy": 0.75},
        count=20,
        headline="accuracy",
        intervals={"accuracy": (0.5, 0.9)},
        baseline={"accuracy": 0.5, "f1_macro": 0.1},
        tables={
            "per_class": per_class,
            "confusion_matrix": {"labels": labels, "matrix": matrix},
        },
        resamples=1000,
    )


def shown(found: Scores, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    show_scores(found, stream)
    return stream.getvalue()


def test_scores_stand_beside_interval_and_baseline_the_headline_first() -> None:
    lines = shown(scores()).splitlines()
    assert lines[0] == "20 rows; 95% intervals from 1000 resamples"
    assert lines[1].split() == ["score", "value", "low", "high", "baseline"]
    assert lines[2].split() == ["accuracy", "0.7500", "0.5000", "0.9000", "0.5000"]
    assert lines[3].split() == ["f1_macro", "0.2500", "0.1000"]


def test_a_pipe_gets_plain_text_without_trailing_blanks() -> None:
    text = shown(scores())
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())
    assert "label 1" in text and "right \\ predicted" in text


def test_a_terminal_gets_colour_unless_it_is_unwanted(monkeypatch) -> None:
    assert "\x1b[" in shown(scores(), Terminal())
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in shown(scores(), Terminal())
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[3" not in shown(scores(), Terminal())  # bold is no colour


def test_many_classes_show_the_weakest_and_no_matrix() -> None:
    text = shown(scores(40))
    assert "label 0 " in text and "label 39" not in text
    assert "and 10 labels with a higher F1" in text
    assert "predicted" not in text.replace("precision", "")


@pytest.mark.parametrize("width", ["30", "60", "200"])
def test_any_width_shows_all_numbers(width: str, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", width)
    text = shown(scores(12))
    assert max(map(len, text.splitlines())) <= int(width)
    assert text.count("7") >= 12


def test_labels_cannot_move_the_cursor_or_add_markup() -> None:
    found = scores()
    found.tables["per_class"][0]["label"] = "[bold]x[/bold]\x1b[2J\n:smile:"
    text = shown(found)
    assert "[bold]x[/bold]\\x1b[2J\\n:smile:" in text


def test_regression_has_no_classes() -> None:
    found = Scores(values={"pearson": 0.5, "mse": 1234.5}, count=3, headline="pearson")
    assert shown(found).splitlines()[0] == "3 rows"
    assert "1234.5" in shown(found)


def test_a_line_is_a_line(capsys) -> None:
    say("note", "a\nb\u202ec\u2028d")
    assert capsys.readouterr().err == "hfkit: note: a\\nb\\u202ec\\u2028d\n"


def test_ordinary_text_is_left_alone() -> None:
    text = "naïve 中文 🙂 … 'x'"
    assert printable(text) == text


def test_streams_are_asked_one_by_one(monkeypatch) -> None:
    assert is_terminal(Terminal()) and not is_terminal(io.StringIO()) and not is_terminal(None)
    closed = Terminal()
    closed.close()
    assert not is_terminal(closed)


def test_numbers() -> None:
    assert [number(0.12345), number(99.0), number(100.0), number(3)] == [
        "0.1235",
        "99.0000",
        "100.0",
        "3",
    ]
