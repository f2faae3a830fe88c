"""Models exported through the command line: what is written, and what is left as it was."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from exports import OUTPUTS, TASKS, flip, go, read_report
from toys import write_base_model, write_classifier

from hfkit import garbage, hashing, sealing
from hfkit.config import PredictConfig
from hfkit.errors import InputError
from hfkit.hashing import Hashes
from hfkit.run.engines import Wanted, begin, open_engine
from hfkit.run.exported import read_exported


@pytest.mark.parametrize("name", TASKS)
def test_the_folder_says_what_it_holds(exported, name):
    folder = exported / name
    report = read_report(folder)
    assert sorted(report["files"]) == ["model.onnx", "model.onnx_data"]
    for file, entry in report["files"].items():
        assert entry["sha256"] == hashing.sha256(folder / "onnx" / file)
    weights = hashing.sha256(folder / "model.safetensors")
    config = hashing.sha256(folder / "config.json")
    assert report["model"]["files"] == {"config.json": config, "model.safetensors": weights}
    assert report["outputs"] == OUTPUTS.get(name, ["logits"])
    assert report["parity"]["difference"] <= 1e-5
    assert report["parity"]["rows"] > 20
    assert report["parity"]["source"] == TASKS[name][0]
    assert {"torch", "onnxruntime", "onnx", "onnxscript"} <= set(report["versions"])
    assert sealing.damage(folder) is None
    assert not list(folder.rglob(".*"))


@pytest.mark.parametrize("name", TASKS)
def test_the_file_computes_what_the_model_does(exported, name):
    """Against transformers itself, for several shapes, with padding."""
    import torch
    import transformers

    session = onnxruntime.InferenceSession(str(exported / name / "onnx" / "model.onnx"))
    kind = {"ner": "TokenClassification", "qa": "QuestionAnswering"}.get(
        name, "SequenceClassification"
    )
    auto = "AutoModel" if name == "vectors" else f"AutoModelFor{kind}"
    model = getattr(transformers, auto).from_pretrained(exported / name).eval()
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


def test_what_stands_there_is_kept_unless_asked(exported, capsys):
    path = exported / "ner" / "onnx" / "export.json"
    before = path.stat().st_mtime_ns
    assert go("export", exported / "ner") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert path.stat().st_mtime_ns == before
    assert go("export", exported / "ner", "--overwrite", "-q") == 0
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


def test_damaged_weights_are_refused_by_what_reads_them(exported_copy, capsys):
    flip(exported_copy / "model.safetensors")
    for arguments in (
        ["predict", exported_copy, "rain", "--engine", "torch"],
        ["export", exported_copy],
    ):
        assert go(*arguments, "--overwrite") == 2
        assert "model.safetensors: checksum mismatch" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "family", ["roberta", "distilbert", "modernbert", "deberta-v2", "electra", "mpnet"]
)
def test_other_families(tmp_path, family, capsys):
    folder = write_classifier(tmp_path / family, family)
    assert go("export", folder, "--json", "-q") == 0
    assert json.loads(capsys.readouterr().out)["parity"]["difference"] <= 1e-5


def opened(folder: Path, **wanted):
    model = Wanted(folder, "AutoModelForSequenceClassification", None, "cpu", "model", **wanted)
    return open_engine(model, PredictConfig(engine="onnx", device="cpu"))


def test_a_single_row_is_computed_without_laying_out_weights(exported):
    """And alike."""
    draw = np.random.default_rng(0)
    ids = draw.integers(5, 90, (2, 9))
    batch = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
    many, one = (opened(exported / "classification", once=once) for once in (False, True))
    options = one._session.get_session_options()
    assert options.get_session_config_entry("session.disable_prepacking") == "1"
    with pytest.raises(RuntimeError, match="disable_prepacking"):
        many._session.get_session_options().get_session_config_entry("session.disable_prepacking")
    np.testing.assert_allclose(
        one.run(batch)["logits"], many.run(batch)["logits"], rtol=0, atol=1e-5
    )


@pytest.mark.parametrize(
    ("engine", "far", "begun"),
    [("onnx", False, True), ("auto", False, True), ("torch", False, False),
     ("auto", True, False), ("onnx", True, True)],
)  # fmt: skip
def test_hashes_begin_early_where_the_file_is_going_to_answer(
    exported_copy, monkeypatch, engine, far, begun
):
    if far:
        path = exported_copy / "onnx" / "export.json"
        report = json.loads(path.read_text("utf-8"))
        report["parity"]["difference"] = 1.0
        path.write_text(json.dumps(report), "utf-8")
    monkeypatch.setattr("hfkit.run.engines.has_accelerator", lambda: False)
    given = []
    monkeypatch.setattr(Hashes, "begin", lambda self, paths: given.extend(paths))
    begin(exported_copy, PredictConfig(engine=engine), "auto", Hashes())
    assert given == [exported_copy / "onnx" / "model.onnx_data"] * begun


def test_a_model_that_has_no_manifest_is_hashed_too(exported_copy, monkeypatch):
    (exported_copy / "manifest.json").unlink()
    given = []
    monkeypatch.setattr(Hashes, "begin", lambda self, paths: given.extend(paths))
    begin(exported_copy, PredictConfig(engine="onnx"), "cpu", Hashes())
    assert [path.name for path in given] == ["model.onnx_data", "model.safetensors"]


def test_a_model_whose_configuration_has_changed_answers_itself(exported_copy, capsys):
    """A run's is sealed; any other model's is compared."""
    for file in ("manifest.json", "hfkit.yaml"):
        (exported_copy / file).unlink()
    assert go("export", exported_copy, "--device", "cpu", "--overwrite", "-q") == 0
    path = exported_copy / "config.json"
    path.write_text(path.read_text("utf-8").replace('"gelu"', '"relu"'), "utf-8")
    capsys.readouterr()
    assert go("predict", exported_copy, "some text", "--device", "cpu") == 0
    assert "not used: the model has changed since" in capsys.readouterr().err


def test_weights_that_the_report_does_not_name_are_not_used(exported_copy, capsys):
    path = exported_copy / "onnx" / "export.json"
    report = json.loads(path.read_text("utf-8"))
    del report["files"]["model.onnx_data"]
    path.write_text(json.dumps(report), "utf-8")
    assert go("predict", exported_copy, "some text", "--device", "cpu") == 0
    assert "model.onnx_data: not in export.json" in capsys.readouterr().err


def test_nothing_is_told_where_hashes_begin(exported_copy):
    """But where they are compared."""
    (exported_copy / "onnx" / "export.json").write_text("{", "utf-8")
    begin(exported_copy, PredictConfig(engine="onnx"), "cpu", Hashes())
    with pytest.raises(InputError, match=r"export\.json: damaged"):
        opened(exported_copy)


def test_garbage_is_looked_for_as_usual_once_a_file_answers(exported):
    before = gc.get_threshold()
    garbage.seldom()
    assert gc.get_threshold() > before
    opened(exported / "classification")
    assert gc.get_threshold() == before
