"""The validation part: its size, its classes, and what must stay together."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit.data.split import split_rows, stratified_split
from hfkit.errors import InputError

LABELS = st.lists(st.sampled_from("aaaabbc"), min_size=4, max_size=200)


@settings(max_examples=100, deadline=None)
@given(LABELS, st.floats(0.05, 0.6), st.integers(0, 9))
def test_parts_are_whole_and_shares_hold(labels, share, seed):
    counts = Counter(labels)
    if max(counts.values()) < 2:
        return
    train, validation = stratified_split(labels, share, seed)
    assert sorted(train + validation) == list(range(len(labels)))
    assert train == sorted(train) and validation == sorted(validation)
    assert validation
    assert {labels[row] for row in train} == set(labels)
    chosen = Counter(labels[row] for row in validation)
    for name, count in counts.items():
        assert abs(chosen[name] - share * count) <= 1 + 1e-9 or chosen[name] == count - 1
    assert stratified_split(labels, share, seed) == (train, validation)


def test_the_total_is_the_share():
    labels = [str(number % 7) for number in range(1003)]
    assert len(stratified_split(labels, 0.1, 3)[1]) == 100


def test_another_seed_is_another_split():
    labels = ["a", "b"] * 100
    assert stratified_split(labels, 0.2, 1) != stratified_split(labels, 0.2, 2)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30)), min_size=20, max_size=150))
def test_the_same_text_never_stands_on_both_sides(rows):
    groups = [str(number) for _, number in rows]
    if len(set(groups)) < 3:
        return
    for labels in ([label for label, _ in rows], [[label] for label, _ in rows]):
        train, validation = stratified_split(labels, 0.2, 0, groups)
        assert validation
        assert not {groups[row] for row in train} & {groups[row] for row in validation}


def test_several_labels_a_row_keep_their_shares():
    random = Random(0)
    names = "abcdefgh"
    labels = [
        [name for index, name in enumerate(names) if random.random() < 0.5 / (index + 1)]
        for _ in range(2000)
    ]
    _, validation = stratified_split(labels, 0.1, 5)
    assert abs(len(validation) - 200) <= 4
    counts = Counter(name for row in labels for name in row)
    chosen = Counter(name for row in validation for name in labels[row])
    for name in names:
        assert chosen[name] == pytest.approx(0.1 * counts[name], abs=2)


def test_numbers_are_spread_over_their_range():
    random = Random(1)
    values = [random.gauss(0, 1) for _ in range(1000)]
    _, validation = stratified_split(values, 0.1, 7)
    ranks = sorted(range(1000), key=values.__getitem__)
    tenth = {row: position // 100 for position, row in enumerate(ranks)}
    assert Counter(tenth[row] for row in validation) == dict.fromkeys(range(10), 10)


def test_a_class_of_one_row_stays_in_training():
    train, validation = stratified_split(["a"] * 10 + ["b"], 0.3, 0)
    assert 10 in train and len(validation) == 3


@pytest.mark.parametrize("labels", [["a"], ["a", "b"], []])
def test_too_few_rows(labels):
    with pytest.raises(InputError, match="too few"):
        stratified_split(labels, 0.5, 0)


def test_the_share_is_a_share():
    with pytest.raises(InputError, match="between 0 and 1"):
        stratified_split(["a", "a"], 1.5, 0)


def parts_of(rows, kind, share=0.1):
    kept, cut = split_rows(rows, kind, share, seed=3)
    assert sorted(kept + cut) == list(range(len(rows)))
    return kept, cut


ANSWER = [{"text": "c", "start": 0}]


def test_questions_about_one_context_stay_together():
    rows = [
        {
            "question": str(n),
            "context": f"c{n // 3}",
            "label": [{"text": "c", "start": 0}] * (n % 2),
        }
        for n in range(300)
    ]
    kept, cut = parts_of(rows, "answers")
    assert 25 <= len(cut) <= 30
    assert not {rows[n]["context"] for n in kept} & {rows[n]["context"] for n in cut}


def test_rare_types_of_entities_are_in_both_parts():
    rows = [
        {"tokens": [str(n)], "label": ["B-RARE" if n % 50 == 0 else "S-COMMON" if n % 3 else "O"]}
        for n in range(500)
    ]
    _, cut = parts_of(rows, "entities")
    assert abs(len(cut) - 50) <= 5
    assert sum(rows[n]["label"] == ["B-RARE"] for n in cut) == 1
    spans = [{"text": str(n), "label": [{"start": 0, "end": 1, "label": "A"}]} for n in range(40)]
    assert len(parts_of(spans, "entities")[1]) == 4


def test_sentences_of_a_document_stay_together_where_there_are_enough():
    rows = [{"tokens": [str(n)], "label": ["O"], "document": n // 10} for n in range(400)]
    kept, cut = parts_of(rows, "entities")
    assert len(cut) == 40
    assert not {n // 10 for n in kept} & {n // 10 for n in cut}
    few = [{**row, "document": row["document"] // 20} for row in rows]
    assert len(parts_of(few, "entities")[1]) == 40
    assert parts_of(rows[:400], "entities") == parts_of(rows[:400], "entities")


def test_pairs_with_and_without_a_score():
    pairs = [{"text": f"a{n % 20}", "text_pair": f"b{n % 20}"} for n in range(40)]
    kept, cut = parts_of(pairs, "scores")
    assert len(cut) == 4 and not {n % 20 for n in kept} & {n % 20 for n in cut}
    scored = [{"text": str(n), "text_pair": "b", "label": n / 100} for n in range(100)]
    assert {n // 10 for n in parts_of(scored, "scores")[1]} == set(range(10))
