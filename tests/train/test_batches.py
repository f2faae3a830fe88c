from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hfkit.train.batches import Examples, epoch_batches, share, steps_per_epoch

sizes = st.integers(1, 400)
small = st.integers(1, 40)


def lengths_of(rows: int) -> np.ndarray:
    return np.random.default_rng(rows).integers(1, 100, size=rows)


@settings(deadline=None, max_examples=60)
@given(rows=sizes, batch_size=small, epoch=st.integers(0, 5), group=st.booleans())
def test_each_row_comes_once_an_epoch(rows, batch_size, epoch, group):
    batches = epoch_batches(
        Examples(lengths_of(rows)), batch_size, seed=1, epoch=epoch, by_length=group
    )
    assert sorted(np.concatenate(batches)) == list(range(rows))
    assert len(batches) == steps_per_epoch(rows, batch_size)
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)


@settings(deadline=None, max_examples=60)
@given(rows=sizes, world=st.integers(1, 5), micro=st.none() | small)
def test_processes_share_a_batch_without_rest(rows, world, micro):
    batch = np.arange(rows)[::-1]
    shares = [share(batch, rank=r, world=world, micro_batch=micro) for r in range(world)]
    assert sorted(row for mine in shares for cut in mine for row in cut) == list(range(rows))
    assert all(0 < len(cut) <= (micro or rows) for mine in shares for cut in mine)
    counts = [sum(map(len, mine)) for mine in shares]
    assert max(counts) - min(counts) <= 1


def test_order_follows_seed_and_epoch():
    def order(seed, epoch):
        found = epoch_batches(Examples(lengths_of(50)), 8, seed=seed, epoch=epoch, by_length=True)
        return np.concatenate(found).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1) != order(2, 1)


def test_grouping_saves_padding_and_keeps_mixing():
    lengths = lengths_of(5000)

    def padded(group):
        batches = epoch_batches(Examples(lengths), 16, seed=1, epoch=0, by_length=group)
        return sum(len(b) * lengths[b].max() for b in batches), batches

    (grouped, batches), (random, _) = padded(True), padded(False)
    assert grouped < 1.1 * lengths.sum() < 0.7 * random
    means = [lengths[b].mean() for b in batches]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2


@settings(deadline=None, max_examples=60)
@given(
    groups=st.lists(st.integers(0, 30), min_size=1, max_size=200),
    batch_size=small,
    by_length=st.booleans(),
    texts=st.none() | st.integers(1, 40),
)
def test_encoded_rows_of_an_example_stay_together(groups, batch_size, by_length, texts):
    numbers = np.array(groups)
    keys = None if texts is None else np.arange(len(groups)) % texts
    examples = Examples(lengths_of(len(groups)), numbers, keys)
    batches = epoch_batches(examples, batch_size, seed=2, epoch=1, by_length=by_length)
    assert len(examples) == len(set(groups))
    assert len(batches) == steps_per_epoch(len(examples), batch_size)
    assert sorted(map(len, batches))[1:] == [batch_size] * (len(batches) - 1)
    rows = [examples.rows(batch) for batch in batches]
    assert sorted(np.concatenate(rows)) == list(range(len(groups)))
    of_batch = [set(numbers[part].tolist()) for part in rows]
    assert sum(map(len, of_batch)) == len(examples)  # no example is in two batches


def test_examples_with_a_text_in_common_are_kept_apart():
    """600 questions, a third of them asked twice: no step holds one twice."""
    chance = np.random.default_rng(0)
    questions = np.concatenate([np.arange(600), chance.choice(600, 200, replace=False)])
    groups = np.repeat(np.arange(800), 2)
    keys = np.stack([questions, 10_000 + np.arange(800)], axis=1).ravel()
    examples = Examples(chance.integers(3, 40, size=1600), groups, keys)

    def clashes(examples):
        batches = epoch_batches(examples, 32, seed=3, epoch=0, by_length=True)
        return sum(len(batch) - len(set(questions[batch].tolist())) for batch in batches)

    assert clashes(Examples(examples.longest)) > 0
    assert clashes(examples) == 0


def test_texts_that_are_everywhere_do_not_stop_the_batches():
    examples = Examples(np.ones(100), keys=np.zeros(100, dtype=int))
    batches = epoch_batches(examples, 8, seed=3, epoch=0, by_length=False)
    assert sorted(np.concatenate(batches)) == list(range(100))
