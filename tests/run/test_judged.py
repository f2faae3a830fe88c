"""What is fitted on made answers whose truth is known, and what that is worth on rows held out."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

from hfkit.errors import InputError
from hfkit.nbest import Span
from hfkit.run.calibration import calibrate
from hfkit.run.judged import Alike, AnswersFound, EntitiesFound, ManyLabels, OneLabel
from hfkit.tasks.qa import QuestionAnswering
from hfkit.temperature import log_odds, sigmoid, softmax

LABELS = ["a", "b", "c"]


def one_label(count: int, factor: float, seed: int = 0) -> tuple[list[Any], list[Any]]:
    """Answers that are too sure by a factor."""
    chance = np.random.default_rng(seed)
    logits = 2 * chance.normal(size=(count, 3))
    gold = [{"label": LABELS[chance.choice(3, p=row)]} for row in softmax(logits)]
    scores = softmax(factor * logits)
    return [{"scores": dict(zip(LABELS, row.tolist(), strict=True))} for row in scores], gold


def test_a_model_that_is_too_sure_becomes_honest() -> None:
    fit = calibrate(OneLabel(*one_label(800, 3.0)), 800, 0.9)
    assert fit.decided["temperature"] == pytest.approx(3.0, rel=0.15)
    for name in ("ece", "ece_equal_mass", "brier", "nll"):
        assert fit.after[name] < fit.before[name], name
    assert fit.after["ece"] < 0.06
    assert fit.after["accuracy"] == fit.before["accuracy"]
    assert sum(one["count"] for one in fit.curves["after"]) == 800
    abstaining = fit.abstaining
    assert abstaining is not None and abstaining.precision >= 0.9
    held_out = abstaining.held_out["precision"]
    assert held_out is not None and held_out > 0.85
    assert 0 < abstaining.coverage < 1


def test_entities_whose_scores_say_little_are_laid_on_a_line() -> None:
    chance = np.random.default_rng(1)
    scores = sigmoid(chance.normal(3, 1, size=600))
    right = chance.random(600) < sigmoid(0.8 * log_odds(scores) - 2.5)
    answers = [
        {"entities": [{"start": 0, "end": 3, "label": "X", "score": float(score)}]}
        for score in scores
    ]
    gold = [{"entities": [{"start": 0, "end": 3 + (not yes), "label": "X"}]} for yes in right]
    fit = calibrate(EntitiesFound(answers, gold), 600)
    assert fit.decided["score_slope"] == pytest.approx(0.8, abs=0.25)
    assert fit.decided["score_offset"] == pytest.approx(-2.5, abs=0.8)
    assert fit.after["ece"] < 0.08 < 0.3 < fit.before["ece"]


def test_each_of_several_labels_has_the_threshold_it_needs() -> None:
    chance = np.random.default_rng(2)
    truth = chance.random((300, 2)) < 0.3
    shift = np.array([-2.0, 1.0])  # both sure, the one far below a half, the other far above
    scores = sigmoid(np.where(truth, 1.5, -1.5) + chance.normal(size=(300, 2)) + shift)
    answers = [{"scores": dict(zip("xy", row.tolist(), strict=True))} for row in scores]
    gold = [{"labels": [name for name, yes in zip("xy", row, strict=True) if yes]} for row in truth]
    fit = calibrate(ManyLabels(answers, gold), 300)
    assert fit.decided["thresholds"]["x"] < 0.5 < fit.decided["thresholds"]["y"]
    assert fit.after["f1_macro"] > fit.before["f1_macro"] + 0.1


def test_questions_get_a_threshold_and_a_temperature() -> None:
    chance = np.random.default_rng(3)
    task = QuestionAnswering(QuestionAnswering.Options())
    task.decisions = {"null_threshold": 50.0}  # it always answers
    candidates, gold = [], []
    for number in range(200):
        answerable = number % 2 == 0
        margin = float(chance.normal(6 if answerable else -6, 4))
        candidates.append(([Span("x y", 0, 3, margin), Span("z", 4, 5, margin - 9)], 0.0))
        text = "x y" if chance.random() < 0.8 else "other"
        gold.append({"answers": [{"text": text, "start": 0}] if answerable else []})
    answers = [task.answer(*one) for one in candidates]
    judged = AnswersFound(answers, gold, candidates, task.null_threshold)
    events = judged.at({})
    assert events.confidences == pytest.approx([answer["score"] for answer in answers])
    fit = calibrate(judged, 200)
    assert abs(fit.decided["null_threshold"]) < 12
    assert fit.after["f1"] > fit.before["f1"] + 0.2
    assert fit.after["nll"] < fit.before["nll"]
    task.decisions = dict(fit.decided)  # what predict then says is what was judged
    said = [task.answer(*one)["score"] for one in candidates]
    assert judged.at(fit.decided).confidences == pytest.approx(said)


def test_the_scale_of_likeness() -> None:
    chance = np.random.default_rng(4)
    raw = chance.random(100)
    labels = 5 * raw + chance.normal(0, 0.1, 100)
    fit = calibrate(Alike(raw, labels, {"scale": [0.0, 5.0]}, same=False), 100)
    assert fit.decided["slope"] == pytest.approx(5, abs=0.2)
    assert fit.after["mse"] < 0.02 < fit.before["mse"]
    with pytest.raises(InputError, match="are no confidences"):
        calibrate(Alike(raw, labels, {}, same=False), 100, 0.9)


def test_what_cannot_be_had_is_said(caplog: pytest.LogCaptureFixture) -> None:
    answers, _ = one_label(60, 1.0)
    best = [{"label": max(one["scores"], key=one["scores"].get)} for one in answers]
    with caplog.at_level(logging.WARNING):
        fit = calibrate(OneLabel(answers, best), 60)
    assert fit.decided == {}
    assert "every answer is right, or" in caplog.text
    wrong = [{"label": min(one["scores"], key=one["scores"].get)} for one in answers]
    with pytest.raises(InputError, match="no confidence gives a precision"):
        calibrate(OneLabel(answers, wrong), 60, 0.9)
    with pytest.raises(InputError, match="20 rows are too few"):
        calibrate(OneLabel(answers[:20], best[:20]), 20)


def test_a_precision_that_rows_held_out_do_not_reach_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    chance = np.random.default_rng(1)
    sure, right = chance.uniform(0.5, 1, 60), chance.random(60) < 0.8  # confidence tells nothing
    answers = [{"label": "a", "scores": {"a": one, "b": 1 - one}} for one in sure]
    gold = [{"label": "a" if one else "b"} for one in right]
    fit = calibrate(OneLabel(answers, gold), 60, 0.9)
    assert fit.abstaining is not None and fit.abstaining.precision >= 0.9
    held_out = fit.abstaining.held_out["precision"]
    assert held_out is not None and held_out < 0.9
    assert f"the precision is {held_out:.1%}, not 90.0%" in caplog.text
