"""Paired tests keep their level, agree with SciPy and statsmodels, and fit every metric."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_of_statsmodels
from statsmodels.stats.multitest import multipletests

from hfkit.errors import InputError
from hfkit.metrics.base import Metric
from hfkit.metrics.classification import MultiLabel, SingleLabel
from hfkit.metrics.comparing import System, compare, difference_bound
from hfkit.metrics.correlation import Regression
from hfkit.metrics.entities import Entities
from hfkit.metrics.paired import holm, mcnemar, permutation
from hfkit.metrics.retrieval import Retrieval
from hfkit.metrics.similarity import BinarySimilarity, Similarity
from hfkit.metrics.squad import Answers
from hfkit.metrics.statistics import percentiles, resampled, score, units_of

TRIALS, ROWS, AT_ONCE = 2000, 500, 100


class Counted(Metric):
    """Accuracy and micro-F1 of many data sets at once, from sums per example and data set,
    ``[examples, data sets, 4]``: right, found, predicted, to find."""

    headline = "accuracy 0"

    def __init__(self, table):
        self.count, self.sets, _ = table.shape
        self.table, self.labels = table.reshape(self.count, -1).astype(float), []

    def weighted(self, counts):
        right, found, predicted, wanted = (counts @ self.table).reshape(self.sets, 4).T
        accuracy, f1 = right / counts.sum(), 2 * found / (predicted + wanted)
        return {
            f"{name} {number}": value
            for name, values in (("accuracy", accuracy), ("f1", f1))
            for number, value in enumerate(values)
        }

    def tables(self):
        return {}

    def baseline(self):
        return {}


TRUTH = {"accuracy": 0.85, "f1": 2 * 1.12 / (1.12 + 0.45 + 1.6)}
NAMES = [f"{name} {number}" for name in TRUTH for number in range(AT_ONCE)]


def counted(random):
    """Examples with up to four things to find, each found with chance 0.7, and false ones."""
    shape = (ROWS, AT_ONCE)
    wanted = random.binomial(4, 0.4, shape)
    found = random.binomial(wanted, 0.7)
    false = random.binomial(3, 0.15, shape)
    return np.stack([random.random(shape) < 0.85, found, found + false, wanted], axis=2)


def share(hits):
    """The share of all trials, by name of the score."""
    return {name: sum(hit for key, hit in hits if key == name) / TRIALS for name in TRUTH}


def test_intervals_cover_the_truth_as_often_as_they_say():
    random = np.random.default_rng(11)
    hits = []
    for batch in range(TRIALS // AT_ONCE):
        found = score(Counted(counted(random)), resamples=400, seed=batch).intervals
        for key, (low, high) in found.items():
            name = key.split()[0]
            hits.append((name, low <= TRUTH[name] <= high))
    covered = share(hits)
    assert len(hits) == 2 * TRIALS
    assert all(0.93 <= one <= 0.97 for one in covered.values()), covered


def test_the_interval_of_a_difference_excludes_0_as_seldom_as_it_says():
    random = np.random.default_rng(12)
    units, hits = units_of(ROWS, None), []
    for batch in range(TRIALS // AT_ONCE):
        metrics = Counted(counted(random)), Counted(counted(random))
        one, other = (resampled(metric, units, NAMES, 400, batch) for metric in metrics)
        for key, (low, high) in percentiles(other - one, NAMES, 0.95).items():
            hits.append((key.split()[0], not low <= 0 <= high))
    wrong = share(hits)
    assert all(0.03 <= one <= 0.07 for one in wrong.values()), wrong


def test_swapping_rejects_equal_systems_as_seldom_as_it_says():
    random = np.random.default_rng(13)
    units, differs, hits = np.arange(ROWS), np.ones(ROWS, bool), []
    for batch in range(TRIALS // AT_ONCE):
        both = Counted(np.concatenate([counted(random), counted(random)]))
        tested = permutation(both, units, differs, NAMES, swaps=199, seed=batch)
        hits += [(key.split()[0], one.p <= 0.05) for key, one in tested.items()]
    rejected = share(hits)
    assert all(0.03 <= one <= 0.07 for one in rejected.values()), rejected


@pytest.mark.parametrize("accuracy", [0.85, 0.97])
def test_mcnemar_rejects_equal_systems_as_seldom_as_it_says(accuracy):
    """At most, where few differ: exact tests of whole numbers keep below their level."""
    random = np.random.default_rng(14)
    one, other = random.random((2, TRIALS, ROWS)) < accuracy
    pairs = zip((one & ~other).sum(axis=1), (~one & other).sum(axis=1), strict=True)
    rejected = np.mean([mcnemar(int(b), int(c)).p < 0.05 for b, c in pairs])
    assert 0.03 <= rejected <= 0.07


@pytest.mark.parametrize(("one", "other"), [(0, 0), (1, 8), (3, 3), (0, 24), (12, 12), (4, 20)])
def test_mcnemar_is_exact_where_few_differ(one, other):
    expected = mcnemar_of_statsmodels([[50, one], [other, 50]], exact=True).pvalue
    assert mcnemar(one, other).p == pytest.approx(expected)
    assert mcnemar(one, other).name == "McNemar, exact"


@pytest.mark.parametrize(("one", "other"), [(12, 13), (0, 25), (40, 60), (300, 250)])
def test_mcnemar_is_chi_squared_where_many_differ(one, other):
    table = [[50, one], [other, 50]]
    expected = mcnemar_of_statsmodels(table, exact=False, correction=False).pvalue
    assert mcnemar(one, other).p == pytest.approx(expected)
    assert mcnemar(one, other).name == "McNemar, chi squared"


@pytest.mark.parametrize("seed", range(5))
def test_holm_equals_that_of_statsmodels(seed):
    p_values = np.random.default_rng(seed).random(6) ** 3
    expected = multipletests(p_values, method="holm")[1]
    assert holm(p_values.tolist()) == pytest.approx(expected.tolist())


def means(one, other):
    """A metric whose score is a mean, of the examples of two systems."""
    return Regression(
        [{"value": value} for value in [*one, *other]], [{"value": 0.0}] * (2 * len(one)), []
    )


def scipys(one, other, **settings):
    def statistic(first, second, axis):
        return (second**2).mean(axis=axis) - (first**2).mean(axis=axis)

    found = stats.permutation_test(
        (one, other), statistic, permutation_type="samples", vectorized=True, **settings
    )
    return found.pvalue


def test_all_swaps_equal_those_of_scipy():
    random = np.random.default_rng(3)
    one, other = random.normal(size=9), random.normal(0.8, size=9)
    tested = permutation(
        means(one, other), np.arange(9), np.ones(9, bool), ["mse"], swaps=1000, seed=0
    )["mse"]
    assert tested.name == "permutation, exact"
    assert tested.p == pytest.approx(scipys(one, other, n_resamples=np.inf))


def test_drawn_swaps_are_near_those_of_scipy():
    random = np.random.default_rng(4)
    one, other = random.normal(size=200), random.normal(0.1, 1.1, size=200)
    tested = permutation(
        means(one, other), np.arange(200), np.ones(200, bool), ["mse"], swaps=4000, seed=0
    )["mse"]
    expected = scipys(one, other, n_resamples=20000, rng=np.random.default_rng(0))
    assert 0.01 < expected < 0.5
    assert tested.name == "permutation"
    assert tested.p == pytest.approx(expected, abs=0.03)


def test_only_answers_that_differ_are_swapped():
    one, other = np.zeros(400), np.zeros(400)
    other[:6] = 1.0
    tested = permutation(
        means(one, other), np.arange(400), one != other, ["mse"], swaps=100, seed=0
    )
    assert tested["mse"].name == "permutation, exact"
    assert tested["mse"].p == pytest.approx(2 / 2**6)


def of_labels(random, number):
    labels = ["a", "b", "c"]
    gold = [{"label": labels[i % 3]} for i in range(number)]
    answers = []
    for one in gold:
        scores = dict(zip(labels, random.dirichlet(np.ones(3)).tolist(), strict=True))
        right = one["label"] if random.random() < 0.7 else max(scores, key=scores.__getitem__)
        answers.append({"label": right, "scores": scores})
    return answers, gold, labels


def of_several(random, number):
    labels = ["a", "b", "c"]
    gold = [{"labels": labels[: i % 4]} for i in range(number)]
    answers = [{"labels": [one for one in labels if random.random() < 0.5]} for _ in gold]
    return answers, gold, labels


def of_entities(random, number):
    def some():
        starts = np.flatnonzero(random.random(6) < 0.4).tolist()
        return [{"start": s, "end": s + 1, "label": "XY"[int(random.integers(2))]} for s in starts]

    gold = [{"entities": some(), "document": i // 3} for i in range(number)]
    return (
        [{"entities": one["entities"] if random.random() < 0.5 else some()} for one in gold],
        gold,
        [],
    )


def of_questions(random, number):
    gold = [{"answers": ["red car"] if i % 3 else []} for i in range(number)]
    texts = ["red car", "car", ""]
    answers = [
        {"answer": texts[int(random.integers(3))], "no_answer_score": float(random.random())}
        for _ in gold
    ]
    return answers, gold, []


def of_numbers(random, number):
    gold = [{"value": float(i)} for i in range(number)]
    return [{"value": one["value"] + float(random.normal(0, 9))} for one in gold], gold, []


def of_pairs(random, number):
    gold = [{"score": float(i % 5)} for i in range(number)]
    return [{"score": one["score"] + float(random.normal())} for one in gold], gold, []


def of_same(random, number):
    gold = [{"score": float(i % 2)} for i in range(number)]
    answers = []
    for one in gold:
        value = one["score"] + float(random.normal())
        answers.append({"score": value, "same": value > 0.5})
    return answers, gold, []


def of_vectors(random, number):
    size = int(random.integers(3, 6))
    gold = [{"texts": (f"q{i}", f"d{i}")} for i in range(number)]
    return [{"vectors": random.normal(size=(2, size)).astype(np.float32)} for _ in gold], gold, []


METRICS = {
    SingleLabel: of_labels,
    MultiLabel: of_several,
    Entities: of_entities,
    Answers: of_questions,
    Regression: of_numbers,
    Similarity: of_pairs,
    BinarySimilarity: of_same,
    Retrieval: of_vectors,
}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_every_metric_can_be_compared(metric):
    random = np.random.default_rng(5)
    (answers, gold, labels), (others, _, _) = (METRICS[metric](random, 60) for _ in range(2))
    systems = [System("old", answers, gold), System("new", others, gold)]
    found = compare(metric, systems, labels, resamples=60)
    scores = {one.name: metric(one.answers, gold, list(labels)).values() for one in systems}
    pair = found.pairs[0]
    assert set(pair.differences) == set(scores["old"]) & set(scores["new"])
    for name, one in pair.differences.items():
        assert one.value == pytest.approx(scores["new"][name] - scores["old"][name])
        assert 0 < one.p <= 1 and one.p_holm == one.p
    assert found.scores["old"] == score(metric(answers, gold, list(labels)), resamples=60)
    share = metric.right_share
    if share:
        flipped = (len(pair.to_right) - len(pair.to_wrong)) / 60
        assert pair.differences[share].value == pytest.approx(flipped)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_a_system_is_no_better_than_itself(metric):
    answers, gold, labels = METRICS[metric](np.random.default_rng(6), 40)
    systems = [System(name, answers, gold) for name in ("one", "same")]
    for one in compare(metric, systems, labels, resamples=30).pairs[0].differences.values():
        assert (one.value, one.p, one.better) == (0, 1, "")


def test_a_scale_of_its_own_makes_no_difference():
    """Scores of another model on another scale order the pairs as well as the first one's."""
    random = np.random.default_rng(8)
    answers, gold, _ = of_pairs(random, 200)
    others, _, _ = of_pairs(random, 200)
    moved = [{"score": 1000 + 50 * one["score"]} for one in others]
    plain, scaled = (
        compare(
            Similarity, [System("a", answers, gold), System("b", them, gold)], [], resamples=200
        )
        for them in (others, moved)
    )
    for name in ("spearman", "pearson"):
        one, other = (found.pairs[0].differences[name] for found in (plain, scaled))
        assert other.p == pytest.approx(one.p, abs=1e-9)


def test_who_is_better_goes_by_the_corrected_p_and_the_direction_of_the_score():
    gold = [{"value": float(i)} for i in range(60)]
    near = [{"value": one["value"] + 0.1 * (-1) ** i} for i, one in enumerate(gold)]
    far = [{"value": one["value"] + 5.0 * (-1) ** i} for i, one in enumerate(gold)]
    found = compare(
        Regression, [System("far", far, gold), System("near", near, gold)], [], resamples=200
    )
    one = found.pairs[0].differences["mse"]
    assert one.value < 0 and one.better == "near" and "mse" in found.lower_is_better


def test_several_pairs_are_corrected():
    random = np.random.default_rng(9)
    systems = []
    for name in "abc":
        answers, gold, labels = of_labels(random, 80)
        systems.append(System(name, answers, gold))
    found = compare(SingleLabel, systems, labels, resamples=100)
    names = [(pair.first, pair.second) for pair in found.pairs]
    assert names == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [pair.differences["accuracy"].p for pair in found.pairs]
    corrected = [pair.differences["accuracy"].p_holm for pair in found.pairs]
    assert corrected == pytest.approx(holm(raw)) and corrected != raw


def test_other_examples_are_refused():
    answers, gold, labels = of_labels(np.random.default_rng(1), 9)
    with pytest.raises(InputError, match="not the same examples"):
        compare(
            SingleLabel, [System("a", answers, gold), System("b", answers[1:], gold[1:])], labels
        )


def test_the_bound_of_a_gain_looks_at_pairs():
    gold = [{"label": "ab"[i % 2]} for i in range(400)]
    right = System("right", gold, gold)
    flipped = [{"label": "ab"[(i + (i % 10 == 0)) % 2]} for i in range(400)]
    gain, bound = difference_bound(
        SingleLabel, right, System("worse", flipped, gold), ["a", "b"], "accuracy"
    )
    # 1.645 standard errors of a share of 0.1.
    assert gain == pytest.approx(-0.1)
    assert bound == pytest.approx(-0.1 + 1.645 * np.sqrt(0.09 / 400), abs=0.003)
    one, unknown = difference_bound(
        SingleLabel, System("a", gold[:1], gold[:1]), System("b", flipped[:1], gold[:1]),
        ["a", "b"], "accuracy",
    )  # fmt: skip
    assert one == -1 and unknown == np.inf
