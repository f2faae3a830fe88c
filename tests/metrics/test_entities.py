"""Scores of entities beside seqeval and nervaluate, and by hand."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from toys import SEQEVAL_SCHEMES

from hfkit.errors import InputError
from hfkit.metrics.entities import Entities
from hfkit.metrics.overlaps import OUTCOMES, WAYS, overlap_counts
from hfkit.metrics.statistics import score
from hfkit.registry import find_metric
from hfkit.spans import Scheme, Span, strict_spans

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")


def answer(spans: list[Span], tags: list[str] | None = None, **more: Any) -> dict[str, Any]:
    entities = [{"start": one.start, "end": one.end, "label": one.label} for one in spans]
    return {"entities": entities, **({} if tags is None else {"tags": tags}), **more}


def of_tags(sequences: list[list[str]], scheme: Scheme) -> list[dict[str, Any]]:
    return [answer(strict_spans(tags, scheme), tags) for tags in sequences]


def random_sequences(letters: str, chance: random.Random) -> tuple[list[list[str]], ...]:
    """Gold and predicted tags of a few sentences; often alike, so that something is right."""
    tags = ["O", *(f"{letter}-{label}" for letter in letters for label in ("X", "Y", "Z"))]
    gold = [chance.choices(tags, k=chance.randint(1, 8)) for _ in range(chance.randint(1, 4))]
    predicted = [
        [tag if chance.random() < 0.7 else chance.choice(tags) for tag in one] for one in gold
    ]
    return gold, predicted


@pytest.mark.parametrize(("scheme", "letters", "name"), SEQEVAL_SCHEMES)
def test_strict_scores_are_those_of_seqeval(scheme: Scheme, letters: str, name: str) -> None:
    import seqeval.scheme
    from seqeval.metrics.v1 import precision_recall_fscore_support as oracle

    chance = random.Random(0)
    for _ in range(1000):
        gold, predicted = random_sequences(letters, chance)
        ours = Entities(of_tags(predicted, scheme), of_tags(gold, scheme), [])
        kind = getattr(seqeval.scheme, name)
        theirs = oracle(gold, predicted, scheme=kind, average="micro", zero_division=0)
        values = ours.values()
        assert [values[one] for one in ("precision", "recall", "f1")] == pytest.approx(theirs[:3])
        rows = ours.tables()["per_class"]
        if rows:
            each = oracle(gold, predicted, scheme=kind, average=None, zero_division=0)
            assert [row["f1"] for row in rows] == pytest.approx(each[2])
            assert [row["support"] for row in rows] == each[3].tolist()
            assert values["f1_macro"] == pytest.approx(each[2].mean())


@pytest.mark.parametrize("letters", ["BI", "BIES"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_lenient_score_is_seqevals_default(letters: str) -> None:
    from seqeval.metrics import accuracy_score, f1_score

    chance = random.Random(1)
    for _ in range(1000):
        gold, predicted = random_sequences(letters, chance)
        values = Entities(of_tags(predicted, "iob2"), of_tags(gold, "iob2"), []).values()
        assert values["f1_lenient"] == pytest.approx(f1_score(gold, predicted, zero_division=0))
        assert values["accuracy"] == pytest.approx(accuracy_score(gold, predicted))


def random_spans(chance: random.Random) -> list[Span]:
    found = []
    for _ in range(chance.randint(0, 5)):
        start = chance.randint(0, 12)
        found.append(Span(start, start + chance.randint(1, 5), chance.choice("XYZ")))
    return sorted(set(found))


def test_overlaps_are_those_of_nervaluate() -> None:
    from nervaluate import Evaluator

    ways = {"strict": "strict", "boundary": "exact", "partial": "partial", "type": "ent_type"}

    def theirs(spans: list[Span]) -> list[dict[str, Any]]:
        return [{"start": one.start, "end": one.end - 1, "label": one.label} for one in spans]

    chance = random.Random(2)
    for _ in range(1500):
        gold, predicted = random_spans(chance), random_spans(chance)
        oracle = Evaluator([theirs(gold)], [theirs(predicted)], list("XYZ"), loader="dict")
        found = oracle.evaluate()["overall"]
        counts = overlap_counts(gold, predicted)
        for way, row in zip(WAYS, counts.tolist(), strict=True):
            expected = found[ways[way]]
            assert dict(zip(OUTCOMES, row, strict=True)) == {
                name: getattr(expected, name) for name in OUTCOMES
            }
        values = Entities([answer(predicted)], [answer(gold)], []).values()
        for way in ("boundary", "partial", "type"):
            assert values[f"f1_{way}"] == pytest.approx(found[ways[way]].f1)


def test_by_hand() -> None:
    gold = [answer([Span(0, 2, "PER"), Span(3, 4, "LOC")]), answer([Span(0, 1, "PER")])]
    given = [answer([Span(0, 2, "PER"), Span(2, 4, "LOC")]), answer([Span(0, 1, "ORG")])]
    metric = Entities(given, gold, ["O", "B-PER", "I-PER", "B-MISC"])
    values = metric.values()
    assert values["precision"] == values["recall"] == values["f1"] == pytest.approx(1 / 3)
    assert values["f1_macro"] == pytest.approx((0 + 0 + 2 / 3) / 3)  # MISC occurs nowhere
    assert values["f1_partial"] == pytest.approx((2 + 0.5) / 3)
    assert values["f1_type"] == values["f1_boundary"] == pytest.approx(2 / 3)
    assert "accuracy" not in values
    tables = metric.tables()
    assert [row["label"] for row in tables["per_class"]] == ["LOC", "MISC", "ORG", "PER"]
    assert set(tables["undefined"]) == {"accuracy", "f1_lenient"}
    assert tables["overlaps"]["strict"] == {
        "correct": 1, "incorrect": 2, "partial": 0, "missed": 0, "spurious": 0,
    }  # fmt: skip
    assert metric.baseline()["f1"] == 0


def test_an_entity_that_is_not_there_is_missed_and_one_twice_counts_once() -> None:
    values = Entities([answer([])], [answer([Span(0, 1, "X")])], []).values()
    assert values["recall"] == values["f1"] == 0
    twice = answer([Span(0, 1, "X"), Span(0, 1, "X")])
    assert Entities([twice], [answer([Span(0, 1, "X")])], []).values()["precision"] == 1


def test_nothing_to_find_and_nothing_found() -> None:
    values = Entities([answer([], ["O"])], [answer([], ["O"])], []).values()
    assert values == {name: (name == "accuracy") * 1.0 for name in values}


def test_repeating_examples_is_weighing_them() -> None:
    chance = random.Random(3)
    gold, predicted = random_sequences("BI", chance)
    gold, predicted = gold * 5, [*predicted * 4, *[one[::-1] for one in predicted]]
    given, wanted = of_tags(predicted, "iob2"), of_tags(gold, "iob2")
    index = np.array([0, 0, len(gold) - 1])
    repeated = Entities([given[i] for i in index], [wanted[i] for i in index], [])
    assert Entities(given, wanted, []).values(index) == pytest.approx(repeated.values())


def test_documents_are_drawn_whole() -> None:
    gold, given = [], []
    for document in range(12):  # all sentences of a document are right, or none is
        for _ in range(10):
            gold.append(answer([Span(0, 1, "X")], document=document))
            given.append(answer([Span(0, 1, "X" if document % 3 else "Y")]))
    together = score(Entities(given, gold, [])).intervals["f1"]
    for one in gold:
        del one["document"]
    alone = score(Entities(given, gold, [])).intervals["f1"]
    assert np.ptp(together) > 2 * np.ptp(alone)
    for one in gold:
        one["document"] = "the only one"  # nothing to draw from but its sentences
    assert score(Entities(given, gold, [])).intervals["f1"] == alone


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(InputError, match="answer 1: 1 tags for 2 words"):
        Entities([answer([], ["O"])], [answer([], ["O", "O"])], [])
    with pytest.raises(InputError, match="no 'entities'"):
        Entities([{}], [answer([])], [])


def test_it_is_in_the_registry() -> None:
    assert find_metric("entities") is Entities


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")
def test_the_shell_is_seqeval() -> None:
    from seqeval.metrics import accuracy_score, classification_report
    from seqeval.scheme import IOB2, IOBES

    from hfkit.metrics.shells import load

    chance = random.Random(4)
    for turn in range(40):
        gold, predicted = random_sequences("BIES" if turn % 2 else "BI", chance)
        settings: dict[str, Any] = {}
        theirs: dict[str, Any] = {"zero_division": 0}
        if turn % 3:
            settings = {"mode": "strict", "scheme": "IOBES" if turn % 2 else "IOB2"}
            theirs |= {"mode": "strict", "scheme": IOBES if turn % 2 else IOB2}
        expected = classification_report(gold, predicted, output_dict=True, **theirs)
        found = load("seqeval").compute(predictions=predicted, references=gold, **settings)
        names = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
        for ours, other in names.items():
            assert found[f"overall_{ours}"] == pytest.approx(expected["micro avg"][other])
        assert found["overall_accuracy"] == pytest.approx(accuracy_score(gold, predicted))
        labels = set(expected) - {"micro avg", "macro avg", "weighted avg"}
        assert {name for name in found if not name.startswith("overall_")} == labels
        for label in labels:
            assert found[label]["f1"] == pytest.approx(expected[label]["f1-score"])
            assert found[label]["number"] == expected[label]["support"]


def test_the_shell_reads_suffixes_and_refuses_what_it_cannot() -> None:
    from hfkit.metrics.shells import load

    turned = {"predictions": [["PER-B", "PER-I"]], "references": [["PER-B", "PER-I"]]}
    assert load("seqeval").compute(**turned, suffix=True)["PER"]["number"] == 1
    with pytest.raises(InputError, match="did you mean 'IOB2'"):
        load("seqeval").compute(**turned, scheme="IOB3")
