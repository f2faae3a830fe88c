from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from example_data import STEP_LOSSES, make_data
from training_cases import (
    CASES,
    assert_same_curves,
    fingerprint,
    flat,
    invariance_case,
    losses_of,
    make_parts,
    tiny_model,
    weight_sum,
)

from hfkit.errors import DivergedError, InputError, ResourceError
from hfkit.model.heads import Embeddings
from hfkit.train.launch import make_accelerator
from hfkit.train.loop import Checkpoint, Evaluation, Step, Stopped, train
from hfkit.train.plan import seed_dropout
from hfkit.train.stopping import Stop


def scored(parts, score):
    """The parts with `score(model)` as their evaluation."""
    return replace(parts, evaluate=lambda: {"score": score(parts.model)}, best="score")


@pytest.mark.parametrize(("family", "problem"), CASES)
def test_cutting_a_batch_does_not_change_the_objective(tmp_path, family, problem):
    accelerator = make_accelerator("cpu", "fp32", 1)
    whole, weights, _ = invariance_case(tmp_path / "a", family, problem, accelerator, None)
    cut, cut_weights, _ = invariance_case(tmp_path / "b", family, problem, accelerator, 4)
    assert np.linalg.norm(weights - cut_weights) <= 1e-5 * np.linalg.norm(weights)
    assert_same_curves(cut, whole)
    started = flat(tiny_model(family, problem))
    assert np.linalg.norm(weights - started) > 1e-3 * np.linalg.norm(weights)


def test_a_step_is_what_torch_would_do(tmp_path):
    """The reference: one weighted mean over the batch, torch's clipping, torch's AdamW."""
    parts = make_parts(
        tmp_path, max_steps=1, warmup=0, weight_decay=0.0, micro_batch=5, max_grad_norm=0.5
    )
    model = tiny_model()
    (done, *_) = train(parts)
    rows = _batches(parts)[0].tolist()
    batch = {k: torch.from_numpy(v) for k, v in parts.make_batch(rows).items()}
    labels, weights = batch["labels"], batch["loss_weight"]
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    each = torch.nn.functional.cross_entropy(logits, labels, ignore_index=-100, reduction="none")
    loss = (each * weights).sum() / weights[labels != -100].sum()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    assert done.loss == pytest.approx(loss.item(), rel=1e-6)
    assert done.grad_norm == pytest.approx(norm.item(), rel=1e-5)
    assert np.linalg.norm(flat(model) - flat(parts.model)) <= 1e-5 * np.linalg.norm(flat(model))


@pytest.mark.parametrize("problem", STEP_LOSSES)
def test_embedding_twice_gives_what_one_pass_would_with_the_same_dropout(tmp_path, problem):
    """The reference keeps the graphs of all micro-batches at once and lets autograd do the rest."""
    parts = make_parts(
        tmp_path, problem=problem, max_steps=1, warmup=0, weight_decay=0.0, micro_batch=5,
        dropout=0.3, max_grad_norm=0,
    )  # fmt: skip
    model = tiny_model(problem=problem, dropout=0.3).train()
    (done, *_) = train(parts)
    rows = parts.plan().rows(0)
    embeddings = []
    for number, start in enumerate(range(0, len(rows), 5)):
        batch = _tensors(parts, rows[start : start + 5])
        seed_dropout(parts.settings.seed, 0, 0, number)
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        embeddings.append(model(**inputs).embeddings)
    outputs = Embeddings(embeddings=torch.cat(embeddings))
    loss, count = parts.loss(outputs, _tensors(parts, rows))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    (loss / count).backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    optimizer.step()
    assert done.loss == pytest.approx((loss / count).item(), rel=1e-6)
    assert done.grad_norm == pytest.approx(norm.item(), rel=1e-5)
    assert np.linalg.norm(flat(model) - flat(parts.model)) <= 1e-5 * np.linalg.norm(flat(model))


def _tensors(parts, rows):
    return {k: torch.from_numpy(v) for k, v in parts.make_batch(rows.tolist()).items()}


def test_a_step_counts_examples_and_keeps_their_rows_together(tmp_path):
    parts = make_parts(tmp_path, problem="triplets", epochs=1)
    steps = [event for event in train(parts) if isinstance(event, Step)]
    examples = len(set(parts.groups.tolist()))
    assert len(steps) == math.ceil(examples / 16)
    assert sum(step.rows for step in steps) == examples
    assert sum(step.tokens for step in steps) == parts.lengths.sum()


@pytest.mark.parametrize("micro_batch", [None, 5])
def test_a_step_loss_under_autocast(tmp_path, micro_batch):
    parts = make_parts(
        tmp_path, problem="positives", max_steps=3, micro_batch=micro_batch, dropout=0.1,
        accelerator=make_accelerator("cpu", "bf16", 1),
    )  # fmt: skip
    before = flat(parts.model)
    losses = losses_of(train(parts))
    assert all(math.isfinite(loss) and loss > 0 for loss in losses)
    assert {p.dtype for p in parts.model.parameters()} == {torch.float32}
    assert np.linalg.norm(flat(parts.model) - before) > 0


@pytest.mark.parametrize("micro_batch", [None, 5])
def test_a_step_loss_with_scaled_gradients(tmp_path, micro_batch):
    """What fp16 needs; a power of two is exact, so nothing else may change."""
    runs = []
    for name, scaler in {"plain": None, "scaled": torch.amp.GradScaler("cpu")}.items():
        accelerator = make_accelerator("cpu", "fp32", 1)
        accelerator.scaler = scaler
        parts = make_parts(
            tmp_path / name, problem="triplets", max_steps=3, micro_batch=micro_batch, dropout=0.1,
            accelerator=accelerator,
        )  # fmt: skip
        runs.append((losses_of(train(parts)), flat(parts.model)))
    (losses, weights), (scaled_losses, scaled) = runs
    assert scaled_losses == pytest.approx(losses, rel=1e-6)
    assert np.linalg.norm(weights - scaled) <= 1e-5 * np.linalg.norm(weights)


def test_examples_without_labels_change_nothing_for_a_step_loss(tmp_path):
    parts = make_parts(tmp_path, problem="graded", max_steps=2, weight_decay=0.1)
    make_batch = make_data("graded").make_batch

    def unlabelled(rows, epoch):
        return {**make_batch(rows), "labels": np.full(len(rows), np.nan, dtype=np.float32)}

    before = fingerprint(parts.model)
    assert losses_of(train(replace(parts, make_batch=unlabelled))) == [0.0, 0.0]
    assert fingerprint(parts.model) == before


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_a_batch_is_told_the_pass_that_it_belongs_to(tmp_path, micro_batch):
    """Whatever the cut, and after a resume."""
    parts = make_parts(tmp_path, epochs=3, micro_batch=micro_batch, checkpoint_every=1)
    make_batch = make_data("single-label").make_batch
    seen = []

    def noted(rows, epoch):
        seen.append((epoch, *sorted(rows)))
        return make_batch(rows)

    list(train(replace(parts, make_batch=noted)))
    everything = list(range(len(parts.lengths)))
    assert [epoch for epoch, *_ in seen] == sorted(epoch for epoch, *_ in seen)
    for number in range(3):
        met = [row for epoch, *rows in seen if epoch == number for row in rows]
        assert sorted(met) == everything
    before, seen[:] = list(seen), []
    fresh = make_parts(tmp_path, epochs=3, micro_batch=micro_batch)
    steps = parts.checkpoints.steps()
    resumed = parts.checkpoints.newest()
    assert resumed is not None and resumed.progress.step == steps[-1]
    earlier = replace(resumed, progress=replace(resumed.progress, step=steps[0]))
    list(train(replace(fresh, make_batch=noted), earlier))
    assert seen == before[-len(seen) :] and seen


def _batches(parts):
    from hfkit.train.batches import Examples, epoch_batches

    return epoch_batches(Examples(parts.lengths), 16, seed=5, epoch=0, by_length=True)


def test_events_of_a_run(tmp_path):
    parts = make_parts(tmp_path, epochs=2, checkpoint_every=4)
    parts = scored(parts, weight_sum)
    events = list(train(parts))
    kinds = [f"{type(event).__name__} {event.step}" for event in events]
    assert kinds == [
        "Step 1", "Step 2", "Step 3", "Step 4", "Checkpoint 4", "Step 5", "Evaluation 5",
        "Checkpoint 5", "Step 6", "Step 7", "Step 8", "Checkpoint 8", "Step 9", "Step 10",
        "Evaluation 10", "Checkpoint 10", "Stopped 10",
    ]  # fmt: skip
    steps = [event for event in events if isinstance(event, Step)]
    assert sum(step.rows for step in steps[:5]) == len(parts.lengths)
    assert sum(step.tokens for step in steps[5:]) == parts.lengths.sum()
    assert steps[-1].epoch == 2.0
    assert events[-1].reason == "finished"
    assert not parts.model.__dict__.get("_original_forward")


def test_learning_rate_warms_up_and_falls(tmp_path):
    parts = make_parts(tmp_path, epochs=2, warmup=0.2, lr=1.0e-3)
    rates = [event.lr * 1e3 for event in train(parts) if isinstance(event, Step)]
    expected = [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]
    np.testing.assert_allclose(rates, expected)


def test_max_steps_ends_the_run(tmp_path):
    parts = make_parts(tmp_path, max_steps=3)
    last = list(train(parts))[-1]
    assert (last.step, last.reason) == (3, "max_steps")


def test_patience_counts_evaluations_without_a_better_score(tmp_path):
    scores = iter([0.5, 0.7, 0.7, math.nan, 0.1])
    parts = scored(make_parts(tmp_path, epochs=9, eval_every=2, patience=3), lambda _: next(scores))
    *_, last = train(parts)
    assert (last.step, last.reason, last.best_step, last.best_score) == (10, "patience", 4, 0.7)


def test_minus_means_lower_is_better(tmp_path):
    scores = iter([3.0, 1.0, 2.0])
    parts = scored(make_parts(tmp_path, epochs=3), lambda _: next(scores))
    events = list(train(replace(parts, best="-score")))
    assert [e.best for e in events if isinstance(e, Evaluation)] == [True, True, False]


def test_unknown_best_score_is_an_input_error(tmp_path):
    parts = replace(scored(make_parts(tmp_path, max_steps=1), weight_sum), best="scor")
    with pytest.raises(InputError, match="did you mean 'score'"):
        list(train(parts))


def test_a_score_that_is_undefined_once_is_not_the_best(tmp_path):
    scores = iter([{"score": 0.5}, {}, {"score": 0.7}])
    parts = make_parts(tmp_path, epochs=3)
    events = list(train(replace(parts, evaluate=lambda: next(scores), best="score")))
    assert [e.best for e in events if isinstance(e, Evaluation)] == [True, False, True]
    parts = make_parts(tmp_path / "never", max_steps=1)
    with pytest.raises(InputError, match=r"no score is defined .*--validation"):
        list(train(replace(parts, evaluate=dict, best="score")))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("micro_batch", [None, 3])
@pytest.mark.parametrize("problem", ["single-label", "tokens", "span", *STEP_LOSSES])
def test_resumed_run_equals_uninterrupted(tmp_path, precision, micro_batch, problem):
    accelerator = make_accelerator("cpu", precision, 1)

    def parts(folder: str):
        made = make_parts(
            tmp_path / folder, problem=problem, dropout=0.1, accelerator=accelerator, epochs=3,
            micro_batch=micro_batch, eval_every=4, checkpoint_every=3, patience=3,
        )  # fmt: skip
        return scored(made, lambda model: -weight_sum(model))

    whole = parts("whole")
    expected = list(train(whole))
    for cut in (1, 6, 8, 11):  # before any checkpoint, at a save, at an evaluation, between
        before, after = parts(f"cut-{cut}"), parts(f"cut-{cut}")
        for event in train(before):
            if isinstance(event, Step) and event.step == cut:
                break
        resume = after.checkpoints.newest()
        events = list(train(after, resume))
        assert fingerprint(after.model) == fingerprint(whole.model)
        assert events[-1] == expected[-1]
        start = resume.progress.step if resume else 0
        losses = [e.loss for e in expected if isinstance(e, Step) and e.step > start]
        assert [e.loss for e in events if isinstance(e, Step)] == losses


def test_autocast_computes_in_bf16_and_keeps_fp32_weights(tmp_path):
    seen = []
    parts = make_parts(tmp_path, accelerator=make_accelerator("cpu", "bf16", 1), max_steps=1)
    parts.model.classifier.register_forward_hook(lambda *hook: seen.append(hook[2].dtype))
    list(train(parts))
    assert seen == [torch.bfloat16]
    assert {p.dtype for p in parts.model.parameters()} == {torch.float32}
    parts.model(input_ids=torch.tensor([[5, 6]]))
    assert seen[-1] == torch.float32  # the model came back without autocast


def test_patience_counter_survives_a_resume(tmp_path):
    def parts(scores):
        return scored(
            make_parts(tmp_path, epochs=9, eval_every=2, patience=3), lambda _: next(scores)
        )

    for event in train(parts(iter([0.9, 0.1, 0.1]))):
        if isinstance(event, Checkpoint) and event.step == 6:
            break
    after = parts(iter([0.5]))
    events = list(train(after, after.checkpoints.newest()))
    assert (events[-1].step, events[-1].reason, events[-1].best_step) == (8, "patience", 2)
    again = parts(iter([]))
    resumed = list(train(again, again.checkpoints.newest()))
    assert resumed == [events[-1]]  # a finished run has nothing left to do


def test_dropout_depends_on_the_seed(tmp_path):
    runs = [make_parts(tmp_path / str(n), dropout=0.2, max_steps=2, seed=s) for n, s in
            enumerate([1, 1, 2])]  # fmt: skip
    digests = []
    for parts in runs:
        list(train(parts))
        digests.append(fingerprint(parts.model))
    assert digests[0] == digests[1] != digests[2]


def test_signal_saves_and_the_same_command_goes_on(tmp_path):
    whole = make_parts(tmp_path / "whole", dropout=0.1)
    list(train(whole))
    parts = make_parts(tmp_path / "cut", dropout=0.1)
    events = []
    for event in train(parts):
        if event.step == 3:
            parts.stop.signum = 2
        events.append(event)
    assert [type(event) for event in events[-2:]] == [Checkpoint, Stopped]
    assert (events[-1].step, events[-1].reason, events[-1].signum) == (4, "signal", 2)
    after = make_parts(tmp_path / "cut", dropout=0.1)
    list(train(after, after.checkpoints.newest()))
    assert fingerprint(after.model) == fingerprint(whole.model)


def test_evaluation_that_a_signal_cut_off_is_made_up_for(tmp_path):
    def parts():
        return scored(make_parts(tmp_path, epochs=2), weight_sum)

    first = parts()
    for event in train(first):
        if isinstance(event, Step) and event.step == 4:
            first.stop.signum = 15  # noticed after step 5, where an evaluation is due
    second = parts()
    evaluated = [
        event.step
        for event in train(second, second.checkpoints.newest())
        if isinstance(event, Evaluation)
    ]
    assert evaluated == [5, 10]


def test_time_limit(tmp_path):
    parts = make_parts(tmp_path, parts={"stop": Stop(max_seconds=0)})
    *_, saved, last = train(parts)
    assert (saved.step, last.step, last.reason) == (1, 1, "max_time")


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_divergence_stops_within_one_step(tmp_path, where):
    parts = make_parts(tmp_path, problem="regression", epochs=3, checkpoint_every=2)
    make_batch = make_data("regression").make_batch
    calls = []

    def poisoned(rows, epoch):
        batch = make_batch(rows)
        calls.append(rows)
        if len(calls) == 4 and where == "loss":
            batch["loss_weight"] = batch["loss_weight"] * np.float32("inf")
        return batch

    def exploding(outputs, batch):
        loss, count = parts.loss(outputs, batch)
        bad = len(calls) == 4 and where == "gradient"
        return (loss + torch.sqrt(loss * 0) if bad else loss), count

    with pytest.raises(DivergedError, match=f"the {where} is .* at step 4; .* step 2 stands"):
        list(train(replace(parts, make_batch=poisoned, loss=exploding)))
    assert parts.checkpoints.newest().progress.step == 2


def test_batch_without_labels_is_counted_but_changes_nothing(tmp_path):
    parts = make_parts(tmp_path, max_steps=2, weight_decay=0.1)
    make_batch = make_data("single-label").make_batch

    def unlabelled(rows, epoch):
        return {**make_batch(rows), "labels": np.full(len(rows), -100)}

    before = fingerprint(parts.model)
    losses = losses_of(train(replace(parts, make_batch=unlabelled)))
    assert losses == [0.0, 0.0]
    assert fingerprint(parts.model) == before


def test_out_of_memory_says_what_to_do(tmp_path):
    def hungry(outputs, batch):
        raise torch.OutOfMemoryError("CUDA out of memory")

    parts = make_parts(tmp_path, parts={"loss": hungry})
    with pytest.raises(ResourceError, match="step 1; lower --micro-batch"):
        list(train(parts))


def test_no_rows_and_no_learning_rate_are_input_errors(tmp_path: Path):
    with pytest.raises(InputError, match="no rows"):
        list(train(make_parts(tmp_path, parts={"lengths": np.zeros(0, dtype=int)})))
    with pytest.raises(InputError, match="learning rate"):
        list(train(make_parts(tmp_path, lr=None)))


def test_model_is_in_evaluation_mode_only_while_it_is_evaluated(tmp_path):
    modes = []
    parts = make_parts(tmp_path, epochs=1, eval_every=2)
    parts.model.classifier.register_forward_pre_hook(lambda m, _: modes.append(m.training))

    def evaluate():
        assert not torch.is_grad_enabled()
        modes.append(parts.model.training)
        return {"score": 1.0}

    list(train(replace(parts, evaluate=evaluate, best="score")))
    assert modes == [True, True, False, True, True, False, True, False]
