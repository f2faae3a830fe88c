"""Exact match and F1 of answers, beside the official rules and torchmetrics."""

import json
import re
from collections import Counter

import numpy as np
import pytest
from squad_rules import normal, official, random_case

from hfkit import answers as compare
from hfkit.errors import InputError
from hfkit.metrics.squad import Answers
from hfkit.metrics.statistics import score


def as_answers(predicted, golds, scores=None):
    answers = [{"answer": text} for text in predicted]
    if scores is not None:
        answers = [
            {**one, "no_answer_score": float(s)} for one, s in zip(answers, scores, strict=True)
        ]
    return answers, [{"answers": [{"text": text, "start": 0} for text in one]} for one in golds]


def test_english_equals_the_official_rules():
    random = np.random.default_rng(0)
    for _ in range(1200):
        predicted, golds, scores = random_case(random, int(random.integers(1, 9)))
        answers, gold = as_answers(predicted, golds, scores)
        assert Answers(answers, gold, []).values() == pytest.approx(
            official(predicted, golds, scores)
        )


def test_without_unanswerable_questions_it_equals_torchmetrics():
    torchmetrics = pytest.importorskip("torchmetrics.functional.text")
    random = np.random.default_rng(1)
    predicted, golds = [], []
    while len(predicted) < 1000:
        texts, right, _ = random_case(random, 50)
        for text, one in zip(texts, right, strict=True):
            one = [gold for gold in one if normal(gold)]  # the two versions differ in these
            if one:
                predicted.append(text)
                golds.append(one)
    expected = torchmetrics.squad(
        [{"prediction_text": text, "id": str(n)} for n, text in enumerate(predicted)],
        [
            {"answers": {"text": one, "answer_start": [0] * len(one)}, "id": str(n)}
            for n, one in enumerate(golds)
        ],
    )
    values = Answers(*as_answers(predicted, golds), []).values()
    assert values == pytest.approx(
        {name: float(value) / 100 for name, value in expected.items()}, abs=1e-6
    )


# ---- languages


@pytest.mark.parametrize(
    ("language", "texts", "rules"),
    [
        (None, ["The cat", "1999"], "squad"),
        (None, ["1999", "12 %"], "squad"),
        (None, [], "squad"),
        (None, ["北京", "IBM", "长江"], "characters"),
        (None, ["東京タワー"], "characters"),
        (None, ["서울"], "characters"),
        (None, ["القاهرة"], "words"),
        (None, ["Москва"], "words"),
        (None, ["Kyoto (京都)", "the capital", "old"], "squad"),
        ("zh-CN", ["IBM"], "characters"),
        ("en", ["北京"], "squad"),
        ("de_AT", ["Wien"], "words"),
    ],
)
def test_the_language_decides_what_counts(language, texts, rules):
    assert compare.rules_for(language, texts).name == rules


@pytest.mark.parametrize(
    ("language", "one", "other", "equal"),
    [
        ("en", "the “cat”", "cat", False),  # the official rules know ASCII alone
        ("en", "an apple.", "Apple", True),
        ("fr", "a « un »", "a un", True),
        ("fr", "an apple", "apple", False),
        ("de", "Die Mauer", "der mauer!", True),
        ("es", "las casas", "casas", True),
        ("zh", "《红楼梦》", "红楼梦", True),
        ("zh", "a，b", "ab", True),
        ("ru", "«Мир»", "мир", True),
    ],
)
def test_what_normalising_leaves(language, one, other, equal):
    rules = compare.rules_for(language, [])
    assert (rules.normalize(one) == rules.normalize(other)) is equal


def test_the_language_of_the_gold_wins_over_the_script():
    gold = [{"answers": [{"text": "die Mauer", "start": 0}], "language": "de"}]
    assert Answers([{"answer": "Mauer"}], gold, []).values()["exact_match"] == 1.0
    gold[0].pop("language")
    assert Answers([{"answer": "Mauer"}], gold, []).values()["exact_match"] == 0.0


def longest_run(one, other):
    """Of every part of one, the longest that the other has, by brute force."""
    joined = ["\x00".join(["", *other, ""])]
    best = 0
    for start in range(len(one)):
        for end in range(start + 1, len(one) + 1):
            if "\x00".join(["", *one[start:end], ""]) in joined[0]:
                best = max(best, end - start)
    return best


def test_chinese_counts_characters_and_the_longest_run():
    random = np.random.default_rng(2)
    marks = [*"北京大学市，。", " ibm ", " 3 "]
    for _ in range(1000):
        text, *right = ("".join(random.choice(marks, size=random.integers(1, 9))) for _ in range(3))
        right.append("北大")
        answers, gold = as_answers([text], [right])
        metric = Answers(answers, [{**gold[0], "language": "zh"}], [])
        values = metric.values()

        def units(one):
            return re.findall(r"[\u4e00-\u9fff]|[a-z0-9]+", one.lower())

        expected = []
        for one in right:
            run = longest_run(units(one), units(text))
            if not units(one):
                continue
            expected.append(2 * run / (len(units(one)) + len(units(text))))
        assert values["cmrc_f1"] == pytest.approx(max(expected))
        bags = [
            2 * sum((Counter(units(one)) & Counter(units(text))).values())
            / (len(units(one)) + len(units(text)))
            for one in right
            if units(one)
        ]  # fmt: skip
        assert values["f1"] == pytest.approx(max(bags))
        assert values["cmrc_f1"] <= values["f1"] + 1e-9


# ---- what a metric promises


def test_some_examples_are_scored_as_if_they_were_all():
    random = np.random.default_rng(3)
    predicted, golds, scores = random_case(random, 60)
    index = random.integers(60, size=40)
    part = [[values[i] for i in index] for values in (predicted, golds, scores)]
    whole = Answers(*as_answers(predicted, golds, scores), [])
    assert whole.values(index) == pytest.approx(Answers(*as_answers(*part), []).values())


def test_best_scores_need_real_scores():
    predicted, golds = ["x", "y"], [["x"], []]
    without = Answers(*as_answers(predicted, golds), [])
    assert "best_f1" not in without.values()
    assert without.tables()["undefined"]["best_f1"] == "the answers hold no no_answer_score"
    constant = Answers(*as_answers(predicted, golds, [0.0, 0.0]), [])
    assert constant.values()["best_f1"] == 0.5  # equal scores: no threshold parts them
    apart = Answers(*as_answers(predicted, golds, [-1.0, 3.0]), [])
    assert apart.values()["best_f1"] == 1.0
    assert apart.tables()["thresholds"]["best_f1"] == 1.0


def test_the_best_answer_is_the_one_that_was_left_unsaid():
    answers = [{"answer": "", "no_answer_score": 2.0, "best_answer": "x"}, {"answer": ""}]
    answers[1] |= {"no_answer_score": 5.0, "best_answer": "y"}
    metric = Answers(answers, [{"answers": [{"text": "x", "start": 0}]}, {"answers": []}], [])
    assert metric.values()["f1"] == 0.5
    assert metric.values()["best_f1"] == 1.0
    assert metric.tables()["thresholds"]["best_f1"] == 3.5


def test_a_question_without_any_candidate_is_beyond_every_threshold():
    answers = [{"answer": "", "no_answer_score": None}, {"answer": "y", "no_answer_score": -1.0}]
    metric = Answers(answers, [{"answers": []}, {"answers": [{"text": "y", "start": 0}]}], [])
    assert metric.values()["best_f1"] == 1.0
    json.dumps(metric.tables(), allow_nan=False)


def test_tables_and_baseline():
    predicted, golds = ["x", "", "z", ""], [["x"], ["y"], [], []]
    metric = Answers(*as_answers(predicted, golds, [0, 1, 2, 3]), [])
    assert metric.tables()["questions"] == {
        "answerable": 2,
        "answerable_left_unanswered": 1,
        "unanswerable": 2,
        "unanswerable_but_answered": 1,
    }
    baseline = metric.baseline()
    assert baseline["f1"] == baseline["best_f1"] == 0.5
    assert (baseline["has_answer_f1"], baseline["no_answer_accuracy"]) == (0.0, 1.0)
    assert set(baseline) == set(metric.values())
    nothing = Answers(*as_answers([""] * 4, golds, [0, 0, 0, 0]), []).values()
    assert baseline == pytest.approx(nothing)
    answered = Answers(*as_answers(["x"], [["x"]]), [])
    assert answered.values() == {"exact_match": 1.0, "f1": 1.0}
    assert set(answered.baseline()) == {"exact_match", "f1"}
    assert set(answered.tables()["undefined"]) >= {"no_answer_accuracy", "has_answer_f1"}


def test_intervals_hold_the_score():
    predicted, golds, scores = random_case(np.random.default_rng(5), 80)
    found = score(Answers(*as_answers(predicted, golds, scores), []), resamples=200)
    assert found.headline == "f1"
    for name, (low, high) in found.intervals.items():
        assert low <= high, name
    assert set(found.intervals) == set(found.values)
    json.dumps(found.to_json(), allow_nan=False)


def test_bad_answers_are_named():
    with pytest.raises(InputError, match="answer 2: no 'answer'"):
        Answers([{"answer": "x"}, {"label": "x"}], [{"answers": []}] * 2, [])
    with pytest.raises(InputError, match="gold answer 1: no 'answers'"):
        Answers([{"answer": "x"}], [{}], [])
