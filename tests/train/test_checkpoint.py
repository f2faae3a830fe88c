from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
import torch
from training_cases import SIZE, fingerprint, make_parts, tiny_model
from transformers import BertConfig, BertForMaskedLM

from hfkit import sealing
from hfkit.errors import InputError
from hfkit.train.checkpoint import Checkpoints, Progress, moments_of
from hfkit.train.loop import Step, train
from hfkit.train.optim import make_optimizer


def optimizer_of(model):
    return make_optimizer(model, lr=1e-3, weight_decay=0.0)


def save(checkpoints, model, *steps, **progress):
    for step in steps:
        checkpoints.save(
            Progress(step=step, **progress), model, moments_of(model, optimizer_of(model))
        )


def empty(path):
    path.write_bytes(b"")


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_nothing_usable_starts_from_the_beginning(tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.newest() is None
    save(checkpoints, tiny_model(), 4)
    empty(tmp_path / "step-4" / "progress.json")
    (tmp_path / "step-999").mkdir()
    assert checkpoints.newest() is None
    assert len(caplog.records) == 1
    assert "step-999" in caplog.text and "step-4" in caplog.text and "beginning" in caplog.text


def test_a_checkpoint_whose_best_is_lost_is_not_whole(tmp_path, caplog):
    checkpoints, model = Checkpoints(tmp_path), tiny_model()
    save(checkpoints, model, 2)
    save(checkpoints, model, 4, 6, best_step=4)
    assert checkpoints.newest().progress.step == 6
    flip_a_bit(tmp_path / "step-4" / "model.safetensors")
    assert checkpoints.newest() is None
    assert "its best, step-4" in caplog.text


def test_the_newest_two_and_the_best_are_kept(tmp_path):
    checkpoints, model = Checkpoints(tmp_path), tiny_model()
    save(checkpoints, model, 2, 4, 6, 8, 10, best_step=4)
    assert checkpoints.steps() == [4, 8, 10]
    save(checkpoints, model, 12, best_step=12)
    assert checkpoints.steps() == [10, 12]


def test_leftovers_of_a_kill_are_swept_and_never_taken(tmp_path):
    checkpoints, model = Checkpoints(tmp_path), tiny_model()
    save(checkpoints, model, 2)
    shutil.copytree(tmp_path / "step-2", tmp_path / ".stage-step-4")
    shutil.copytree(tmp_path / "step-2", tmp_path / ".gone-step-1")
    assert checkpoints.steps() == [2]
    checkpoints.clean()
    assert [path.name for path in tmp_path.iterdir()] == ["step-2"]


def test_tied_weights_survive(tmp_path):
    torch.manual_seed(2)
    model, other = (BertForMaskedLM(BertConfig(**SIZE)) for _ in range(2))
    embedding = model.bert.embeddings.word_embeddings.weight
    assert model.cls.predictions.decoder.weight is embedding
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, model, 1)
    assert fingerprint(model) != fingerprint(other)
    checkpoints.load_model(1, other)
    checkpoints.load_optimizer(1, other, optimizer_of(other))
    assert fingerprint(model) == fingerprint(other)
    assert other.cls.predictions.decoder.weight is other.bert.embeddings.word_embeddings.weight


def test_weights_of_another_model_are_refused(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    save(checkpoints, tiny_model("bert"), 1)
    with pytest.raises(InputError, match="another model"):
        checkpoints.load_model(1, tiny_model("roberta"))
    with pytest.raises(InputError, match="another model"):
        checkpoints.load_model(1, tiny_model("bert", "regression"))


def test_progress_comes_back_as_it_was(tmp_path):
    progress = Progress(
        step=7, evaluated=6, best_step=7, best_score=-0.25, bad_evaluations=2,
        scaler={"scale": 1024.0, "_growth_tracker": 3}, fingerprint="abc", world=2,
    )  # fmt: skip
    model = tiny_model()
    checkpoints = Checkpoints(tmp_path, fingerprint="abc")
    checkpoints.save(progress, model, moments_of(model, optimizer_of(model)))
    assert checkpoints.newest().progress == progress


def test_checkpoints_of_another_run_or_version_are_named_and_not_taken(tmp_path, caplog):
    model = tiny_model()
    save(Checkpoints(tmp_path, fingerprint="own"), model, 2)
    save(Checkpoints(tmp_path / "other", fingerprint="another"), model, 4, 6)
    for step in (4, 6):
        shutil.copytree(tmp_path / "other" / f"step-{step}", tmp_path / f"step-{step}")
    with sealing.staged(tmp_path / "step-8") as stage:
        (stage / "progress.json").write_text('{"step": 8, "mood": "good"}')
    shutil.copytree(tmp_path / "step-2", tmp_path / "step-9")  # under another name
    checkpoints = Checkpoints(tmp_path, keep=1, fingerprint="own")
    assert checkpoints.newest().progress.step == 2
    (record,) = caplog.records
    assert "step-9 (of another run), step-8 (of another version of hfkit)" in record.message
    assert "step-6 (of another run)" in record.message
    assert record.message.endswith("; using step-2")
    save(checkpoints, model, 3)  # those that cannot be used do not count among those that stay
    assert checkpoints.steps() == [3, 4, 6, 8, 9]
    assert checkpoints.newest().progress.step == 3


def test_a_best_checkpoint_of_another_run_is_not_taken(tmp_path, caplog):
    checkpoints, model = Checkpoints(tmp_path, fingerprint="own"), tiny_model()
    save(checkpoints, model, 2)
    save(checkpoints, model, 4, best_step=2)
    save(Checkpoints(tmp_path / "other", fingerprint="another"), model, 2)
    shutil.rmtree(tmp_path / "step-2")
    shutil.copytree(tmp_path / "other" / "step-2", tmp_path / "step-2")
    assert checkpoints.newest() is None
    assert "step-4 (its best, step-2: of another run)" in caplog.text


def test_scaler_state_is_saved_and_restored(tmp_path):
    def parts():
        made = make_parts(tmp_path, checkpoint_every=2)
        made.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=64.0, growth_interval=3)
        return made

    for event in train(parts()):
        if isinstance(event, Step) and event.step == 5:
            break
    after = parts()
    saved = after.checkpoints.newest()
    assert (saved.progress.scaler["scale"], saved.progress.scaler["_growth_tracker"]) == (128.0, 1)
    list(train(after, saved))
    plain = make_parts(tmp_path / "plain", checkpoint_every=2)
    list(train(plain))  # scaling by powers of two changes nothing
    assert fingerprint(after.model) == fingerprint(plain.model)


def test_judging():
    progress = replace(Progress(), step=4).judged(float("nan"), lower_is_better=False)
    assert (progress.best_step, progress.bad_evaluations, progress.evaluated) == (None, 1, 4)
    progress = progress.judged(0.5, lower_is_better=False)
    assert (progress.best_step, progress.bad_evaluations) == (4, 0)
