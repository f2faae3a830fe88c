"""Text2text: prefixes, languages, targets, what the model reads while it learns, its settings."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from toys import write_polyglot, write_writer

from hfkit import text
from hfkit.errors import InputError
from hfkit.model.load import load_for_prediction, load_for_training
from hfkit.model.writer import decoder_inputs
from hfkit.registry import make_task
from hfkit.targets import IGNORED
from hfkit.tasks.collate import collate
from hfkit.train.losses import find_loss

ROWS = [
    {"text": "the old drum and rain", "label": "drum rain"},
    {"text": "snow", "label": "snow snow snow snow snow"},
]
T5 = {"model_type": "t5", "is_encoder_decoder": True}
PURPOSES = {
    "task_specific_params": {
        "summarization": {"prefix": "summarize: ", "num_beams": 4},
        "translation_en_to_de": {"prefix": "translate English to German: "},
    }
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_writer(tmp_path_factory.mktemp("t5"))


@pytest.fixture(scope="module")
def tokenizer(folder):
    return text.from_transformers(folder, 40)


def made(name="text2text", tokenizer=None, **options):
    task = make_task(name, options)
    if tokenizer:
        task.read_with(tokenizer)
    return task


def test_targets_end_with_the_token_that_ends_texts(tokenizer):
    task = made(tokenizer=tokenizer, max_target_length=5)
    encoded = task.features(ROWS, tokenizer)
    task.targets(ROWS, encoded)
    assert [part["labels"][-1] for part in encoded] == [3, 3]
    assert [len(part["labels"]) for part in encoded] == [4, 5]
    assert [part["_target_cut"] for part in encoded] == [0, 1]
    batch = collate(encoded, tokenizer.padding)
    assert batch["labels"][0, 4] == IGNORED and batch["labels"].shape == (2, 5)
    outputs = [{"ids": np.array([*part["labels"], -1, -1])} for part in encoded]
    answers = task.decode(outputs, encoded, ROWS)
    assert [one["text"] for one in answers] == ["drum rain", "snow snow snow"]


def test_perfect_outputs_are_the_gold_answers(tokenizer):
    task = made(tokenizer=tokenizer, target_language="en")
    encoded = task.features(ROWS, tokenizer)
    task.targets(ROWS, encoded)
    answers = task.decode([{"ids": np.array(part["labels"])} for part in encoded], encoded, ROWS)
    gold = task.gold(ROWS)
    assert [one["text"] for one in answers] == [one["text"] for one in gold]
    assert gold[0] == {**gold[0], "source": ROWS[0]["text"], "language": "en"}


def test_long_texts_are_cut_and_marked_or_refused(tokenizer):
    row = {"text": "rain " * 60}
    task = made(tokenizer=tokenizer)
    (part,) = task.features([row], tokenizer)
    assert len(part["input_ids"]) == 40 and part["_truncated"]
    (answer,) = task.decode([{"ids": np.array([5, 3])}], [part], [row])
    assert answer["truncated"] is True
    with pytest.raises(InputError, match="62 tokens"):
        made(on_long="error").features([row], tokenizer)
    with pytest.raises(InputError, match="expected truncate or error"):
        made(on_long="window")


@pytest.mark.parametrize(
    ("name", "options", "prefix"),
    [
        ("summarization", {}, "summarize: "),
        ("text2text", {}, ""),
        ("translation", {}, ""),
        ("translation", {"source_language": "en", "target_language": "de"},
         "translate English to German: "),
        ("summarization", {"source_prefix": ""}, ""),
        ("summarization", {"source_prefix": "tl;dr "}, "tl;dr "),
    ],
)  # fmt: skip
def test_the_prefix_of_t5(tokenizer, caplog, name, options, prefix):
    caplog.set_level("INFO")
    task = made(name, tokenizer, **options)
    task.build_on({**T5, **PURPOSES})
    assert task.resolved()["source_prefix"] == prefix
    assert ("as the model was trained" in caplog.text) == (prefix not in ("", "tl;dr "))
    again = make_task(name, {**task.resolved()})
    again.build_on({**T5})  # the configuration of a run need not say it again
    row, bare = {"text": "rain"}, {"text": f"{prefix}rain"}
    expected = made("text2text", source_prefix="").features([bare], tokenizer)
    assert again.features([row], tokenizer) == expected


def test_what_is_no_model_to_build_on():
    with pytest.raises(InputError, match="a bert reads texts and writes none"):
        made().build_on({"model_type": "bert"})
    with pytest.raises(InputError, match="200 tokens are more than the model writes"):
        long = {"model_type": "bart", "is_encoder_decoder": True, "max_position_embeddings": 64}
        made(max_target_length=200).build_on(long)
    with pytest.raises(InputError, match="more than --max-target-length"):
        made(min_new_tokens=9, max_target_length=8)


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_the_loss_is_that_of_the_models_own_head(tmp_path, family):
    folder = write_writer(tmp_path / family, family)
    tokenizer = text.from_transformers(folder, 40)
    task = made(tokenizer=tokenizer)
    model = load_for_training(folder, task.auto_class, task.head(), dropout=None, seed=1).eval()
    encoded = task.features(ROWS, tokenizer)
    task.targets(ROWS, encoded)
    batch = collate(encoded, tokenizer.padding)
    labels = torch.from_numpy(batch["labels"])
    given = {name: torch.from_numpy(batch[name]) for name in ("input_ids", "attention_mask")}
    shifted = torch.from_numpy(decoder_inputs(model, batch["labels"]))
    loss, count = find_loss(task.loss, task.loss_options)(
        model(**given, decoder_input_ids=shifted), {"labels": labels}
    )
    theirs = model(**given, labels=labels).loss
    assert count == (labels != IGNORED).sum()
    assert (loss / count).item() == pytest.approx(theirs.item(), rel=1e-6)


def test_models_without_a_shift_of_their_own():
    from transformers import M2M100Config, M2M100ForConditionalGeneration

    config = M2M100Config(
        vocab_size=40, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16,
        max_position_embeddings=32, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2,
    )  # fmt: skip
    model = M2M100ForConditionalGeneration(config).eval()
    labels = np.array([[7, 8, 2], [9, 2, IGNORED]])
    assert decoder_inputs(model, labels).tolist() == [[2, 7, 8], [2, 9, 2]]


def test_settings_of_the_base_model_stay_where_none_are_given(tmp_path, caplog):
    folder = write_writer(tmp_path)
    path = folder / "generation_config.json"
    stored = json.loads(path.read_text())
    path.write_text(
        json.dumps({**stored, "num_beams": 6, "min_length": 5, "max_length": 99, "do_sample": True})
    )
    caplog.set_level("INFO")

    def settings(**options):
        task = made(max_target_length=9, **options)
        return load_for_prediction(folder, task.auto_class, task.head()).generation_config

    found = settings()
    assert (found.num_beams, found.min_length, found.max_new_tokens) == (6, 5, 9)
    assert not found.do_sample and found.max_length is None
    assert "num_beams=6, min_length=5" in caplog.text
    found = settings(beams=2, min_new_tokens=0, no_repeat_ngram=3)
    assert (found.num_beams, found.min_length, found.no_repeat_ngram_size) == (2, None, 3)
    assert settings(sample=True, beams=3).num_beams == 1
    path.write_text(json.dumps(stored))
    assert settings().num_beams == 4


def test_label_smoothing_reaches_the_loss():
    assert made(label_smoothing=0.1).loss_options == {"smoothing": 0.1}


def test_a_tokenizer_that_exists_in_python_only(tmp_path):
    from transformers import ByT5Tokenizer

    write_writer(tmp_path, vocab_size=384, eos_token_id=1)
    for path in tmp_path.glob("*token*"):
        path.unlink()
    ByT5Tokenizer().save_pretrained(tmp_path)
    tokenizer = text.from_transformers(tmp_path, 20)
    (whole, cut), (short, was_cut) = tokenizer.encode_targets(["Grüße", "a longer text"], 8)
    assert (whole[-1], len(whole), cut) == (1, 8, False)
    assert (short[-1], len(short), was_cut) == (1, 8, True)
    assert tokenizer.decode([whole, short]) == ["Grüße", "a longe"]


# ---- models of many languages


@pytest.fixture(scope="module")
def mbart(tmp_path_factory):
    """A tiny mBART with a tokenizer of a few words."""
    return write_polyglot(tmp_path_factory.mktemp("mbart"), "mbart")


def test_languages_stand_where_the_model_expects_them(mbart):
    tokenizer = text.from_transformers(mbart, 32, languages=("en_XX", "de_DE"))
    (source,) = tokenizer.encode(["rain snow"])[0]
    ids = tokenizer.backend.token_to_id
    assert source["input_ids"][-2:] == [2, ids("en_XX")]
    ((target, cut),) = tokenizer.encode_targets(["regen"], 32)
    assert target[-2:] == [2, ids("de_DE")] and not cut
    assert tokenizer.encode(["rain snow"])[0][0] == source, "reading goes on as before"
    assert tokenizer.language_id == ids("de_DE")
    assert tokenizer.decode([[ids("de_DE"), *target]]) == ["regen"]
    task = made("translation", tokenizer, source_language="en_XX", target_language="de_DE")
    assert task.head()["hfkit_writing"]["decoder_start_token_id"] == ids("de_DE")


def test_a_language_that_begins_texts_is_forced(tmp_path):
    folder = write_polyglot(tmp_path, "nllb")
    tokenizer = text.from_transformers(folder, 32, languages=("eng_Latn", "deu_Latn"))
    ((target, _),) = tokenizer.encode_targets(["regen"], 32)
    assert target[0] == tokenizer.language_id == tokenizer.backend.token_to_id("deu_Latn")
    task = made("translation", tokenizer, source_language="eng_Latn", target_language="deu_Latn")
    writing = task.head()["hfkit_writing"]
    assert writing["forced_bos_token_id"] == target[0] and "decoder_start_token_id" not in writing


def test_languages_have_to_be_named_and_known(mbart):
    with pytest.raises(InputError, match="several languages") as found:
        made("translation").read_with(text.from_transformers(mbart, 32))
    assert "--source-language" in found.value.hint
    with pytest.raises(InputError, match="no language 'german'") as found:
        text.from_transformers(mbart, 32, languages=("en_XX", "german"))
    assert found.value.place == "--target-language"


def test_a_tokenizer_of_one_language_takes_no_notice(folder):
    found = text.from_transformers(folder, 32, languages=("en", "de"))
    assert found.language_id is None and not found.has_languages
