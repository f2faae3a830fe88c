"""Models exported in int8: kept where the score holds, and used where they are named."""

from __future__ import annotations

import json
import shutil
from collections import Counter

import onnx
import pytest
from exports import TASKS, go, read_report
from toys import toy_rows, write_classifier, write_csv

from hfkit.run.int8_rows import part

FILES = ["model.onnx", "model.onnx_data", "model_quantized.onnx", "model_quantized.onnx_data"]


@pytest.fixture(scope="module")
def other_rows(tmp_path_factory):
    """Labelled rows that no run was trained on."""
    return write_csv(tmp_path_factory.mktemp("other") / "other.csv", toy_rows(40, seed=9))


@pytest.mark.parametrize("method", ["dynamic", "static"])
def test_int8_is_kept_where_the_score_holds_and_used_where_named(
    exported_copy, other_rows, capsys, method
):
    asked = ["--int8", "--int8-method", method, "--tolerance", 30, "--overwrite", "--json"]
    assert go("export", exported_copy, other_rows, *asked) == 0
    shown = capsys.readouterr()
    report = json.loads(shown.out)
    folder = exported_copy / "onnx"
    assert sorted(report["files"]) == FILES
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", *FILES]
    measured = report["int8"]
    assert measured["kept"] and measured["metric"] == "accuracy" and measured["rows"] == 40
    assert measured["method"] == method
    calibrated = {"calibrated_on": {"rows": 60, "source": "toy.csv"}} if method == "static" else {}
    assert {key: measured[key] for key in measured if key == "calibrated_on"} == calibrated
    assert ("its scales are from 60 rows of toy.csv" in shown.err) is (method == "static")
    found = Counter(
        node.op_type for node in onnx.load(folder / FILES[2], load_external_data=False).graph.node
    )
    # The one finds the range of its inputs as it goes, the other has it.
    assert (found["DynamicQuantizeMatMul"] > 0) is (method == "dynamic")
    assert "int8: accuracy is" in shown.err
    for engine, key in (("auto", "fp32"), ("int8", "int8")):
        named = ["--precision", "int8"] if engine == "int8" else []
        assert go("evaluate", exported_copy, other_rows, "--json", *named) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out)["values"]["accuracy"] == pytest.approx(measured[key])
        assert ("model_quantized.onnx answers" in shown.err) is (engine == "int8")


@pytest.mark.parametrize("method", ["dynamic", "static"])
@pytest.mark.parametrize(("lost", "kept"), [(0.4, True), (0.6, False)])
def test_int8_that_loses_more_than_the_tolerance_is_refused(
    exported_copy, exported, capsys, monkeypatch, lost, kept, method
):
    def planted(file, opened, data):
        return "accuracy", 0.9 - (lost / 100 if file.name == "model_quantized.onnx" else 0)

    monkeypatch.setattr("hfkit.run.exporting.headline", planted)
    asked = ["--int8", "--int8-method", method, "--overwrite"]
    assert go("export", exported_copy, exported / "toy.csv", *asked) == (0 if kept else 1)
    shown = capsys.readouterr()
    assert read_report(exported_copy)["int8"]["method"] == method
    assert shown.out.strip() == str(exported_copy / "onnx")
    assert ("warning: int8 lost 0.60 points of accuracy, more than 0.5" in shown.err) is not kept
    for name in ("model_quantized.onnx", "model_quantized.onnx_data"):
        assert (exported_copy / "onnx" / name).exists() is kept
    assert go("predict", exported_copy, "rain", "--device", "cpu") == 0  # fp32 stands either way
    capsys.readouterr()
    assert go("predict", exported_copy, "rain", "--precision", "int8") == (0 if kept else 2)
    assert ("int8 lost 0.60 points" in capsys.readouterr().err) is not kept


def test_int8_needs_rows_and_an_export(exported_copy, tmp_path, capsys):
    folder = write_classifier(tmp_path / "model")
    assert go("export", folder, "--int8") == 2
    assert "rows with labels" in capsys.readouterr().err
    assert not (folder / "onnx").exists()
    assert go("predict", exported_copy, "rain", "--precision", "int8") == 2
    error = capsys.readouterr().err
    assert "no model_quantized.onnx" in error and "--int8 --overwrite" in error


def test_what_gives_the_scales_is_not_scored(exported_copy, exported, capsys, monkeypatch):
    """The run was trained on these very rows: a half of them is left out of the score."""
    scored = []

    def watched(file, opened, data):
        scored.append({row["text"] for row in data.rows})
        return "accuracy", 1.0

    parted = []

    def parting(opened, data):
        parted.append(part(opened, data))
        return parted[0]

    monkeypatch.setattr("hfkit.run.exporting.headline", watched)
    monkeypatch.setattr("hfkit.run.exporting.part", parting)
    asked = ["--int8", "--int8-method", "static", "--overwrite", "--json"]
    assert go("export", exported_copy, exported / "toy.csv", *asked) == 0
    shown = capsys.readouterr()
    measured = json.loads(shown.out)["int8"]
    assert "warning: no training data beside these rows are at hand: 30 rows of toy.csv" in (
        shown.err.replace(str(exported) + "/", "")
    )
    assert measured["calibrated_on"] == {"rows": 30, "source": "toy.csv"}
    assert measured["rows"] == len(parted[0].scored.rows) <= 30
    calibrated = {row["text"] for row in parted[0].calibration.rows}
    assert len(scored) == 2 and scored[0] == scored[1] and not scored[0] & calibrated


@pytest.mark.parametrize("name", ["ner", "qa", "vectors", "pairs"])
def test_every_task_can_be_calibrated(exported, tmp_path, name, capsys):
    folder = shutil.copytree(exported / name, tmp_path / name)
    data = exported / TASKS[name][0]
    asked = ["--int8", "--int8-method", "static", "--tolerance", 100, "--overwrite", "--json"]
    assert go("export", folder, data, *asked) == 0
    measured = json.loads(capsys.readouterr().out)["int8"]
    assert measured["kept"] and measured["calibrated_on"]["rows"] > 10
    assert go("evaluate", folder, data, "--precision", "int8", "-q") == 0


def test_static_int8_needs_int8_and_rows_enough(exported_copy, tmp_path, capsys):
    one = write_csv(tmp_path / "one.csv", toy_rows(1))
    assert go("export", exported_copy, one, "--int8-method", "static", "--overwrite") == 2
    assert "--int8-method" in capsys.readouterr().err
    plain = write_classifier(tmp_path / "plain")
    asked = ["--int8", "--int8-method", "static", "--overwrite"]
    assert go("export", plain, one, *asked) == 2
    assert "too few rows" in capsys.readouterr().err
    assert not (plain / "onnx").exists()
