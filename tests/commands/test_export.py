"""Models exported through the command line: what is written, and what is left as it was."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
from pages import write_files
from toys import read_jsonl, toy_rows, write_base_model, write_classifier, write_csv

import hfkit
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
HEAVY = [
    "torch", "transformers", "datasets", "pandas", "pyarrow", "accelerate", "sklearn", "scipy",
]  # fmt: skip
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
    assert not list(folder.rglob(".*"))


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


def answers(path):
    """The answers of a file of predictions, each as a mapping of numbers and one of the rest."""
    found = [read["prediction"] for read in read_jsonl(path)]
    return [_parted("", one, {}, {}) for one in found]


def _parted(name, value, numbers, words):
    if isinstance(value, float):
        numbers[name] = value
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            _parted(f"{name}.{key}", inner, numbers, words)
    else:
        words[name] = value
    return numbers, words


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_those_of_torch(runs, name, tmp_path, capsys):
    data = runs / TASKS[name][0]
    found = []
    for engine in ("torch", "onnx", "auto"):
        out = tmp_path / f"{engine}.jsonl"
        assert go("predict", runs / name, data, "-o", out, "--scores", "--engine", engine) == 0
        assert ("model.onnx answers" in capsys.readouterr().err) is (engine != "torch")
        found.append(answers(out))
    assert len(found[0]) >= 30
    for torch_answers, *others in zip(*found, strict=True):
        for other in others:
            assert torch_answers[1] == other[1]
            # Vectors of a model that learnt nothing are all alike: their scores are stretched.
            stretch = 1e-3 if name == "vectors" else 1e-5
            assert torch_answers[0] == pytest.approx(other[0], abs=1e-4, rel=stretch)


@pytest.mark.parametrize("name", ["classification", "ner", "qa", "vectors", "pairs"])
def test_scores_are_those_of_torch(runs, name, tmp_path):
    found = []
    for engine in ("torch", "onnx"):
        out = tmp_path / f"{engine}.json"
        data = runs / TASKS[name][0]
        assert go("evaluate", runs / name, data, "-o", out, "--engine", engine, "-q") == 0
        found.append(json.loads(out.read_text())["values"])
    for key, value in found[0].items():
        assert found[1][key] == pytest.approx(value, abs=1e-4), key


def test_vectors_are_those_of_torch(runs):
    texts = ["Anna left", "the key is under the mat " * 20, "a"]
    found = [hfkit.embed(str(runs / "vectors"), texts, engine=name) for name in ("torch", "onnx")]
    np.testing.assert_allclose(*found, atol=1e-5)


def test_entailment_answers_as_torch_does(tmp_path, capsys):
    labels = dict(enumerate(["entailment", "neutral", "contradiction"]))
    folder = write_classifier(
        tmp_path / "nli", id2label=labels, label2id={name: n for n, name in labels.items()}
    )
    asked = ["-t", "zero-shot", "--labels", "sport,food"]
    assert go("export", folder, *asked) == 0
    assert capsys.readouterr().out.strip() == str(folder / "onnx")
    found = []
    for engine in ("torch", "onnx"):
        assert go("predict", folder, "rain today", *asked, "--scores", "--engine", engine) == 0
        found.append(json.loads(capsys.readouterr().out)["prediction"]["scores"])
    assert found[0] == pytest.approx(found[1], abs=1e-5)


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "classification", "rain"],
        ["predict", "classification", "toy.csv"],
        ["predict", "ner", "people.conll"],
        ["predict", "qa", "question=Who?", "context=Anna wrote it."],
        ["predict", "pairs", "text=one", "text_pair=two"],
        ["evaluate", "classification", "toy.csv"],
        ["evaluate", "ner", "people.jsonl"],
        ["evaluate", "qa", "squad.json"],
        ["embed", "vectors", "texts.txt", "-o", "vectors.npy"],
        ["embed", "vectors", "a text"],
        ["load", "classification"],
    ],
    ids=" ".join,
)
def test_what_it_leaves_unimported(runs, arguments):
    code = (
        "import sys\n"
        "from hfkit.cli.app import run\n"
        "import hfkit\n"
        "if sys.argv[1] == 'load':\n"
        "    done = len(hfkit.load(sys.argv[2], device='cpu').predict(['rain'])) - 1\n"
        "else:\n"
        "    done = run(sys.argv[1:] + ['--overwrite'] * ('-o' in sys.argv))\n"
        f"found = sorted(set({HEAVY}) & set(sys.modules))\n"
        "sys.exit(f'imported: {found}' if found else done)"
    )
    environment = {**os.environ, "HFKIT_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=runs, env=environment,
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.processes
def test_two_processes_without_torch(runs, tmp_path, monkeypatch):
    found = []
    monkeypatch.chdir(runs)
    for count in (1, 2):
        out = tmp_path / f"{count}.jsonl"
        done = subprocess.run(
            [sys.executable, "-m", "hfkit", "predict", "classification", "toy.csv", "-o", str(out),
             "--num-processes", str(count), "--scores", "-b", "4", "--engine", "onnx"],
            capture_output=True, text=True, timeout=100, env={**os.environ},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(answers(out))
    for one, other in zip(*found, strict=True):
        assert one[1] == other[1] and one[0] == pytest.approx(other[0], abs=1e-5)


@pytest.fixture
def copy(runs, tmp_path):
    """The run of the classifier, to be changed."""
    return shutil.copytree(runs / "classification", tmp_path / "copy")


def change(folder, **changes):
    """Change what export.json says."""
    path = folder / "onnx" / "export.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def flip(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda folder: flip(folder / "onnx" / "model.onnx_data"),
            "model.onnx_data: checksum mismatch",
        ),
        (lambda folder: change(folder, model={"files": {"model.safetensors": "0"}}), "has changed"),
        (lambda folder: change(folder, computes={}), "something else"),
        (lambda folder: change(folder, files={}), "no model.onnx"),
    ],
    ids=["damaged", "other weights", "other head", "no file"],
)
def test_what_does_not_fit_is_not_used(copy, capsys, damage, reason):
    damage(copy)
    assert go("predict", copy, "rain", "--device", "cpu") == 0
    shown = capsys.readouterr()
    assert "exported model is not used" in shown.err and reason in shown.err
    assert json.loads(shown.out)["prediction"]
    assert go("predict", copy, "rain", "--engine", "onnx") == 2
    error = capsys.readouterr().err
    assert reason in error and "hfkit export" in error and "--overwrite" in error


def test_a_file_that_is_far_from_torch_must_be_named(copy, capsys):
    change(copy, parity={"difference": 2e-4, "rows": 3, "source": "made up"})
    assert go("predict", copy, "rain", "--device", "cpu") == 0
    assert "not used: its outputs are up to 0.0002 away" in capsys.readouterr().err
    assert go("predict", copy, "rain", "--engine", "onnx") == 0
    error = capsys.readouterr().err
    assert "model.onnx answers" in error and "warning" in error


def test_what_torch_alone_does(copy, capsys, monkeypatch):
    assert go("predict", copy, "rain", "--precision", "bf16", "--device", "cpu") == 0
    assert "not used: an exported model does not compute in bf16" in capsys.readouterr().err
    assert go("predict", copy, "rain", "--precision", "bf16", "--engine", "onnx") == 2
    assert "bf16" in capsys.readouterr().err
    monkeypatch.setattr("hfkit.run.engines.find_spec", lambda name: None)
    assert go("predict", copy, "rain", "--device", "cpu") == 0
    assert "pip install 'hfkit[onnx]'" in capsys.readouterr().err


def test_a_damaged_report_is_an_error(copy, capsys):
    (copy / "onnx" / "export.json").write_text("{}")
    assert go("predict", copy, "rain") == 2
    assert "export.json: damaged" in capsys.readouterr().err


def test_damaged_weights_are_refused_by_what_reads_them(copy, capsys):
    flip(copy / "model.safetensors")
    for arguments in (["predict", copy, "rain", "--engine", "torch"], ["export", copy]):
        assert go(*arguments, "--overwrite") == 2
        assert "model.safetensors: checksum mismatch" in capsys.readouterr().err


def test_int8_is_kept_where_the_score_holds_and_used_where_named(copy, runs, capsys):
    data = runs / "toy.csv"
    assert go("export", copy, data, "--int8", "--tolerance", 30, "--overwrite", "--json") == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    names = ["model.onnx", "model.onnx_data"]
    names += ["model_quantized.onnx", "model_quantized.onnx_data"]
    assert (
        sorted(report["files"])
        == names
        == sorted(path.name for path in (copy / "onnx").iterdir() if path.name != "export.json")
    )
    measured = report["int8"]
    assert measured["kept"] and measured["metric"] == "accuracy" and measured["rows"] == 60
    assert "int8: accuracy is" in shown.err
    for engine, key in (("auto", "fp32"), ("int8", "int8")):
        named = ["--precision", "int8"] if engine == "int8" else []
        assert go("evaluate", copy, data, "--json", *named) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out)["values"]["accuracy"] == pytest.approx(measured[key])
        assert ("model_quantized.onnx answers" in shown.err) is (engine == "int8")


@pytest.mark.parametrize(("lost", "kept"), [(0.4, True), (0.6, False)])
def test_int8_that_loses_more_than_the_tolerance_is_refused(
    copy, runs, capsys, monkeypatch, lost, kept
):
    def planted(file, opened, data):
        return "accuracy", 0.9 - (lost / 100 if file.name == "model_quantized.onnx" else 0)

    monkeypatch.setattr("hfkit.run.exporting.headline", planted)
    assert go("export", copy, runs / "toy.csv", "--int8", "--overwrite") == (0 if kept else 1)
    shown = capsys.readouterr()
    assert shown.out.strip() == str(copy / "onnx")
    assert ("warning: int8 lost 0.60 points of accuracy, more than 0.5" in shown.err) is not kept
    for name in ("model_quantized.onnx", "model_quantized.onnx_data"):
        assert (copy / "onnx" / name).exists() is kept
    assert go("predict", copy, "rain", "--device", "cpu") == 0  # fp32 stands either way
    capsys.readouterr()
    assert go("predict", copy, "rain", "--precision", "int8") == (0 if kept else 2)
    assert ("int8 lost 0.60 points" in capsys.readouterr().err) is not kept


def test_int8_needs_rows_and_an_export(copy, tmp_path, capsys):
    folder = write_classifier(tmp_path / "model")
    assert go("export", folder, "--int8") == 2
    assert "rows with labels" in capsys.readouterr().err
    assert not (folder / "onnx").exists()
    assert go("predict", copy, "rain", "--precision", "int8") == 2
    error = capsys.readouterr().err
    assert "no model_quantized.onnx" in error and "--int8 --overwrite" in error


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["roberta", "distilbert", "modernbert", "deberta-v2", "electra", "mpnet"]
)
def test_other_families(tmp_path, family, capsys):
    folder = write_classifier(tmp_path / family, family)
    assert go("export", folder, "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["parity"]["difference"] <= 1e-5
