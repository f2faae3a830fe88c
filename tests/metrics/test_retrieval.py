"""Scores of rankings, compared with sentence-transformers and scikit-learn."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from sentence_transformers.sentence_transformer.evaluation import InformationRetrievalEvaluator
from sklearn.metrics import ndcg_score

from hfkit.errors import InputError
from hfkit.metrics.retrieval import Retrieval, ndcg, scores_of_each
from hfkit.metrics.statistics import score
from hfkit.registry import find_metric


def random_case(chance: random.Random, graded: bool = False):
    """A ranking of some documents, and which of all are relevant."""
    documents = [f"d{number}" for number in range(chance.randint(1, 30))]
    found = chance.sample(documents, chance.randint(0, len(documents)))
    wanted = chance.sample(documents, chance.randint(1, min(14, len(documents))))
    return found, {name: chance.randint(1, 3) if graded else 1 for name in wanted}


def test_a_thousand_rankings_as_sentence_transformers_scores_them() -> None:
    chance = random.Random(0)
    cases = [random_case(chance) for _ in range(1000)]
    rankings, relevance = zip(*cases, strict=True)
    found = scores_of_each(rankings, relevance)
    names = {f"d{number}": "" for number in range(30)}
    for number, (ranking, wanted) in enumerate(cases):
        oracle = InformationRetrievalEvaluator(
            {"q": "a query"},
            names,
            {"q": set(wanted)},
            mrr_at_k=[10],
            ndcg_at_k=[10],
            precision_recall_at_k=[1, 5, 10],
            accuracy_at_k=[1],
            map_at_k=[1],
        )
        hits = [{"corpus_id": name, "score": -rank} for rank, name in enumerate(ranking)]
        theirs = oracle.compute_metrics([hits])
        assert found["ndcg@10"][number] == pytest.approx(theirs["ndcg@k"][10])
        assert found["mrr@10"][number] == pytest.approx(theirs["mrr@k"][10])
        for depth in (1, 5, 10):
            mine = found[f"recall@{depth}"][number]
            assert mine == pytest.approx(theirs["recall@k"][depth])


def test_a_thousand_graded_rankings_as_scikit_learn_scores_them() -> None:
    random = np.random.default_rng(0)
    for _ in range(1000):
        gains = random.integers(0, 4, (3, int(random.integers(2, 20)))).astype(float)
        gains[gains.sum(axis=1) == 0, 0] = 1
        order = np.arange(gains.shape[1], 0, -1)[None].repeat(3, axis=0)
        depth = int(random.integers(1, 12))
        best = np.sort(gains, axis=1)[:, ::-1]
        mine = ndcg(gains, best, depth).mean()
        assert mine == pytest.approx(ndcg_score(gains, order, k=depth))


def pairs(vectors, texts=None):
    answers = [{"vectors": np.array(one, dtype=float)} for one in vectors]
    return Retrieval(
        answers, [{"texts": one} for one in texts] if texts else [{}] * len(answers), []
    )


def test_each_text_is_searched_among_all_that_belong_to_one() -> None:
    metric = pairs([[[1, 0], [1, 0.1]], [[0, 1], [1, 1]], [[1, 1], [0.1, 1]]])
    # Of the first text the right one stands first, of the second second, of the third third.
    assert metric.values() == pytest.approx(
        {
            "ndcg@10": (1 + 1 / math.log2(3) + 1 / 2) / 3,
            "mrr@10": (1 + 1 / 2 + 1 / 3) / 3,
            "recall@1": 1 / 3,
            "recall@5": 1,
            "recall@10": 1,
        }
    )


def test_a_text_that_stands_there_twice_is_one_document() -> None:
    vectors = [[[1, 0], [1, 0.1]], [[0, 1], [1, 0.1 + 1e-7]], [[1, 0.2], [0, 1]]]
    texts = [("a", "x"), ("b", "x"), ("c", "y")]
    metric = pairs(vectors, texts)
    assert metric.tables()["relevant_documents"] == 2
    # "b" finds y before x, "c" finds x before y.
    assert metric.values()["mrr@10"] == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)


def test_a_text_with_two_right_answers_is_content_with_either() -> None:
    vectors = [[[1, 0], [1, 0]], [[1, 0], [0.9, 0.1]], [[0, 1], [0, 1]]]
    values = pairs(vectors, [("a", "x"), ("a", "y"), ("c", "z")]).values()
    assert values["mrr@10"] == 1 and values["ndcg@10"] == pytest.approx(1)
    assert values["recall@1"] == pytest.approx((1 / 2 + 1 / 2 + 1) / 3)


def test_rankings_are_scored_as_they_are() -> None:
    answers = [{"ranking": [3, 1]}, {"ranking": ["b"]}, {"ranking": []}]
    gold = [{"relevant": {1: 2, 2: 1}}, {"relevant": {"b": 0}}, {"relevant": {"c": 1}}]
    metric = Retrieval(answers, gold, [])
    values = metric.values()
    assert metric.tables()["queries_without_relevant"] == 1  # a judgement of 0 is none
    assert values["mrr@10"] == pytest.approx((1 / 2 + 0) / 2)
    assert values["ndcg@10"] == pytest.approx((2 / math.log2(3)) / (2 + 1 / math.log2(3)) / 2)


def test_a_bootstrap_is_the_mean_of_what_is_drawn() -> None:
    chance = random.Random(3)
    cases = [random_case(chance, graded=True) for _ in range(50)]
    answers = [{"ranking": found} for found, _ in cases]
    gold = [{"relevant": wanted} for _, wanted in cases]
    metric = Retrieval(answers, gold, [])
    drawn = np.random.default_rng(0).integers(50, size=50)
    again = Retrieval([answers[i] for i in drawn], [gold[i] for i in drawn], [])
    assert metric.values(drawn) == pytest.approx(again.values())
    scores = score(metric, resamples=50)
    low, high = scores.intervals["ndcg@10"]
    assert low < scores.values["ndcg@10"] < high and scores.headline == "ndcg@10"


def test_the_baseline_answers_the_same_to_everybody() -> None:
    answers = [{"ranking": ["a"]}] * 3
    gold = [{"relevant": {"a": 1}}, {"relevant": {"b": 1}}, {"relevant": {"b": 1}}]
    assert Retrieval(answers, gold, []).baseline()["recall@1"] == pytest.approx(2 / 3)


def test_what_cannot_be_scored_is_said() -> None:
    with pytest.raises(InputError, match=r"ranking 1: 'a' is found twice"):
        Retrieval([{"ranking": ["a", "a"]}], [{"relevant": {"a": 1}}], [])
    with pytest.raises(InputError, match=r"answer 1: no 'vectors'"):
        Retrieval([{}], [{}], [])
    with pytest.raises(InputError, match="no score is defined"):
        score(Retrieval([{"ranking": ["a"]}], [{"relevant": {}}], []))


def test_it_is_in_the_registry() -> None:
    assert find_metric("retrieval") is Retrieval
