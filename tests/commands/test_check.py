"""Faults planted in clean data, of each kind and for every task: all are found, where they stand,
and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import hfkit
from hfkit.cli.app import run as command_line
from hfkit.data.checks.findings import KINDS

Row = dict[str, Any]
Change = Callable[[Row], None]
Capture = pytest.CaptureFixture[str]
SOUNDS = ["ba", "de", "fi", "go", "lu", "me", "no", "pa", "ri", "so", "tu", "ve", "wi", "ka"]


def words(random: Random, count: int) -> str:
    return " ".join("".join(random.choices(SOUNDS, k=3)) for _ in range(count))


def sentence(random: Random) -> str:
    return words(random, 60)


def tagged(random: Random) -> Row:
    tokens = sentence(random).split()
    tags = ["O"] * len(tokens)
    tags[1:3] = ["B-PER", "I-PER"]
    tags[4] = "B-LOC"
    return {"tokens": tokens, "tags": tags}


def marked(random: Random) -> Row:
    text = sentence(random)
    return {"text": text, "entities": [[0, 6, "PER"], [7, 13, "LOC"]]}


def asked(random: Random) -> Row:
    context = sentence(random)
    answer = {"text": [context[7:20]], "answer_start": [7]}
    return {"question": words(random, 6) + "?", "context": context, "answers": answer}


# Task -> the column that a fault goes into, and a clean row.
TASKS: dict[str, tuple[str, Callable[[Random], Row]]] = {
    "classification": (
        "text", lambda r: {"text": sentence(r), "label": r.choice(["pos", "neg", "so-so"])}
    ),
    "multi-label": (
        "text", lambda r: {"text": sentence(r), "labels": r.sample(["red", "big", "old"], 2)}
    ),
    "nli": (
        "premise", lambda r: {"premise": sentence(r), "hypothesis": words(r, 9),
                              "label": r.choice(["entailment", "neutral"])}
    ),
    "ner": ("tokens", tagged),
    "ner in a text": ("text", marked),
    "qa": ("context", asked),
    "similarity": (
        "sentence1", lambda r: {"sentence1": sentence(r), "sentence2": sentence(r),
                                "score": round(r.uniform(0, 5), 2)}
    ),
    "zero-shot": ("text", lambda r: {"text": sentence(r), "label": r.choice(["here", "there"])}),
    "text2text": ("document", lambda r: {"document": sentence(r), "summary": words(r, 9)}),
    "generation": ("prompt", lambda r: {"prompt": sentence(r), "completion": words(r, 9)}),
    "mlm": ("text", lambda r: {"text": sentence(r)}),
}  # fmt: skip


def behind(column: str, more: str) -> Change:
    """Put something behind a text, where no offset counts it."""

    def change(row: Row) -> None:
        if column == "tokens":
            row["tokens"] += more.split()
            row["tags"] += ["O"] * len(more.split())
        else:
            row[column] += f" {more}"

    return change


def much_behind(column: str, random: Random) -> Change:
    return lambda row: behind(column, words(random, 600))(row)


def last_word(column: str, new: Callable[[str], str]) -> Change:
    def change(row: Row) -> None:
        if column == "tokens":
            row["tokens"][-1] = new(row["tokens"][-1])
        else:
            head, _, last = row[column].rpartition(" ")
            row[column] = f"{head} {new(last)}"

    return change


def setting(**values: Any) -> Change:
    return lambda row: row.update(values)


CHARACTERS = {
    "text-broken": "sa\ufffdd",
    "text-mojibake": "cafÃ© fÃ¼r",
    "text-control": "od\u200bd",
    "word-mixed": "p\u0430ypal",
    "script-other": "слово дело " * 80,
    "personal-email": "anna@example.org",
    "personal-phone": "+41446681800",
    "personal-iban": "DE89370400440532013000",
    "personal-card": "4111111111111111",
    "personal-ip": "8.8.8.8",
    "personal-key": "hf_" + "aB3" * 11,
}


def faults(task: str, column: str, random: Random) -> dict[str, Change]:
    """Code -> what makes a clean row a faulty one."""
    found = {code: behind(column, more) for code, more in CHARACTERS.items()}
    cut = task in ("text2text", "generation")
    found["text-bad"] = setting(**{column: {"a": 1}})
    if task != "mlm":  # an empty row ends a document there, and rows are joined
        found["length-cut" if cut else "length-window"] = much_behind(column, random)
        found["text-missing"] = setting(**{column: [] if column == "tokens" else " "})
    return {**found, **LABEL_FAULTS.get(task, {})}


def overlapping(row: Row) -> None:
    row["entities"].append([7, 13, "PER"])


def twice(row: Row) -> None:
    row["entities"].append(row["entities"][0])


LABEL_FAULTS: dict[str, dict[str, Change]] = {
    "classification": {"label-missing": setting(label=None), "label-bad": setting(label={"a": 1})},
    "multi-label": {"label-missing": setting(labels=None), "label-bad": setting(labels=[{"a": 1}])},
    "nli": {"label-missing": setting(label="")},
    "ner": {
        "label-missing": setting(tags=None),
        "entity-bad": lambda row: row["tags"].pop(),
        "tag-order": lambda row: row["tags"].__setitem__(6, "I-LOC"),
    },
    "ner in a text": {
        "entity-edge": lambda row: row["entities"].append([15, 20, "LOC"]),
        "entity-overlap": overlapping,
        "entity-wordless": lambda row: row["entities"].append([13, 14, "LOC"]),
        "entity-twice": twice,
        "entity-bad": lambda row: row["entities"].append([5, 10**6, "PER"]),
    },
    "qa": {
        "answer-bad": setting(answers={"text": ["nowhere"], "answer_start": [0]}),
        "answer-moved": lambda row: row["answers"].update(answer_start=[3]),
        "answer-absent": lambda row: row["answers"].update(
            text=[*row["answers"]["text"], "nowhere"], answer_start=[7, 0]
        ),
    },
    "similarity": {"label-missing": setting(score=None), "label-bad": setting(score="high")},
    "text2text": {"label-missing": setting(summary="")},
}
OTHER_LABEL: dict[str, Change] = {
    "classification": lambda row: row.update(label="pos" if row["label"] != "pos" else "neg"),
    "multi-label": setting(labels=["red", "big", "old"]),
    "nli": lambda row: row.update(label={"neutral": "entailment"}.get(row["label"], "neutral")),
    "ner": lambda row: row["tags"].__setitem__(4, "O"),
    "ner in a text": lambda row: row["entities"].pop(),
    "qa": lambda row: row.update(answers={"text": [row["context"][:6]], "answer_start": [0]}),
    "similarity": lambda row: row.update(score=5.5),
}
UNSEEN: dict[str, tuple[str, Change]] = {
    "classification": ("label-unseen", setting(label="new")),
    "multi-label": ("label-unseen", setting(labels=["new"])),
    "nli": ("label-unseen", setting(label="contradiction")),
    "ner": ("type-unseen", lambda row: row["tags"].__setitem__(4, "B-NEW")),
    "ner in a text": ("type-unseen", lambda row: row["entities"].append([14, 20, "NEW"])),
}


def copy(row: Row) -> Row:
    found: Row = json.loads(json.dumps(row))
    return found


class Planted:
    """Two files, and for each code the lines that it is to be found on."""

    def __init__(self, task: str, seed: int) -> None:
        self.random = Random(seed)
        self.task = task
        self.column, make = TASKS[task]
        self.train = [make(self.random) for _ in range(120)]
        self.validation = [make(self.random) for _ in range(40)]
        self.lines: dict[tuple[str, str], set[int]] = {}
        self.broken: set[int] = set()

    def add(self, part: str, code: str, place: int) -> None:
        self.lines.setdefault((part, code), set()).add(place + 1)

    def plant(self) -> None:
        free = self.random.sample(range(8, len(self.train)), len(self.train) - 8)
        for code, change in faults(self.task, self.column, self.random).items():
            for _ in range(self.random.choice([1, 2])):
                place = free.pop()
                change(self.train[place])
                self.add("train", code, place)
        self.broken = {free.pop()}
        self.add("train", "row-unreadable", *self.broken)
        copies = {
            "text-duplicate": lambda row: None,
            "text-alike": last_word(self.column, str.upper),
            "text-near": last_word(self.column, lambda word: "another"),
        }
        for code, change in copies.items():
            self._copy(self.train, "train", code, change, *sorted((free.pop(), free.pop())))
        if self.task in OTHER_LABEL:
            first, later = sorted((free.pop(), free.pop()))
            self._copy(self.train, "train", "label-conflict", OTHER_LABEL[self.task], first, later)
            self.add("train", "label-conflict", first)
        for number, (code, change) in enumerate(copies.items()):
            leak = code.replace("text-", "leak-").replace("duplicate", "same")
            self._copy(self.validation, "validation", leak, change, free.pop(), 5 * number)
        if self.task in UNSEEN:
            code, change = UNSEEN[self.task]
            change(self.validation[30])
            self.add("validation", code, 30)

    def _copy(
        self, rows: list[Row], part: str, code: str, change: Change, first: int, later: int
    ) -> None:
        rows[later] = copy(self.train[first])
        change(rows[later])
        self.add(part, code, later)

    def write(self, folder: Path) -> tuple[Path, Path]:
        paths = folder / "train.jsonl", folder / "validation.jsonl"
        for path, rows in zip(paths, (self.train, self.validation), strict=True):
            lines = [json.dumps(row, ensure_ascii=self.random.random() < 0.5) for row in rows]
            for place in self.broken if rows is self.train else ():
                lines[place] = lines[place][:-3]
            path.write_text("\n".join(lines) + "\n", "utf-8")
        return paths


def checked(arguments: list[str], capfd: Capture) -> tuple[int, dict[str, Any], str]:
    code = command_line(["check", *arguments, "--json"])
    out, err = capfd.readouterr()
    return code, json.loads(out), err


def task_flags(task: str) -> list[str]:
    return ["-t", task] if task in ("zero-shot", "mlm", "multi-label") else []


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", range(3))
def test_every_planted_fault_is_found_and_no_other(
    task: str, seed: int, tmp_path: Path, capfd: Capture
) -> None:
    planted = Planted(task, seed)
    paths = planted.write(tmp_path)
    arguments = [str(paths[0]), "--validation", str(paths[1]), *task_flags(task)]
    code, report, _ = checked(arguments, capfd)
    assert (code, report["findings"]) == (0, [])  # it is clean before
    planted.plant()
    planted.write(tmp_path)
    code, report, err = checked(arguments, capfd)
    found = {
        (one["part"], one["code"]): {int(place.split(":")[1]) for place in one["places"]}
        for one in report["findings"]
    }
    assert found == planted.lines
    counts = {(one["part"], one["code"]): one["count"] for one in report["findings"]}
    assert counts == {key: len(lines) for key, lines in planted.lines.items()}
    assert code == 2 and err.startswith("hfkit: ") and "Traceback" not in err


LABELS = {
    "label-single": ["a"] * 30,
    "label-imbalance": ["a"] * 120 + ["b"] * 6,
    "label-rare": ["a"] * 30 + ["b"] * 30 + ["c"] * 4,
    "label-spelling": ["pos"] * 20 + ["Pos"] * 20,
}


@pytest.mark.parametrize("code", LABELS)
def test_labels_as_a_whole(code: str, tmp_path: Path, capfd: Capture) -> None:
    random, path = Random(1), tmp_path / "a.csv"
    rows = [f"{sentence(random)},{label}" for label in LABELS[code]]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    exit_code, report, _ = checked([str(path)], capfd)
    assert [one["code"] for one in report["findings"]] == [code]
    assert exit_code == (2 if code == "label-single" else 0)


def test_tags_of_no_scheme(tmp_path: Path, capfd: Capture) -> None:
    path = tmp_path / "a.conll"
    path.write_text("Bo B-PER\nsings O\n\nAnna B-PER\nRoth Q\n\nLi B-PER\nsings O\n")
    exit_code, report, _ = checked([str(path)], capfd)
    (found,) = [one for one in report["findings"] if one["code"] == "tag-misfit"]
    assert exit_code == 2 and found["places"] == [f"{path}:4"]


def test_every_code_is_planted_somewhere() -> None:
    planted = set(LABELS) | {"tag-misfit"}
    for task in TASKS:
        one = Planted(task, 0)
        one.plant()
        planted |= {code for _, code in one.lines}
    assert planted == set(KINDS)


def clean(tmp_path: Path) -> Path:
    path = tmp_path / "clean.csv"
    random = Random(3)
    rows = [f"{sentence(random)},{'ab'[n % 2]}" for n in range(40)]
    path.write_text("\n".join(["text,label", *rows]) + "\n")
    return path


def test_exit_codes(tmp_path: Path, capfd: Capture) -> None:
    path = clean(tmp_path)
    assert command_line(["check", str(path)]) == 0
    path.write_text(path.read_text() + "anna@example.org wrote,a\n")
    assert command_line(["check", str(path)]) == 0  # a warning
    path.write_text(path.read_text() + "no label,\n")
    assert command_line(["check", str(path)]) == 2
    assert command_line(["check", str(tmp_path / "none.csv")]) == 2
    out, err = capfd.readouterr()
    assert "error label-missing (train): 1" in out
    assert f"{path}:43" in out and "no such file" in err
    assert command_line(["check", str(path), "--redact"]) == 2
    assert command_line(["check", str(path), "-o", "copy.csv"]) == 2


def test_a_pipe_is_checked_too_and_torch_stays_where_it_is(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom hfkit.cli.app import run\n"
        "code = run(['check', '-', '--validation', sys.argv[1]])\n"
        "assert not {'torch', 'transformers', 'datasets'} & set(sys.modules)\nsys.exit(code)"
    )
    path = clean(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], input=path.read_text(), text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "leak-same (validation): 40" in done.stdout
    assert f"at {path}:2, {path}:3" in done.stdout


def test_lengths_by_the_tokenizer_of_a_model(tiny_classifier_folder: Path, tmp_path: Path,
                                             capfd: Capture) -> None:  # fmt: skip
    path = clean(tmp_path)
    command = [str(path), "-m", str(tiny_classifier_folder), "--max-length", "16"]
    _, report, _ = checked(command, capfd)
    assert report["lengths_in"].startswith("tokens of")
    (found,) = report["findings"]
    assert (found["code"], found["count"]) == ("length-window", 40)
    from hfkit.text import from_file

    tokenizer = from_file(tiny_classifier_folder, 10_000)
    texts = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
    longest = max(len(one["input_ids"]) for (one,) in tokenizer.encode(texts))
    assert report["parts"][0]["lengths"]["longest"] == longest


def test_a_model_that_is_not_at_hand_is_told(tmp_path: Path, capfd: Capture) -> None:
    _, report, err = checked([str(clean(tmp_path)), "-m", "nobody/nothing"], capfd)
    assert "lengths are estimated" in err and "estimated" in report["lengths_in"]


def test_the_function(tmp_path: Path) -> None:
    found = hfkit.check(str(clean(tmp_path)))
    assert not found.is_wrong and found.findings == []


def test_of_a_row_only_numbers_are_kept(tmp_path: Path) -> None:
    """Twice the text in each row, the same memory: no text is kept."""
    import tracemalloc

    peaks = []
    for length in (20, 400):
        random, path = Random(5), tmp_path / f"{length}.jsonl"
        with path.open("w") as file:
            for number in range(1500):
                row = {"text": words(random, length), "label": "ab"[number % 2]}
                file.write(json.dumps(row) + "\n")
        hfkit.check(str(path), near_duplicates=False)
        tracemalloc.start()
        hfkit.check(str(path), near_duplicates=False)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1500 * 380 * 7 / 2
