"""A user's mistakes, through the command line: one line, the place, the remedy, the exit code."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from toys import (
    tiny_config,
    toy_rows,
    write_classifier,
    write_csv,
    write_generator,
    write_tokenizer,
)

from hfkit.cli.app import run as command_line

BAD_INPUTS = Path(__file__).parent.parent / "bad_inputs"
CORPUS = yaml.safe_load((BAD_INPUTS / "expected.yaml").read_text("utf-8"))
COMMANDS = yaml.safe_load((BAD_INPUTS / "commands.yaml").read_text("utf-8"))
Fail = Callable[..., tuple[int, str]]


# fmt: off
CASES = [
    (["finetune", "{toy}", "--label-column", "lable"], 2,
     "--label-column: no column 'lable'; the columns are 'text', 'label'; did you mean 'label'?"),
    (["finetune", "nowhere/train.csv"], 2, "nowhere/train.csv: no such file"),
    (["finetune", "{folder}/trian.csv"], 2, "did you mean 'train.csv'?"),
    (["finetune", "{toy}", "-m", "bert-bsae"], 2, "bert-bsae: no such folder, and not in the local cache"),
    (["finetune", "{toy}", "-m", "./nowhere"], 2, "./nowhere: no such folder"),
    (["finetune", "{toy}", "--schedule", "linaer"], 2, "--schedule: expected linear, cosine or constant, got 'linaer'; did you mean 'linear'?"),
    (["finetune", "{toy}", "--epochs", "three"], 2, "--epochs: expected a number, got 'three'"),
    (["finetune", "{toy}", "--epochs", "-1"], 2, "--epochs: expected a number of more than 0"),
    (["finetune", "{toy}", "--epoch", "3"], 2, "no such option: --epoch; did you mean '--epochs'?"),
    (["finetune", "{toy}", "-t", "clasification"], 2, "unknown task 'clasification'; did you mean 'classification'?"),
    (["finetune", "{toy}", "--set", "learning_rat=3"], 2, "unknown setting; did you mean"),
    (["finetune", "{toy}", "-m", "{base}", "--max-length", "100000"], 2, "--max-length: 100000 tokens are more than the model reads (128)"),
    (["finetune", "{toy}", "-m", "{base}", "--max-time", "soon"], 2, "--max-time: expected a time such as 90s, 45m or 2h"),
    (["finetune", "{toy}", "-m", "{base}", "--validation", "1.5"], 2, "--validation: expected a file, or a share between 0 and 1"),
    (["finetune", "{toy}", "-m", "{base}", "--report-to", "wandbb"], 2, "unknown tracker 'wandbb'; did you mean 'wandb'?"),
    (["finetune", "{toy}", "-m", "{base}", "--precision", "fp16", "--device", "cpu"], 2, "fp16 needs a GPU"),
    (["finetune"], 2, "no training data"),
    (["finetune", "org/name-of-nothing", "--offline"], 7, "org/name-of-nothing"),
    (["predict", "{base}", "a text"], 2, "is a base model without a trained head; fine-tune it first: hfkit finetune DATA -m"),
    (["predict", "{base}", "a text"], 2, "labels without training: -t zero-shot --labels A,B"),
    (["predict", "{base}", "a text", "--labels", "a,b"], 2,
     "--labels: a setting of zero-shot; the task is classification; leave it out, or choose the task with -t zero-shot"),
    (["predict", "{classifier}", "nowhere.csv"], 2, "nowhere.csv: no such file"),
    (["predict", "{classifier}", "{toy}", "--text-column", "txt"], 2, "--text-column: no column 'txt'"),
    (["predict", "nobody/nothing", "a text"], 2, "nobody/nothing: no such folder, and not in the local cache"),
    (["evaluate", "{classifier}"], 2, "no data"),
    (["evaluate", "{classifier}", "{toy}", "--fail-under", "acuracy=0.5"], 2, "did you mean 'accuracy'?"),
    (["evaluate", "{classifier}", "{toy}", "--metric", "acuracy"], 2, "did you mean 'accuracy'?"),
    (["fintune", "{toy}"], 2, "no such command 'fintune'; did you mean 'finetune'?"),
]
# fmt: on


@pytest.fixture
def fail(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Fail:
    """Run a command line that must fail; give its exit code and its one error line."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def run(*arguments: object) -> tuple[int, str]:
        capfd.readouterr()
        code = command_line([str(argument) for argument in arguments])
        stdout, stderr = capfd.readouterr()
        assert stdout == ""
        assert "Traceback" not in stderr
        errors = [line for line in stderr.splitlines() if line.startswith("hfkit: error: ")]
        assert len(errors) == 1, stderr
        assert stderr.splitlines()[-1] == errors[0]
        return code, errors[0]

    return run


def csv_file(folder: Path, text: str, name: str = "train.csv") -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(("arguments", "code", "says"), CASES)
def test_one_line_with_the_remedy(
    fail: Fail, arguments: list[str], code: int, says: str, tmp_path: Path,
    toy_files: dict[str, Path], tiny_base_folder: Path, tiny_classifier_folder: Path,
) -> None:  # fmt: skip
    names = {
        "toy": toy_files["train"],
        "folder": toy_files["train"].parent,
        "base": tiny_base_folder,
        "classifier": tiny_classifier_folder,
    }
    filled = [argument.format(**names) for argument in arguments]
    if filled[0] == "finetune":
        filled += ["-o", str(tmp_path / "out")]
    found, line = fail(*filled)
    assert says in line
    assert found == code


@pytest.fixture(scope="module")
def tiny_generator_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-2."""
    return write_generator(tmp_path_factory.mktemp("generator"))


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: f"{case['file']}-{case['exit']}")
def test_the_corpus_of_bad_files(
    fail: Fail, case: dict, tiny_base_folder: Path, tiny_generator_folder: Path, tmp_path: Path
) -> None:
    if case["exit"] == 0:
        pytest.skip("a good file")
    flags: list[object] = ["-t", case["task"]] if "task" in case else []
    for name, value in case.get("flags", {}).items():
        value = ",".join(value) if isinstance(value, list) else value
        value = BAD_INPUTS / value if name == "label_names" else value
        flags += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
    file = BAD_INPUTS / case["file"]
    base = tiny_generator_folder if case.get("task") == "generation" else tiny_base_folder
    code, line = fail("finetune", file, "-m", base, "-o", tmp_path / "out", *flags)
    assert code == case["exit"]
    assert case["says"] in line
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def models(
    tmp_path_factory: pytest.TempPathFactory, tiny_base_folder: Path, tiny_classifier_folder: Path
) -> dict[str, Path]:
    """A tiny model of each kind."""

    def folder(name: str) -> Path:
        return tmp_path_factory.mktemp(name)

    nli = {0: "contradiction", 1: "neutral", 2: "entailment"}
    several = {"problem_type": "multi_label_classification"}
    number = {"problem_type": "regression", "num_labels": 1, "id2label": {0: "x"}, "label2id": {}}
    return {
        "base": tiny_base_folder,
        "classifier": tiny_classifier_folder,
        "multilabel": write_classifier(folder("multilabel"), **several),
        "regression": write_classifier(folder("regression"), **number),
        "nli": write_classifier(folder("nli"), id2label=nli, label2id={}),
        "ner": _write_model(folder("ner"), "TokenClassification", ["O", "B-PER", "I-PER"]),
        "qa": _write_model(folder("qa"), "QuestionAnswering", ["x", "y"]),
    }


def _write_model(folder: Path, head: str, labels: list[str]) -> Path:
    import transformers

    names = dict(enumerate(labels))
    config = tiny_config("bert", id2label=names, label2id={n: i for i, n in names.items()})
    getattr(transformers, f"AutoModelFor{head}").from_config(config).save_pretrained(folder)
    return write_tokenizer(folder)


@pytest.mark.parametrize("case", COMMANDS, ids=lambda case: case["run"])
def test_every_command_says_in_one_line_what_is_wrong(
    case: dict, models: dict[str, Path], toy_files: dict[str, Path], tmp_path: Path,
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    names = {**models, "toy": toy_files["train"], "bad": BAD_INPUTS, "new": tmp_path / "new"}
    capfd.readouterr()
    code = command_line([one.format(**names) for one in shlex.split(case["run"])])
    stderr = capfd.readouterr().err
    severity = "warning" if case["exit"] == 1 else "error"
    start = f"hfkit: {severity}: "
    lines = [line.removeprefix(start) for line in stderr.splitlines() if line.startswith(start)]
    says = case["says"].format()
    found = [line for line in lines if says in line]
    assert code == case["exit"], stderr
    assert "Traceback" not in stderr
    assert len(found) == 1, stderr
    if severity == "error":
        assert len(lines) == 1, stderr
    if (BAD_INPUTS / says.partition(":")[0]).is_file():  # then the place comes first
        assert found[0].startswith(f"{BAD_INPUTS}/{says}")
    assert not (tmp_path / "runs").exists()


def test_the_corpus_knows_every_command_and_task() -> None:
    commands = Counter(case["run"].split()[0] for case in COMMANDS)
    commands["finetune"] += sum(case["exit"] != 0 for case in CORPUS)
    tasks = Counter(case.get("task", "") for case in COMMANDS)
    tasks += Counter(case.get("task", "classification") for case in CORPUS if case["exit"])
    assert commands.total() >= 120
    assert set(commands) >= {
        "finetune", "evaluate", "predict", "embed", "search", "convert", "export", "bench",
        "recipes", "config", "tasks", "env", "demo",
    }  # fmt: skip
    for task in ("classification", "ner", "qa", "similarity", "zero-shot", "multi-label"):
        assert tasks[task] >= 4, task
    assert tasks["regression"] >= 4


def test_unseen_labels_one_class_and_too_few_rows(
    fail: Fail, tiny_base_folder: Path, tiny_classifier_folder: Path, tmp_path: Path
) -> None:
    rows = toy_rows(40)
    train = write_csv(tmp_path / "train.csv", rows)
    rows[7]["label"] = "sports"
    validation = write_csv(tmp_path / "validation.csv", rows)
    base = ["finetune", train, "-m", tiny_base_folder, "-o", tmp_path / "out"]
    code, line = fail(*base, "--validation", validation)
    assert code == 2
    assert f'{validation}:9: label "sports" was not seen at training' in line
    assert 'known: "kitchen", "music", "weather"' in line
    code, line = fail("evaluate", tiny_classifier_folder, validation)
    assert (code, "validation.csv:9: label" in line) == (2, True)
    one = csv_file(tmp_path, "text,label\na b,x\nc d,x\ne f,x\n")
    code, line = fail("finetune", one, "-m", tiny_base_folder, "-o", tmp_path / "out")
    assert code == 2
    assert f'{one}: only one class ("x"); there is nothing to tell apart' in line
    few = csv_file(tmp_path, "text,label\na b,x\nc d,y\n", "few.csv")
    code, line = fail("finetune", few, "-m", tiny_base_folder, "-o", tmp_path / "out")
    assert code == 2
    assert "--validation FILE" in line


def test_texts_that_look_like_nothing_survive(
    tiny_base_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["NA", "null", "None", "007", "nan", "1e999", "-0", "=1+1"]
    lines = "".join(f"{word},{('yes', 'no')[n % 2]}\n" for n, word in enumerate(words * 4))
    train = csv_file(tmp_path, "text,label\n" + lines)
    out = tmp_path / "out"
    base = ["finetune", train, "-m", tiny_base_folder, "-o", out, "--max-steps", 1]
    assert command_line([*map(str, base), "--validation", str(train), "-q"]) == 0
    capfd.readouterr()
    assert command_line(["predict", str(out), str(train), "-q"]) == 0
    printed = capfd.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in printed[1:9]] == words
    assert re.match(r"text,label,prediction\.label,prediction\.score", printed[0])


def test_labels_that_yaml_and_pandas_would_change(
    fail: Fail, tiny_base_folder: Path, tmp_path: Path
) -> None:
    rows = "".join(
        f"some text {n},{label}\n" for n, label in enumerate(["no", "NA", "007", "1.10"] * 5)
    )
    train = csv_file(tmp_path, "text,no\n" + rows)
    recipe = csv_file(tmp_path, f"train: {train}\nlabel_column: no\nlr: 3e-5\n", "recipe.yaml")
    out = tmp_path / "out"
    base = ["finetune", "-c", recipe, "-m", tiny_base_folder, "-o", out, "--max-steps", 1, "-q"]
    assert command_line([*map(str, base), "--validation", "0.25"]) == 0
    import json

    config = json.loads((out / "config.json").read_text())
    assert set(config["id2label"].values()) == {"no", "NA", "007", "1.10"}
    saved = yaml.safe_load((out / "hfkit.yaml").read_text())
    assert float(saved["lr"]) == 3e-5
    assert saved["label_column"] == "no"


DIGITS = "7" * 6000
LONG = [
    "finetune {toy} -m {base} -o out --max-time D",
    "finetune {toy} -m {base} -o out --validation D",
    "finetune {toy} -m {base} -o out --task D",
    "finetune {toy} -m {base} -o out --seed D",
    "finetune {toy} -m {base} -o out --report-to D",
    "finetune {toy} -m {base} -o out --DD",
    "finetune {toy} -m {base} -o out -s D=1",
    "finetune span.jsonl -m {base} -o out -t ner",
    "evaluate {classifier} D.csv",
    "evaluate {classifier} {toy} --metric D",
    "evaluate {classifier} {toy} --fail-under D=1",
    "predict {classifier} a D",
    "bench {classifier} --budgets D",
    "search {base} {toy} query --qrels qrels.txt",
    "demo D",
    "D",
]


@pytest.mark.parametrize("line", LONG)
def test_a_number_of_thousands_of_digits_is_cut_in_the_message(
    fail: Fail, line: str, toy_files: dict[str, Path], tiny_base_folder: Path,
    tiny_classifier_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    entity = f'{{"start": 0, "end": {DIGITS[:4000]}, "label": "P"}}'
    (tmp_path / "span.jsonl").write_text(f'{{"text": "Anna", "entities": [{entity}]}}\n')
    (tmp_path / "qrels.txt").write_text(f"query-id\tcorpus-id\tscore\nq1\td1\t{DIGITS}\n")
    names = {
        "toy": toy_files["train"],
        "base": tiny_base_folder,
        "classifier": tiny_classifier_folder,
    }
    code, said = fail(*line.replace("D", DIGITS).format(**names).split())
    assert code == 2
    assert DIGITS[:300] not in said and len(said) < 1000


def test_labels_of_thousands_of_digits_are_labels(
    tiny_base_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"some text {n},{(DIGITS, '2')[n % 2]}\n" for n in range(40))
    train = csv_file(tmp_path, "text,label\n" + rows)
    arguments = ["finetune", train, "-m", tiny_base_folder, "-o", tmp_path / "out", "--dry-run"]
    assert command_line(list(map(str, arguments))) == 0
    assert f"2 labels: 2 20, {DIGITS[:40]}… 20" in capfd.readouterr().err


@pytest.mark.parametrize("start", ["inf", "nan", "2.5", "1e400"])
def test_the_start_of_an_answer_is_a_whole_number(fail: Fail, start: str, tmp_path: Path) -> None:
    header = "question,context,prediction.answer,prediction.start,prediction.end\n"
    predicted = csv_file(tmp_path, f"{header}Who?,Anna was,Anna,{start},4\n", "predicted.csv")
    code, line = fail("evaluate", predicted, BAD_INPUTS / "good_flat.csv")
    assert code == 2
    assert f"predicted.csv:2: expected a whole number as start, got '{start}'" in line
