"""What an exported model answers, without torch, and when it is not asked."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from exports import HEAVY, TASKS, answers, change_report, flip, go
from toys import write_classifier

import hfkit
from hfkit.run.exported import read_tokenizer
from hfkit.text import from_transformers


@pytest.mark.parametrize("name", TASKS)
def test_answers_are_those_of_torch(exported, name, tmp_path, capsys):
    data = exported / TASKS[name][0]
    found = []
    for engine in ("torch", "onnx", "auto"):
        out = tmp_path / f"{engine}.jsonl"
        assert go("predict", exported / name, data, "-o", out, "--scores", "--engine", engine) == 0
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
def test_scores_are_those_of_torch(exported, name, tmp_path):
    found = []
    for engine in ("torch", "onnx"):
        out = tmp_path / f"{engine}.json"
        data = exported / TASKS[name][0]
        assert go("evaluate", exported / name, data, "-o", out, "--engine", engine, "-q") == 0
        found.append(json.loads(out.read_text())["values"])
    for key, value in found[0].items():
        assert found[1][key] == pytest.approx(value, abs=1e-4), key


def test_vectors_are_those_of_torch(exported):
    texts = ["Anna left", "the key is under the mat " * 20, "a"]
    found = [
        hfkit.embed(str(exported / "vectors"), texts, engine=name) for name in ("torch", "onnx")
    ]
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
        ["search", "vectors", "corpus.jsonl", "Who left Bern?"],
        ["load", "classification"],
        ["predict", "plain", "rain"],
        ["evaluate", "plain", "toy.csv"],
        ["load", "plain"],
        ["embed", "encoder", "a text"],
        ["search", "encoder", "corpus.jsonl", "queries.jsonl"],
    ],
    ids=" ".join,
)
def test_what_it_leaves_unimported(exported, arguments):
    done = unimporting(exported, arguments)
    assert done.returncode == 0, done.stderr


def unimporting(folder, arguments):
    """Run a command line in `folder`; it fails where it has imported one of `HEAVY`."""
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
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=folder, env=environment,
        capture_output=True, text=True, timeout=100,
    )  # fmt: skip


TEXTS = ["Rain again", "雨 in the 1990s, don't", "", "the song " * 200]


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_the_tokenizer_of_a_model_that_is_no_run_is_that_of_transformers(tmp_path, family):
    folder = write_classifier(tmp_path / "model", family)
    assert go("export", folder, "-q") == 0
    ready, made = read_tokenizer(folder, 64), from_transformers(folder, 64)
    assert (ready.padding, ready.null_id) == (made.padding, made.null_id)
    assert ready.encode(TEXTS, on_long="window") == made.encode(TEXTS, on_long="window")
    pairs = [TEXTS, TEXTS[::-1]]
    assert ready.encode(*pairs, located=True) == made.encode(*pairs, located=True)


@pytest.mark.parametrize(
    "outdate",
    [
        lambda folder: flip(folder / "onnx" / "tokenizer.json"),
        lambda folder: (folder / "onnx" / "tokenizer.json").unlink(),
        lambda folder: change_report(folder, tokenizer={"made_from": {}}),
        lambda folder: (folder / "special_tokens_map.json").write_text("{}"),
    ],
    ids=["damaged", "lost", "made of others", "another file"],
)
def test_a_tokenizer_that_is_outdated_is_made_by_transformers(exported, tmp_path, outdate):
    folder = tmp_path / "plain"
    shutil.copytree(exported / "plain", folder)
    outdate(folder)
    assert read_tokenizer(folder, 64) is None
    done = unimporting(tmp_path, ["predict", "plain", "rain"])
    assert "transformers" in done.stderr  # it was imported
    assert json.loads(done.stdout)["prediction"]


@pytest.mark.processes
def test_two_processes_without_torch(exported, tmp_path, monkeypatch):
    found = []
    monkeypatch.chdir(exported)
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


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda folder: flip(folder / "onnx" / "model.onnx_data"),
            "model.onnx_data: checksum mismatch",
        ),
        (
            lambda folder: change_report(folder, model={"files": {"model.safetensors": "0"}}),
            "has changed",
        ),
        (lambda folder: change_report(folder, computes={}), "something else"),
        (lambda folder: change_report(folder, files={}), "no model.onnx"),
    ],
    ids=["damaged", "other weights", "other head", "no file"],
)
def test_what_does_not_fit_is_not_used(exported_copy, capsys, damage, reason):
    damage(exported_copy)
    assert go("predict", exported_copy, "rain", "--device", "cpu") == 0
    shown = capsys.readouterr()
    assert "exported model is not used" in shown.err and reason in shown.err
    assert json.loads(shown.out)["prediction"]
    assert go("predict", exported_copy, "rain", "--engine", "onnx") == 2
    error = capsys.readouterr().err
    assert f"{exported_copy / 'onnx'}: " in error and reason in error
    assert "hfkit export" in error and "--overwrite" in error


def test_a_file_that_is_far_from_torch_must_be_named(exported_copy, capsys):
    change_report(exported_copy, parity={"difference": 2e-4, "rows": 3, "source": "made up"})
    assert go("predict", exported_copy, "rain", "--device", "cpu") == 0
    assert "not used: its outputs are up to 0.0002 away" in capsys.readouterr().err
    assert go("predict", exported_copy, "rain", "--engine", "onnx") == 0
    error = capsys.readouterr().err
    assert "model.onnx answers" in error and "warning" in error


def test_what_torch_alone_does(exported_copy, capsys, monkeypatch):
    assert go("predict", exported_copy, "rain", "--precision", "bf16", "--device", "cpu") == 0
    assert "not used: an exported model does not compute in bf16" in capsys.readouterr().err
    assert go("predict", exported_copy, "rain", "--precision", "bf16", "--engine", "onnx") == 2
    assert "bf16" in capsys.readouterr().err
    monkeypatch.setattr("hfkit.run.engines.find_spec", lambda name: None)
    assert go("predict", exported_copy, "rain", "--device", "cpu") == 0
    assert "pip install 'hfkit[onnx]'" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["{}", "{"])
def test_a_damaged_report_is_an_error_where_the_engine_is_named(exported_copy, capsys, content):
    (exported_copy / "onnx" / "export.json").write_text(content)
    assert go("predict", exported_copy, "rain", "--device", "cpu") == 0
    shown = capsys.readouterr()
    assert "the exported model is not used" in shown.err
    assert "export.json: damaged" in shown.err and json.loads(shown.out)["prediction"]
    assert go("predict", exported_copy, "rain", "--engine", "onnx") == 2
    assert "export.json: damaged" in capsys.readouterr().err


def test_a_model_without_its_vocabulary_is_refused(exported_copy, capsys):
    """transformers would make a tokenizer without a word of it."""
    for file in ("manifest.json", "hfkit.yaml", "tokenizer.json"):
        (exported_copy / file).unlink()
    for file in ("vocab.txt", "special_tokens_map.json"):
        (exported_copy / file).unlink(missing_ok=True)
    (exported_copy / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    capsys.readouterr()
    assert go("predict", exported_copy, "some text", "--device", "cpu") == 2
    assert "no tokenizer in this folder (tekken.json, tokenizer.json" in capsys.readouterr().err


def test_a_run_without_its_settings_is_refused(exported_copy, capsys):
    (exported_copy / "hfkit.yaml").unlink()
    assert go("predict", exported_copy, "some text", "--device", "cpu") == 2
    assert "damaged: hfkit.yaml: missing" in capsys.readouterr().err


def test_a_text_that_is_not_utf8_is_told_as_that(exported_copy, capsys):
    for words in (["some \udcff text"], ["--text", "some", "\udcff"], ["text=\udcff"]):
        assert go("predict", exported_copy, *words, "--device", "cpu") == 2
        assert "the text typed here: bytes that are not valid UTF-8" in capsys.readouterr().err
