"""The shells of the SQuAD scorers: keys and scale of the Hub's, beside the official rules."""

import numpy as np
import pytest
from squad_rules import normal, official, random_case

from hfkit.errors import InputError
from hfkit.metrics import shells
from hfkit.metrics.user import user_metric


def references(golds):
    return [
        {"id": str(number), "answers": {"text": one, "answer_start": [0] * len(one)}}
        for number, one in enumerate(golds)
    ]


def predictions(texts, chances=None):
    given = [{"id": str(number), "prediction_text": text} for number, text in enumerate(texts)]
    if chances is not None:
        given = [
            {**one, "no_answer_probability": float(chance)}
            for one, chance in zip(given, chances, strict=True)
        ]
    return given


def test_squad_v2_equals_the_official_rules():
    random = np.random.default_rng(0)
    texts, golds, scores = random_case(random, 300)
    chances = (scores - scores.min()) / np.ptp(scores)
    found = shells.load("squad_v2").compute(
        predictions=predictions(texts, chances), references=references(golds)
    )
    expected = {name: 100 * value for name, value in official(texts, golds, chances).items()}
    assert found["exact"] == pytest.approx(expected["exact_match"])
    assert found["f1"] == pytest.approx(expected["f1"])
    assert found["HasAns_f1"] == pytest.approx(expected["has_answer_f1"])
    assert (
        found["NoAns_exact"] == found["NoAns_f1"] == pytest.approx(expected["no_answer_accuracy"])
    )
    assert found["best_exact"] == pytest.approx(expected["best_exact_match"])
    assert found["best_f1"] == pytest.approx(expected["best_f1"])
    assert found["total"] == found["HasAns_total"] + found["NoAns_total"] == 300
    assert set(found) == {
        *("exact", "f1", "total", "HasAns_exact", "HasAns_f1", "HasAns_total"),
        *("NoAns_exact", "NoAns_f1", "NoAns_total"),
        *("best_exact", "best_exact_thresh", "best_f1", "best_f1_thresh"),
    }


def test_above_the_threshold_there_is_no_answer():
    shell = shells.load("squad_v2")
    found = shell.compute(
        predictions=predictions(["x", "y"], [0.9, 0.1]),
        references=references([[], ["y"]]),
        no_answer_threshold=0.5,
    )
    assert found["f1"] == 100.0
    assert found["best_f1_thresh"] == pytest.approx(0.1)


def test_squad_is_the_mean_of_the_best_over_golds():
    found = shells.load("squad").compute(
        predictions=predictions(["The cat!", "a dog"]),
        references=references([["dog", "cat"], ["the big dog"]]),
    )
    assert found == {"exact_match": 50.0, "f1": pytest.approx(100 * (1 + 2 / 3) / 2)}
    nothing = shells.load("squad").compute(
        predictions=predictions(["the"]), references=references([["A"]])
    )
    assert normal("the") == normal("A") == ""
    assert nothing == {"exact_match": 100.0, "f1": 0.0}


def test_a_question_without_prediction():
    given = [
        *predictions(["x"], [0.0]),
        {"id": "other", "prediction_text": "y", "no_answer_probability": 0.0},
    ]
    right = references([["x"], ["y"]])
    assert shells.load("squad_v2").compute(predictions=given, references=right)["f1"] == 100.0
    bare = [{key: one[key] for key in ("id", "prediction_text")} for one in given]
    assert shells.load("squad").compute(predictions=bare, references=right)["f1"] == 50.0
    with pytest.raises(InputError, match="question 0 has no gold answer; squad_v2"):
        shells.load("squad").compute(predictions=predictions(["x"]), references=references([[]]))


def test_a_name_close_to_one():
    with pytest.raises(InputError, match="did you mean 'squad"):
        shells.load("squad_v3")


def test_a_metric_of_this_name_reads_answers():
    answers = [
        {"answer": "x y", "no_answer_score": -2.0},
        {"answer": "", "no_answer_score": None},
        {"answer": "z", "no_answer_score": 0.5},
    ]
    gold = [{"answers": [{"text": "x", "start": 0}]}, {"answers": []}, {"answers": []}]
    found = user_metric("squad_v2")(answers, gold, [])
    assert found["f1"] == pytest.approx(100 * (2 / 3 + 1) / 3)
    assert found["best_f1_thresh"] == pytest.approx(1 / (1 + np.exp(2.0)))
    right = [{"answers": [{"text": "x", "start": 0}]}] * 3
    assert user_metric("squad")(answers, right, [])["exact_match"] == 0.0
    with pytest.raises(InputError, match="squad_v2: the answers hold no no_answer_score"):
        user_metric("squad_v2")([{"answer": "x"}], right[:1], [])
