"""An engine that was named is the one that computes, or there is an error; never another."""

from __future__ import annotations

import pytest

from hfkit.cli.app import run
from hfkit.config import PredictConfig
from hfkit.infer.predictor import is_unpadded
from hfkit.run.opening import open_run
from hfkit.run.predicting import make_predictor
from hfkit.serve.watched import Watched


@pytest.mark.parametrize(
    ("flag", "value"), [("--engine", "onnx"), ("--engine", "openvino"), ("--precision", "int8")]
)
def test_what_cannot_compute_is_refused(tiny_classifier_folder, capsys, flag, value):
    code = run(["predict", str(tiny_classifier_folder), "a text", flag, value])
    shown = capsys.readouterr()
    assert code == 2
    assert flag in shown.err and shown.out == ""


def test_torch_can_be_named(tiny_classifier_folder, capsys):
    assert run(["predict", str(tiny_classifier_folder), "a text", "--engine", "torch"]) == 0
    assert capsys.readouterr().out


def test_who_cuts_batches_knows_that_padding_is_not_computed(tiny_classifier_folder):
    config = PredictConfig(engine="torch", device="cpu")
    engine = make_predictor(open_run(str(tiny_classifier_folder), config), config).engine
    assert is_unpadded(engine) and is_unpadded(Watched(engine, None))
