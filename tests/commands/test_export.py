"""Models exported through the command line: what is written, and what is left as it was."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest
from pages import write_files
from toys import toy_rows, write_base_model, write_classifier, write_csv

from hfkit import sealing
from hfkit.cli.app import run as command_line
from hfkit.run.exported import read_exported

# Name -> the data (a name of pages.py, or "toy.csv"), and the flags that a task needs.
TASKS = {
    "classification": ("toy.csv", []),
    "ner": ("people.jsonl", ["-t", "ner"]),
    "qa": ("squad.json", ["-t", "qa"]),
    "vectors": ("pairs.csv", ["-t", "similarity", "--pooling", "cls"]),
    "pairs": ("pairs.csv", ["-t", "similarity", "--architecture", "cross-encoder"]),
}
OUTPUTS = {"qa": ["start_logits", "end_logits"], "vectors": ["embeddings"]}


def go(*arguments):
    return command_line([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def runs(tmp_path_factory, tiny_base_folder):
    """A folder with a short run of each task, and the files it was trained on."""
    folder = write_files(tmp_path_factory.mktemp("runs"))
    write_csv(folder / "toy.csv", toy_rows(60))
    for name, (data, flags) in TASKS.items():
        code = go(
            "finetune", folder / data, "-m", tiny_base_folder, "-o", folder / name, *flags,
            "--validation", folder / data, "--max-steps", 2, "--max-length", 64,
            "--device", "cpu", "-q",
        )  # fmt: skip
        assert code == 0
        assert go("export", folder / name, "-q") == 0
    return folder


@pytest.mark.parametrize("name", TASKS)
def test_the_folder_says_what_it_holds(runs, name):
    folder = runs / name
    report = json.loads((folder / "onnx" / "export.json").read_text("utf-8"))
    assert sorted(report["files"]) == ["model.onnx", "model.onnx_data"]
    for file, entry in report["files"].items():
        assert entry["sha256"] == sealing.sha256(folder / "onnx" / file)
    weights = sealing.sha256(folder / "model.safetensors")
    assert report["model"]["files"] == {"model.safetensors": weights}
    assert report["outputs"] == OUTPUTS.get(name, ["logits"])
    assert report["parity"]["difference"] <= 1e-5
    assert report["parity"]["rows"] > 20
    assert report["parity"]["source"] == TASKS[name][0]
    assert {"torch", "onnxruntime", "onnx", "onnxscript"} <= set(report["versions"])
    assert sealing.damage(folder) is None
    assert not [path for path in folder.rglob(".*")]


@pytest.mark.parametrize("name", TASKS)
def test_the_file_computes_what_the_model_does(runs, name):
    """Against transformers itself, for several shapes, with padding."""
    import torch
    import transformers

    session = onnxruntime.InferenceSession(str(runs / name / "onnx" / "model.onnx"))
    kind = {"ner": "TokenClassification", "qa": "QuestionAnswering"}.get(
        name, "SequenceClassification"
    )
    auto = "AutoModel" if name == "vectors" else f"AutoModelFor{kind}"
    model = getattr(transformers, auto).from_pretrained(runs / name).eval()
    draw = np.random.default_rng(0)
    for rows, length in [(1, 1), (1, 7), (5, 3), (3, 64)]:
        ids = draw.integers(5, 90, (rows, length))
        mask = np.ones_like(ids)
        mask[-1, max(1, length // 2) :] = 0
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
        with torch.no_grad():
            found = model(**{key: torch.from_numpy(value) for key, value in batch.items()})
        if name == "vectors":  # the run pools by its first token
            wanted = [found.last_hidden_state[:, 0]]
        else:
            wanted = [found[key] for key in OUTPUTS.get(name, ["logits"])]
        for ours, theirs in zip(session.run(None, batch), wanted, strict=True):
            if ours.shape[1] == length:  # for each token: what stands at padding means nothing
                ours, theirs = ours[mask == 1], theirs[torch.from_numpy(mask) == 1]
            np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_model_from_elsewhere_and_made_up_rows(tmp_path, capsys):
    folder = write_classifier(tmp_path / "model", "distilbert")
    assert go("export", folder, "--json") == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    assert report["inputs"] == ["input_ids", "attention_mask"]
    assert report["parity"] == {**report["parity"], "rows": 48, "source": "made up"}
    assert "made-up" in shown.err and "at most" in shown.err


def test_a_model_of_entailment(tmp_path, capsys):
    labels = dict(enumerate(["entailment", "neutral", "contradiction"]))
    folder = write_classifier(
        tmp_path / "nli", id2label=labels, label2id={name: n for n, name in labels.items()}
    )
    assert go("export", folder, "-t", "zero-shot", "--labels", "sport,food") == 0
    assert capsys.readouterr().out.strip() == str(folder / "onnx")


def test_data_can_be_named(tmp_path, toy_files, capsys):
    folder = write_classifier(tmp_path / "model")
    assert go("export", folder, toy_files["test"], "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["parity"]["source"] == "test.csv"


def test_what_stands_there_is_kept_unless_asked(runs, capsys):
    path = runs / "ner" / "onnx" / "export.json"
    before = path.stat().st_mtime_ns
    assert go("export", runs / "ner") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert path.stat().st_mtime_ns == before
    assert go("export", runs / "ner", "--overwrite", "-q") == 0
    assert path.stat().st_mtime_ns != before


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch, capsys):
    folder = write_classifier(tmp_path / "model")

    def fail(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hfkit.model.export.optimise", fail)
    assert go("export", folder) == 4
    error = capsys.readouterr().err
    assert "disk full" in error and "Traceback" not in error
    assert read_exported(folder) is None
    assert not list(folder.glob("*onnx*")) and not list(folder.glob(".*"))


def test_a_tokenizer_that_exists_in_python_only(tmp_path, monkeypatch, capsys):
    folder = write_classifier(tmp_path / "model")
    monkeypatch.setattr("hfkit.text.Tokenizer.exportable", False)
    assert go("export", folder) == 2
    error = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(error) == 1 and "tokenizer" in error[0]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [([], "no model"), (["nowhere"], "no such folder"), (["minilm"], "no such folder")],
)
def test_mistakes(arguments, problem, capsys):
    assert go("export", *arguments) == 2
    assert problem in capsys.readouterr().err


def test_a_base_model_is_refused_but_as_an_encoder(tmp_path, capsys):
    folder = write_base_model(tmp_path / "base")
    assert go("export", folder) == 2
    assert "without a trained head" in capsys.readouterr().err
    assert go("export", folder, "-t", "similarity", "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["computes"]["head"] == {"pooling": "mean"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["roberta", "distilbert", "modernbert", "deberta-v2", "electra", "mpnet"]
)
def test_other_families(tmp_path, family, capsys):
    folder = write_classifier(tmp_path / family, family)
    assert go("export", folder, "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["parity"]["difference"] <= 1e-5
