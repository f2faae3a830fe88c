"""An engine that was named is the one that computes, or there is an error; never another."""

from __future__ import annotations

import pytest

from hfkit.cli.app import run


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
