"""Reports: the numbers of `evaluate`, hostile texts as texts, and pages as a browser sees them."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from browsing import DESKTOP, PHONE, needs_browser, visit
from every_task import TASKS, arguments, write_rows
from toys import read_jsonl, write_base_model, write_generator, write_writer

import hfkit
from hfkit.cli.app import run
from hfkit.errors import InputError
from hfkit.replacing import replace
from hfkit.reports import charts
from hfkit.reports.curves import Ranked
from hfkit.reports.material import Slice

VOID = {"meta", "input", "br", "path", "circle", "use", "rect"}
HOSTILE = [
    '<script>document.title="owned"</script>',
    '</p></main><style>*{display:none}</style><img src=x onerror="document.title=1">',
    "שלום עולם \u202e reversed \u2066 open",
    "他昨天去了北京大学 and \x00 \x1b[31m",
    "long " * 50_000,
    "$title ${script} {{ x }} %s & &amp; $x^2$",
]


class Checked(HTMLParser):
    """Parses a page, and finds elements that are not closed and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.ids: list[str] = []
        self.inline: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.inline += [name for name, _ in attrs if name == "style" or name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parsed(path: Path) -> Checked:
    page = Checked()
    page.feed(path.read_text("utf-8"))
    assert page.open == []
    assert page.inline == []
    assert len(page.ids) == len(set(page.ids))
    return page


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of every task, and its rows."""
    folder = tmp_path_factory.mktemp("runs")
    write_base_model(folder / "bert")
    write_generator(folder / "gpt2")
    write_writer(folder / "t5")
    write_rows(folder)
    for task in TASKS:
        assert run(arguments(folder, task, folder / "out" / task)) == 0
    return folder


@pytest.fixture(scope="module")
def pages(runs: Path) -> Path:
    """The report of each run, on the data that it was validated on."""
    for task in TASKS:
        assert run(["report", str(runs / "out" / task), "-q"]) == 0
    return runs / "out"


@pytest.fixture
def in_folder(runs: Path) -> Iterator[Path]:
    before = Path.cwd()
    os.chdir(runs)
    yield runs
    os.chdir(before)


@pytest.mark.parametrize("task", TASKS)
def test_a_report_has_the_numbers_that_evaluate_prints(
    task: str, runs: Path, pages: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    page = parsed(pages / task / "report.html")
    capfd.readouterr()
    assert run(["evaluate", str(pages / task), str(runs / f"{task}.jsonl"), "-q"]) == 0
    printed = json.loads(capfd.readouterr().out)
    assert printed["values"]
    for name, value in printed["values"].items():
        assert name in page.texts
        assert (f"{value:.4f}" if abs(value) < 100 else f"{value:.1f}") in page.texts
    whole = " ".join(page.texts)
    assert "unchanged since" in whole
    sealed = json.loads((pages / task / "manifest.json").read_text("utf-8"))
    assert sealed["data"]["validation"]["sha256"] in whole
    assert f"max_steps: {6}" in whole


@pytest.mark.parametrize("task", ["classification", "ner"])
def test_the_same_report_has_the_same_bytes(task: str, pages: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.html"
    assert run(["report", str(pages / task), "-q", "-o", str(again)]) == 0
    assert again.read_bytes() == (pages / task / "report.html").read_bytes()


def test_nothing_is_overwritten_unasked(pages: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["report", str(pages / "qa"), "-q"]
    before = (pages / "qa" / "report.html").read_bytes()
    assert run(command) == 2
    assert "the file exists" in capfd.readouterr().err
    assert (pages / "qa" / "report.html").read_bytes() == before
    assert run([*command, "--overwrite"]) == 0


def test_data_that_have_changed_are_not_taken(
    runs: Path, pages: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = runs / "classification.jsonl"
    before = data.read_text("utf-8")
    data.write_text(before.replace("storm", "stork"), "utf-8")
    try:
        code = run(["report", str(pages / "classification"), "-o", str(tmp_path / "x.html")])
    finally:
        data.write_text(before, "utf-8")
    said = capfd.readouterr().err
    assert code == 2
    assert "not what they were" in said
    assert "name a file with the right answers" in said
    assert not (tmp_path / "x.html").exists()


def test_a_report_says_what_was_calibrated(pages: Path, runs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pages / "classification", tmp_path / "run"))
    part = {
        "decisions": {"temperature": 1.25, "abstain_below": 1.0},
        "fitted_on": {"data": "validation.jsonl", "rows": 30},
        "calibration": {
            "set": ["temperature", "abstain_below"], "data": "held.jsonl", "rows": 60,
            "before": {"ece": 0.2}, "after": {"ece": 0.1},
            "abstaining": {"held_out": {"precision": 0.9, "coverage": 0.5}},
        },
    }  # fmt: skip
    replace(folder, "decisions.json", json.dumps(part).encode())
    rows = runs / "classification.jsonl"
    made = hfkit.report(folder, rows, output=tmp_path / "x.html", quiet=True)
    whole = " ".join("".join(parsed(Path(made.path)).texts).split())
    assert "temperature of the confidences1.25held.jsonl, 60 rows, by hfkit calibrate" in whole
    withheld = f"less sure than 1: of {made.rows} of these {made.rows} rows"
    assert f"withholds answers that are {withheld}" in whole
    assert "0.2000 before, 0.1000 after" in whole and "90.0% of these right" in whole
    before = (pages / "classification" / "report.html").read_text("utf-8")
    assert "hfkit calibrate" not in before


def test_entities_are_counted_as_entities(pages: Path) -> None:
    assert "entities" in parsed(pages / "ner" / "report.html").texts


def test_charts_say_what_they_show() -> None:
    slices = [Slice("length", name, count, 0.9) for name, count in (("1", 7), ("2", 13), ("3", 9))]
    lengths = charts.by_length(slices, "accuracy")
    assert lengths is not None and lengths.told.endswith("in 3 groups of 7 to 13 rows")
    one = Ranked([0.5, 0.5], [True, False], 2)
    several = Ranked([0.9, 0.5], [True, True], 2)
    point = charts.precision_recall({"x": one})
    line = charts.precision_recall({charts.ALL: several, "x": several})
    assert point is not None and line is not None
    assert "fill-one" in point.svg and "fill-one" not in line.svg  # the marker of a point
    assert "micro" in line.told and "micro" not in point.told
    sure = charts.calibration([0.2, 0.3], [True, True], "answers")
    assert sure is not None and "below the line" in sure.told and "above it" in sure.told


def hostile_rows(folder: Path) -> Path:
    path = folder / "hostile<b>.jsonl"
    rows = [  # each text with either label, so that one of its answers is wrong
        {"text": text, "label": "ab"[n // len(HOSTILE)], "who": f"<i>{n % 3}</i>"}
        for n, text in enumerate(HOSTILE * 2)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture(scope="module")
def hostile(pages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on texts that want to be more than texts."""
    folder = tmp_path_factory.mktemp("hostile")
    made = hfkit.report(
        pages / "classification", hostile_rows(folder), output=folder / "page.html", slice=["who"],
        quiet=True,
    )  # fmt: skip
    assert made.rows == 2 * len(HOSTILE)
    return folder / "page.html"


def test_texts_of_the_data_stay_texts(hostile: Path) -> None:
    page = parsed(hostile)
    content = hostile.read_text("utf-8")
    assert content.count("<script>") == content.count("<style>") == 1
    whole = "".join(page.texts)
    for text in (HOSTILE[0], HOSTILE[1], HOSTILE[5], "<i>0</i>", "hostile<b>.jsonl"):
        assert text in whole
    assert "248,800 more characters" in whole
    assert "\x00" not in content and "\x1b" not in content


def test_a_report_without_examples_has_no_texts(pages: Path, tmp_path: Path) -> None:
    data = hostile_rows(tmp_path)
    made = hfkit.report(
        pages / "classification", data, output=tmp_path / "x.html", no_examples=True, quiet=True
    )
    content = Path(made.path).read_text("utf-8")
    assert "The texts are left out" in content
    for text in ("owned", "北京", "long long", "שלום"):
        assert text not in content


def test_a_column_that_is_not_there(pages: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no column 'whom'; did you mean 'who'"):
        hfkit.report(
            pages / "classification", hostile_rows(tmp_path), slice=["whom"], quiet=True,
            output=tmp_path / "x.html",
        )  # fmt: skip
    assert not (tmp_path / "x.html").exists()


def test_without_matplotlib_it_says_what_to_install(
    pages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfkit.reports.plots.find_spec", lambda name: None)
    with pytest.raises(InputError, match=re.escape("pip install 'hfkit[report]'")):
        hfkit.report(pages / "ner", output=tmp_path / "x.html", quiet=True)


def test_a_file_of_predictions_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(json.dumps({"text": "a", "prediction": {"label": "b"}}) + "\n")
    with pytest.raises(InputError, match="asks the model itself"):
        hfkit.report(path)
    assert len(read_jsonl(path)) == 1


FILTERED = [
    {"count": ".card"},
    {"fill": "#filter", "text": "the rain nothing-holds-this"},
    {"wait": "#shown", "text": "0 shown"},
    {"evaluate": "[...document.querySelectorAll('.card')].filter(c => !c.hidden).length"},
    {"fill": "#filter", "text": ""},
    {"evaluate": "[...document.querySelectorAll('.card')].filter(c => !c.hidden).length"},
]


@needs_browser
@pytest.mark.parametrize("task", TASKS)
def test_a_browser_has_nothing_to_complain_of(task: str, pages: Path) -> None:
    page = pages / task / "report.html"
    steps = FILTERED if 'id="filter"' in page.read_text("utf-8") else []
    for width, dark in ((DESKTOP, False), (PHONE, True)):
        seen = visit(page, steps, width=width, dark=dark)
        assert (seen.errors, seen.requests, seen.overflow) == ([], [], 0)
        if steps:
            count, none, every = seen.read
            assert count == every > 0 == none


@needs_browser
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_hostile_texts_do_nothing_in_a_browser(width: int, dark: bool, hostile: Path) -> None:
    steps = [{"evaluate": "document.title"}, {"count": "main img"}, *FILTERED]
    seen = visit(hostile, steps, width=width, dark=dark)
    assert (seen.errors, seen.requests, seen.overflow) == ([], [], 0)
    assert seen.read[:2] == ["classification: report", 0]


@needs_browser
def test_light_and_dark_differ(pages: Path) -> None:
    ink: Callable[[bool], object] = lambda dark: visit(  # noqa: E731
        pages / "ner" / "report.html",
        [{"evaluate": "getComputedStyle(document.querySelector('svg .fill-ink')).fill"}],
        dark=dark,
    ).read[0]
    assert ink(False) != ink(True)
