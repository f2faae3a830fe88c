"""`hfkit calibrate`: what it decides is used by every engine, and the run stays sealed."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exports import HEAVY
from pages import write_files
from toys import TOPICS, read_jsonl, toy_rows, write_classifier, write_csv

from hfkit import predict, sealing
from hfkit.cli.app import run as command_line
from hfkit.temperature import tempered

MANY = [{"text": f"the rain {n % 7}", "labels": ["a", "b"][: n % 3]} for n in range(90)]
RUNS = {
    "one": ("toy.csv", []),
    "many": ("many.jsonl", ["--label-column", "labels"]),
    "ner": ("people.jsonl", ["-t", "ner"]),
    "qa": ("squad.json", ["-t", "qa"]),
    "graded": ("pairs.csv", ["-t", "similarity"]),
    "same": ("duplicates.csv", ["-t", "similarity"]),
    "nli": ("duplicates.csv", ["-t", "classification"]),
    "number": ("pairs.csv", ["-t", "regression", "--label-column", "score"]),
}


def go(*arguments: object) -> int:
    return command_line([str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_base_folder: Path) -> Path:
    """A short run of each task, and the rows of each, as one folder."""
    folder = write_files(tmp_path_factory.mktemp("calibrated"))
    write_csv(folder / "toy.csv", toy_rows(60))
    sure = write_classifier(folder / "sure", initializer_range=0.4)
    (folder / "many.jsonl").write_text("".join(json.dumps(row) + "\n" for row in MANY))
    people = (folder / "people.jsonl").read_text()
    (folder / "people.jsonl").write_text(people * 3)
    for name, (data, flags) in RUNS.items():
        code = go(
            "finetune", folder / data, "-m", sure if name == "one" else tiny_base_folder, "-o",
            folder / name, *flags, "--max-steps", {"one": 1, "ner": 30}.get(name, 4), "--lr",
            "1e-6" if name == "one" else "3e-3", "--max-length", 48, "--device", "cpu", "-q",
        )  # fmt: skip
        assert code == 0
    write_csv(folder / "dev.csv", dev_rows(folder / "one"))
    return folder


def dev_rows(run: Path) -> list[dict[str, str]]:
    """What a run answers, but for three rows in ten, which have the label of another one."""
    asked = write_csv(run.parent / "asked.csv", toy_rows(80, seed=5))
    answered = list(predict(str(run), str(asked), quiet=True))
    texts = [one["text"] for one in answered]
    found = [one["prediction"]["label"] for one in answered]
    names = sorted(TOPICS)
    return [
        {"text": text, "label": names[names.index(label) - (number % 10 < 3)]}
        for number, (text, label) in enumerate(zip(texts, found, strict=True))
    ]


@pytest.fixture
def work(runs: Path, tmp_path: Path) -> Path:
    """A copy that may be changed."""
    return Path(shutil.copytree(runs, tmp_path / "work"))


def decisions(run: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((run / "decisions.json").read_text())
    return found


def answers(hfkit, run: Path, data: Path, *flags: object) -> list[dict]:
    output = run.parent / "answers.jsonl"
    code, _, err = hfkit("predict", run, data, "-o", output, "--overwrite", "--scores", *flags)
    assert code == 0, err
    return [row["prediction"] for row in read_jsonl(output)]


def test_scores_are_at_the_temperature_and_no_label_changes(hfkit, work: Path) -> None:
    run, data = work / "one", work / "dev.csv"
    before = answers(hfkit, run, data)
    code, out, err = hfkit("calibrate", run, data, "--json")
    assert code == 0, err
    told = json.loads(out)
    temperature = told["decided"]["temperature"]
    assert temperature != 1
    after = answers(hfkit, run, data)
    for one, other in zip(before, after, strict=True):
        assert one["label"] == other["label"]
        raw = np.array(list(one["scores"].values()))
        np.testing.assert_allclose(
            list(other["scores"].values()), tempered(raw, temperature), atol=1e-6
        )
    saved = decisions(run)
    assert saved["decisions"] == {"temperature": temperature}
    assert saved["calibration"]["sha256"] and saved["calibration"]["rows"] == 80
    assert saved["calibration"]["before"]["nll"] == told["before"]["nll"]
    assert told["before"]["accuracy"] == told["after"]["accuracy"]
    assert sealing.damage(run) is None
    assert hfkit("verify", run)[0] == 0


def test_a_second_time_does_not_build_on_the_first(hfkit, work: Path) -> None:
    run, data = work / "one", work / "dev.csv"
    first = json.loads(hfkit("calibrate", run, data, "--json")[1])
    second = json.loads(hfkit("calibrate", run, data, "--json")[1])
    assert first == second
    assert hfkit("calibrate", run, "--reset")[0] == 0
    assert not (run / "decisions.json").exists()
    assert sealing.damage(run) is None


def test_dry_run_writes_nothing(hfkit, work: Path) -> None:
    run = work / "one"
    code, out, err = hfkit("calibrate", run, work / "dev.csv", "--dry-run")
    assert code == 0 and "not written" in out and "temperature" in out, err
    assert not (run / "decisions.json").exists()


@pytest.mark.parametrize("engine", ["onnx", "openvino"])
def test_exported_engines_use_it_without_torch(hfkit, work: Path, engine: str) -> None:
    pytest.importorskip("openvino" if engine == "openvino" else "onnxruntime")
    run, data = work / "one", work / "dev.csv"
    assert hfkit("export", run, "--engine", engine)[0] == 0
    assert hfkit("calibrate", run, data, "--precision-at-least", "0.5")[0] == 0
    theirs = answers(hfkit, run, data, "--engine", "torch")
    words = ["predict", str(run), str(data), "--scores", "--format", "jsonl", "--engine", engine]
    code = (
        "import sys; from hfkit.cli.app import run\n"
        f"code = run({words!r})\n"
        f"assert not set({HEAVY!r}) & set(sys.modules), 'heavy'\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = [json.loads(line)["prediction"] for line in done.stdout.splitlines()]
    for one, other in zip(theirs, ours, strict=True):
        assert one["abstained"] == other["abstained"]
        assert one["score"] == pytest.approx(other["score"], abs=1e-4)


def test_unsure_answers_are_withheld_but_scored(hfkit, work: Path) -> None:
    run, data = work / "one", work / "dev.csv"
    plain = answers(hfkit, run, data)
    scored = json.loads(hfkit("evaluate", run, data, "--json")[1])
    code, out, err = hfkit("calibrate", run, data, "--precision-at-least", "0.6", "--json")
    assert code == 0, err
    told = json.loads(out)["abstaining"]
    found = answers(hfkit, run, data)
    kept = [answer for answer in found if not answer["abstained"]]
    assert len(kept) / len(found) == pytest.approx(told["coverage"])
    with data.open(encoding="utf-8", newline="") as file:
        gold = [row["label"] for row in csv.DictReader(file)]
    right = [
        answer["label"] == label
        for answer, label in zip(found, gold, strict=True)
        if not answer["abstained"]
    ]
    assert np.mean(right) == pytest.approx(told["precision"]) and told["precision"] >= 0.6
    for answer, before in zip(found, plain, strict=True):
        assert (answer["label"] is None) == answer["abstained"]
        assert before["label"] == (answer["withheld"] or answer["label"])
    again = json.loads(hfkit("evaluate", run, data, "--json")[1])
    assert again["values"]["accuracy"] == scored["values"]["accuracy"]
    for name in ("a.jsonl", "a.csv"):
        assert hfkit("predict", run, data, "-o", work / name)[0] == 0
        of_file = json.loads(hfkit("evaluate", work / name, data, "--json")[1])
        assert of_file["values"]["accuracy"] == scored["values"]["accuracy"]


def test_each_of_several_labels_has_a_threshold(hfkit, work: Path) -> None:
    run, data = work / "many", work / "many.jsonl"
    code, out, err = hfkit("calibrate", run, data, "--label-column", "labels", "--json")
    assert code == 0, err
    told = json.loads(out)
    thresholds = told["decided"]["thresholds"]
    assert set(thresholds) == {"a", "b"}
    for answer in answers(hfkit, run, data):
        chosen = [
            name for name, score in answer["scores"].items() if score >= thresholds[name] - 1e-8
        ]
        assert answer["labels"] == chosen
    for answer in answers(hfkit, run, data, "--threshold", "0.31"):  # wins over what was fitted
        assert answer["labels"] == [name for name, one in answer["scores"].items() if one >= 0.31]


def test_entities(hfkit, work: Path) -> None:
    run, data = work / "ner", work / "people.jsonl"
    before = answers(hfkit, run, data)
    code, out, err = hfkit("calibrate", run, data, "--precision-at-least", "0.3", "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["decided"].get("score_slope", 1) > 0
    after = answers(hfkit, run, data)
    for one, other in zip(before, after, strict=True):
        spans = {(e["start"], e["end"]) for e in one["entities"]}
        assert spans == {(e["start"], e["end"]) for e in [*other["entities"], *other["withheld"]]}
        assert other["abstained"] == bool(other["withheld"])
        assert all(e["score"] >= told["decided"]["abstain_below"] for e in other["entities"])
    assert sealing.damage(run) is None


def test_questions(hfkit, work: Path) -> None:
    run, data = work / "qa", work / "squad.json"
    many = json.loads(data.read_text())
    many["data"] = many["data"] * 2
    data.write_text(json.dumps(many))
    trained = decisions(run)["decisions"]["null_threshold"]
    code, out, err = hfkit("calibrate", run, data, "--json")
    assert code == 0, err
    decided = json.loads(out)["decided"]
    assert "null_threshold" in decided
    if "temperature" in decided:
        assert decided["temperature"] > 0
    assert decisions(run)["calibration"]["replaced"] == {"null_threshold": trained}
    assert hfkit("predict", run, "question=Where is it?", "context=It is under the mat.")[0] == 0
    assert hfkit("calibrate", run, "--reset")[0] == 0
    assert decisions(run)["decisions"]["null_threshold"] == trained


@pytest.mark.parametrize(("name", "key"), [("graded", "mse"), ("same", "f1")])
def test_similarity(hfkit, work: Path, name: str, key: str) -> None:
    run, data = work / name, work / RUNS[name][0]
    before = decisions(run)["decisions"]
    code, out, err = hfkit("calibrate", run, data, "--json")
    assert code == 0, err
    assert key in json.loads(out)["after"]
    code, _, err = hfkit("calibrate", run, data, "--precision-at-least", "0.9")
    assert code == 2 and "are no confidences" in err
    assert hfkit("calibrate", run, "--reset")[0] == 0
    assert decisions(run)["decisions"] == before


def test_zero_shot_has_a_part_of_its_own(hfkit, tmp_path: Path) -> None:
    model = write_classifier(
        tmp_path / "nli", id2label={0: "entailment", 1: "neutral", 2: "contradiction"},
        label2id={"entailment": 0, "neutral": 1, "contradiction": 2}, initializer_range=0.5,
    )  # fmt: skip
    data = write_csv(tmp_path / "dev.csv", toy_rows(60))
    flags = ["-t", "zero-shot", "--labels", "weather,kitchen,music"]
    raw = answers(hfkit, model, data, *flags)
    code, out, err = hfkit("calibrate", model, data, *flags, "--json")
    assert code == 0, err
    temperature = json.loads(out)["decided"]["temperature"]
    for one, other in zip(raw, answers(hfkit, model, data, *flags), strict=True):
        assert one["label"] == other["label"]
        chances = np.array(list(one["scores"].values()))
        expected = tempered(chances, temperature)
        np.testing.assert_allclose(list(other["scores"].values()), expected, atol=1e-6)
    assert list(decisions(model)["tasks"]) == ["zero-shot"]
    assert hfkit("calibrate", model, "--reset", "-t", "zero-shot")[0] == 0
    assert not (model / "decisions.json").exists()


def test_what_is_refused(hfkit, work: Path) -> None:
    few = write_csv(work / "few.csv", toy_rows(20))
    code, _, err = hfkit("calibrate", work / "one", few)
    assert code == 2 and "20 rows are too few" in err
    code, _, err = hfkit("calibrate", work / "number", work / "pairs.csv")
    assert code == 2 and "nothing to calibrate" in err
    code, _, err = hfkit("calibrate", "no/such/run", few)
    assert code == 2 and "no such folder" in err
    code, _, err = hfkit("calibrate", work / "one")
    assert code == 2 and "no data" in err
    code, _, err = hfkit("calibrate", work / "one", work / "dev.csv", "--precision-at-least", "1.5")
    assert code == 2 and "precision" in err


def test_training_data_are_warned_of(hfkit, work: Path, tiny_base_folder: Path) -> None:
    data, run = work / "dev.csv", work / "again"
    code, _, err = hfkit(
        "finetune", data, "-m", tiny_base_folder, "-o", run, "--validation", work / "toy.csv",
        "--max-steps", 2, "--device", "cpu", "-q",
    )  # fmt: skip
    assert code == 0, err
    code, _, err = hfkit("calibrate", run, data)
    assert code == 0 and "rows that it was trained on" in err
    assert "trained on" not in hfkit("calibrate", run, work / "toy.csv")[2]


@pytest.mark.parametrize("name", ["one", "many", "ner", "same"])
def test_the_file_that_a_validation_part_was_cut_off_is_warned_of(
    hfkit, work: Path, name: str
) -> None:
    data = work / RUNS[name][0]
    code, _, err = hfkit("calibrate", work / name, data)
    assert "rows that it was trained on" in err, (code, err)
    rows = json.loads((work / name / "manifest.json").read_text())["data"]["train"]["rows"]
    assert f"{rows} of them were" in err
    assert "trained on" not in hfkit("calibrate", work / "one", work / "dev.csv")[2]


def test_rows_drawn_by_limit_are_warned_of(hfkit, work: Path, tiny_base_folder: Path) -> None:
    run = work / "drawn"
    code, _, err = hfkit(
        "finetune", work / "toy.csv", "-m", tiny_base_folder, "-o", run, "--limit", 50,
        "--max-steps", 2, "--device", "cpu", "-q",
    )  # fmt: skip
    assert code == 0, err
    assert "of them were" in hfkit("calibrate", run, work / "toy.csv")[2]


def test_python(work: Path) -> None:
    import hfkit

    done = hfkit.calibrate(str(work / "one"), str(work / "dev.csv"), dry_run=True, quiet=True)
    assert done.fit is not None and done.fit.after["ece"] >= 0
