"""Models exported for OpenVINO through the command line, alone and beside ONNX."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pages import write_files
from toys import read_jsonl, toy_rows, write_base_model, write_classifier, write_csv

import hfkit
from hfkit import hashing
from hfkit.cli.app import run as command_line
from hfkit.imports import import_openvino
from hfkit.processor import Processor, this_processor

HEAVY = [
    "torch", "transformers", "datasets", "pandas", "pyarrow", "accelerate", "sklearn", "scipy",
    "onnxruntime", "openvino_telemetry",
]  # fmt: skip
NATIVE = this_processor().has_bf16


def go(*arguments):
    return command_line([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def models(tmp_path_factory, tiny_base_folder):
    """A short run of a classifier exported for both engines, and an encoder for OpenVINO."""
    folder = write_files(tmp_path_factory.mktemp("models"))
    write_csv(folder / "toy.csv", toy_rows(60))
    code = go(
        "finetune", folder / "toy.csv", "-m", tiny_base_folder, "-o", folder / "classifier",
        "--validation", folder / "toy.csv", "--max-steps", 2, "--max-length", 64,
        "--device", "cpu", "-q",
    )  # fmt: skip
    assert code == 0
    write_base_model(folder / "encoder")
    assert go("export", folder / "classifier", folder / "toy.csv", "-q") == 0
    for name, flags in {
        "classifier": [folder / "toy.csv"],
        "encoder": ["-t", "similarity"],
    }.items():
        assert go("export", folder / name, *flags, "--engine", "openvino", "-q") == 0
    return folder


@pytest.fixture
def copy(models, tmp_path):
    """The classifier, to be changed."""
    return shutil.copytree(models / "classifier", tmp_path / "copy")


def flip(path):
    """Change one bit in the middle of a file."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def probabilities(*arguments):
    """The scores that `predict` writes, one array per row."""
    out = Path(str(arguments[-1]))
    assert go("predict", *arguments[:-1], "-o", out, "--scores") == 0
    return np.array([list(row["prediction"]["scores"].values()) for row in read_jsonl(out)])


@pytest.mark.parametrize(("name", "outputs"), [("classifier", "logits"), ("encoder", "embeddings")])
def test_the_folder_says_what_it_holds(models, name, outputs):
    folder = models / name / "openvino"
    report = json.loads((folder / "export.json").read_text("utf-8"))
    ready = [] if name == "classifier" else ["tokenizer.json"]  # of a run it lies in its folder
    assert sorted(report["files"]) == ["openvino_model.bin", "openvino_model.xml", *ready]
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", *report["files"]]
    for file, entry in report["files"].items():
        assert entry["sha256"] == hashing.sha256(folder / file)
    assert report["outputs"] == [outputs]
    assert report["inputs"] == ["input_ids", "attention_mask", "token_type_ids"]
    assert report["parity"]["difference"] <= 1e-5
    assert report["parity"]["source"] == ("toy.csv" if name == "classifier" else "made up")
    assert {"torch", "openvino"} <= set(report["versions"])
    assert not list(models.rglob(".*"))


def test_the_file_computes_what_the_model_does(models):
    """Against transformers itself, for several shapes, with padding, and read by OpenVINO alone."""
    import torch
    from transformers import AutoModelForSequenceClassification

    path = models / "classifier" / "openvino" / "openvino_model.xml"
    settings = {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = import_openvino().Core().compile_model(str(path), "CPU", settings)
    model = AutoModelForSequenceClassification.from_pretrained(models / "classifier").eval()
    draw = np.random.default_rng(0)
    for rows, length in [(1, 1), (1, 7), (5, 3), (3, 64), (2, 128)]:
        ids = draw.integers(5, 90, (rows, length))
        mask = np.ones_like(ids)
        mask[-1, max(1, length // 2) :] = 0
        batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
        with torch.no_grad():
            wanted = model(**{key: torch.from_numpy(value) for key, value in batch.items()}).logits
        np.testing.assert_allclose(compiled(batch)["logits"], wanted, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_answers_are_those_of_torch(models, tmp_path, capsys, threads):
    found = {}
    for engine in ("torch", "openvino", "auto"):
        found[engine] = probabilities(
            models / "classifier", models / "toy.csv", "--engine", engine, "--device", "cpu",
            "--threads", threads, "-b", 8, tmp_path / f"{engine}.jsonl",
        )  # fmt: skip
        said = capsys.readouterr().err
        assert ("openvino_model.xml answers" in said) is (engine != "torch")
    np.testing.assert_allclose(found["openvino"], found["torch"], atol=1e-5)
    np.testing.assert_array_equal(found["openvino"], found["auto"])


def test_vectors_are_those_of_torch(models):
    texts = ["Anna left", "the key is under the mat " * 20, "a"]
    here, there = (
        hfkit.embed(str(models / "encoder"), texts, engine=name) for name in ("torch", "openvino")
    )
    np.testing.assert_allclose(here, there, atol=1e-5)


@pytest.mark.skipif(not NATIVE, reason="this processor has no bf16 of its own")
def test_bf16_answers_where_it_is_named(models, tmp_path, capsys):
    asked = (models / "classifier", models / "toy.csv", "--engine", "openvino")
    exact = probabilities(*asked, tmp_path / "fp32.jsonl")
    capsys.readouterr()
    rounded = probabilities(*asked, "--precision", "bf16", tmp_path / "bf16.jsonl")
    assert "openvino_model.xml answers" in capsys.readouterr().err
    assert 0 < np.abs(exact - rounded).max() < 0.05


def test_bf16_alone_is_torchs(models, capsys):
    flags = ("--precision", "bf16", "--device", "cpu")
    assert go("predict", models / "classifier", "rain", *flags) == 0
    said = capsys.readouterr().err
    assert "openvino: the exported model is not used: bf16 needs --engine openvino" in said
    assert "answers" not in said


def test_bf16_that_the_processor_lacks_is_refused(models, monkeypatch, capsys):
    monkeypatch.setattr("hfkit.run.engines.this_processor", Processor)
    flags = ("--engine", "openvino", "--precision", "bf16")
    assert go("predict", models / "classifier", "rain", *flags) == 2
    assert "no bf16 of its own" in capsys.readouterr().err


def test_int8_is_onnxs(models, capsys):
    flags = ("--engine", "openvino", "--precision", "int8")
    assert go("predict", models / "classifier", "rain", *flags) == 2
    assert "openvino has no int8 here; use --engine onnx" in capsys.readouterr().err
    assert go("export", models / "encoder", "--engine", "openvino", "--int8", "--overwrite") == 2
    assert "openvino has no int8 here; use --engine onnx" in capsys.readouterr().err


def test_one_of_two_that_is_damaged_leaves_the_other(copy, capsys):
    flip(copy / "openvino" / "openvino_model.bin")
    assert go("predict", copy, "rain", "--device", "cpu") == 0
    said = capsys.readouterr().err
    assert "openvino_model.bin: checksum mismatch" in said and "model.onnx answers" in said
    assert go("predict", copy, "rain", "--engine", "openvino") == 2
    said = capsys.readouterr().err
    assert "checksum mismatch" in said
    assert f"hfkit export {copy} --engine openvino --overwrite" in said


def test_each_is_exported_and_kept_by_itself(copy, capsys):
    before = hashing.sha256(copy / "onnx" / "export.json")
    assert go("export", copy, "--engine", "openvino") == 2
    assert "openvino: exported already" in capsys.readouterr().err
    assert go("export", copy, "--engine", "openvino", "--overwrite", "-q") == 0
    assert hashing.sha256(copy / "onnx" / "export.json") == before
    shutil.rmtree(copy / "openvino")
    assert go("predict", copy, "rain", "--engine", "openvino") == 2
    assert f"not been exported; hfkit export {copy} --engine openvino" in capsys.readouterr().err


def test_a_package_that_is_not_installed_is_named(copy, monkeypatch, capsys):
    monkeypatch.setattr("hfkit.run.engines.find_spec", lambda name: None)
    assert go("predict", copy, "rain", "--engine", "openvino") == 2
    assert "pip install 'hfkit[openvino]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "classifier", "rain"],
        ["predict", "classifier", "toy.csv"],
        ["evaluate", "classifier", "toy.csv"],
        ["load", "classifier"],
    ],
    ids=" ".join,
)
def test_what_it_leaves_unimported(models, arguments):
    code = (
        "import sys\n"
        "from hfkit.cli.app import run\n"
        "import hfkit\n"
        "if sys.argv[1] == 'load':\n"
        "    done = len(hfkit.load(sys.argv[2], device='cpu').predict(['rain'])) - 1\n"
        "else:\n"
        "    done = run(sys.argv[1:])\n"
        "assert 'openvino' in sys.modules\n"
        f"found = sorted(set({HEAVY}) & set(sys.modules))\n"
        "sys.exit(f'imported: {found}' if found else done)"
    )
    environment = {**os.environ, "HFKIT_DEVICE": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=models, env=environment,
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["roberta", "distilbert", "modernbert", "deberta-v2", "electra", "mpnet"]
)
def test_other_families(tmp_path, family, capsys):
    folder = write_classifier(tmp_path / family, family)
    assert go("export", folder, "--engine", "openvino", "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["parity"]["difference"] <= 1e-5


@pytest.mark.parametrize("verb", ["predict", "export"])
def test_openvino_reports_to_nobody(models, tmp_path, verb):
    """Its package that reports writes `~/intel` at every import and sends from a new process."""
    code = (
        "import sys\n"
        "from hfkit.cli.app import run\n"
        "code = run(sys.argv[1:])\n"
        "assert 'openvino' in sys.modules and 'openvino_telemetry' not in sys.modules\n"
        "sys.exit(code)"
    )
    flags = ["rain"] if verb == "predict" else ["--overwrite", "-q"]
    folder = shutil.copytree(models / "classifier", tmp_path / "copy")
    home = tmp_path / "home"
    home.mkdir()
    given = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [sys.executable, "-c", code, verb, str(folder), *flags, "--engine", "openvino"],
        env={**given, "HOME": str(home)}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not (home / "intel").exists()
