"""The options of the built-in tasks. Light on purpose: the command line makes flags of them."""

from __future__ import annotations

from typing import Literal

from hfkit.config import Section, setting


class NoOptions(Section):
    """A task without options."""


class ClassificationOptions(Section):
    """Options of `classification`."""

    problem: Literal["auto", "single-label", "multi-label", "regression"] = setting(
        "auto", "Kind of answer; auto goes by the label column", changes_result=True
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none",
        "balanced: rare classes weigh more, by 1/frequency",
        changes_result=True,
        training_only=True,
    )
    label_smoothing: float = setting(
        0.0,
        "Share of the target spread over all classes",
        changes_result=True,
        training_only=True,
        ge=0,
        lt=1,
    )
    on_long: Literal["window", "truncate", "error"] = setting(
        "window", "Texts longer than max_length: read in windows, cut, or stop", changes_result=True
    )
    stride: int | None = setting(
        None,
        "Tokens that neighbouring windows share; default: a quarter window",
        changes_result=True,
        ge=0,
    )
    threshold: float = setting(
        0.5, "Multi-label: score from which a label is given", changes_result=True, gt=0, lt=1
    )
