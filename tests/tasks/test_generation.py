"""Generation: what is learnt of a row, long texts, conversations, and losses without padding."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from toys import CHAT_TEMPLATE, write_generator, write_writer

from hfkit import text
from hfkit.errors import InputError, RowError
from hfkit.model.load import load_for_prediction, load_for_training
from hfkit.model.unpad import unpad
from hfkit.prompts import Tokens, blocks
from hfkit.registry import make_task
from hfkit.targets import IGNORED
from hfkit.tasks.collate import collate
from hfkit.train.losses import find_loss

BEGIN, END = 2, 3  # [CLS] and [SEP] of the toy tokenizer
PAIR = {"prompt": "the old drum", "completion": "and rain"}
TALK = [
    {"role": "user", "content": "rain"},
    {"role": "assistant", "content": "snow"},
    {"role": "user", "content": "drum"},
    {"role": "assistant", "content": "song"},
]
MARKED = (
    "{% for m in messages %}{% if m.role == 'assistant' %}a: {% generation %}{{ m.content }} ."
    "{% endgeneration %}{% else %}u: {{ m.content }} .{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}a: {% endif %}"
)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def folder(request, tmp_path_factory):
    return write_generator(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="module")
def tokenizer(folder):
    return text.from_transformers(folder, 40)


def made(tokenizer, name="generation", rows=(), asked=False, **options):
    task = make_task(name, options)
    task.asked = asked
    task.learn(rows)
    task.build_on({"model_type": "gpt2", "n_positions": 64, "eos_token_id": END})
    task.read_with(tokenizer)
    return task


def learnt(tokenizer, part):
    """The words that have a label."""
    wanted = [token for token in part["labels"] if token != IGNORED]
    return tokenizer.text_of(wanted)


def encoded(task, rows, tokenizer):
    parts = task.features(rows, tokenizer)
    task.targets(rows, parts)
    return parts


def test_of_a_prompt_nothing_is_learnt(tokenizer):
    (part,) = encoded(made(tokenizer, rows=[PAIR]), [PAIR], tokenizer)
    assert tokenizer.text_of(part["input_ids"]) == "[CLS] the old drum a ##n ##d rain [SEP]"
    assert learnt(tokenizer, part) == "a ##n ##d rain [SEP]"
    place = part["input_ids"].index(tokenizer.pieces(["drum"])[0][0])
    assert part["labels"][place] == part["input_ids"][place + 1], "a label is the next token"
    batch = collate([part, {**part, "input_ids": [5], "_learnt": [0], "labels": [IGNORED]}])
    assert set(batch["labels"][1].tolist()) == {IGNORED}, "padding has no label"


def test_prompt_and_completion_are_encoded_apart(tokenizer):
    row = {"prompt": "rai", "completion": "n"}
    (part,) = encoded(made(tokenizer, rows=[row]), [row], tokenizer)
    asked = made(tokenizer, asked=True).features([row], tokenizer)[0]
    assert part["input_ids"][: len(asked["input_ids"])] == asked["input_ids"]


def test_long_texts_are_cut_without_losing_a_token(tokenizer):
    rows = [{"text": "rain"}, {"text": "drum song " * 60}]
    parts = encoded(made(tokenizer, rows=rows), rows, tokenizer)
    assert [part["_row"] for part in parts] == [0] + [1] * (len(parts) - 1) and len(parts) > 3
    assert max(len(part["input_ids"]) for part in parts) == 40
    labels = [t for part in parts[1:] for t in part["labels"] if t != IGNORED]
    assert labels == [*tokenizer.pieces([rows[1]["text"]])[0], END]


def test_joined_texts_lose_no_token(tokenizer):
    rows = [{"text": f"rain {'drum ' * n}", "document": n // 3} for n in range(20)]
    parts = encoded(made(tokenizer, "clm", rows), rows, tokenizer)
    assert {len(part["input_ids"]) for part in parts[:-1]} == {40}
    labels = [t for part in parts for t in part["labels"] if t != IGNORED]
    pieces = tokenizer.pieces([row["text"] for row in rows])
    expected = []
    for n, tokens in enumerate(pieces):
        first = [BEGIN] if n % 3 == 0 and n else []
        expected += [*first, *tokens, *([END] if n % 3 == 2 or n == 19 else [])]
    assert labels == expected
    assert [part["_row"] for part in parts] == sorted(part["_row"] for part in parts)


def test_a_long_pair_loses_the_beginning_of_its_prompt(tokenizer):
    row = {"prompt": "drum " * 60 + "rain", "completion": "snow fog"}
    task = made(tokenizer, rows=[row])
    (part,) = encoded(task, [row], tokenizer)
    assert len(part["input_ids"]) == 40 and part["_truncated"]
    assert learnt(tokenizer, part) == "snow fog [SEP]"
    (part,) = encoded(task, [{"prompt": "rain", "completion": "snow " * 60}], tokenizer)
    assert len(part["input_ids"]) == 40 and learnt(tokenizer, part).split() == ["snow"] * 39
    with pytest.raises(RowError, match="room for"):
        made(tokenizer, rows=[row], on_long="error").features([row], tokenizer)


def test_a_long_prompt_leaves_room_for_what_is_written(tokenizer):
    task = made(tokenizer, asked=True, max_new_tokens=30)
    (part,) = task.features([{"text": "drum " * 60 + "rain"}], tokenizer)
    assert len(part["input_ids"]) == part["prompt_length"] == 34 and part["_truncated"]
    assert tokenizer.text_of(part["input_ids"][-1:]) == "rain"
    assert task.head()["hfkit_writing"]["room"] == 34
    with pytest.raises(InputError, match="70 tokens leave no room for a prompt"):
        made(tokenizer, max_new_tokens=70)


# ---- conversations


@pytest.fixture(scope="module", params=["plain", "marked"])
def chatting(request, tmp_path_factory):
    template = {"plain": CHAT_TEMPLATE, "marked": MARKED}[request.param]
    folder = write_generator(tmp_path_factory.mktemp(request.param), "gpt2", template)
    return request.param, text.from_transformers(folder, 64)


def test_turns_of_the_assistant_are_learnt(chatting, caplog):
    kind, tokenizer = chatting
    caplog.set_level("INFO")
    rows = [{"messages": TALK}]
    task = made(tokenizer, rows=rows)
    (part,) = encoded(task, rows, tokenizer)
    whole = "u : rain . a : snow . u : drum . a : song . [SEP]"
    assert tokenizer.text_of(part["input_ids"]) == whole
    if kind == "marked":
        assert learnt(tokenizer, part) == "snow . song . [SEP]"
        assert "all turns are learnt, as the chat template marks them" in caplog.text
    else:
        assert learnt(tokenizer, part) == "song . [SEP]"
        assert "last turn is learnt, as the chat template marks none" in caplog.text
    assert task.resolved()["chat"] is True
    assert task.gold(rows) == [{"text": "song"}]


def test_a_question_ends_where_the_assistant_is_to_speak(chatting):
    _, tokenizer = chatting
    task = made(tokenizer, asked=True, chat=True)
    rows = [{"text": "rain"}, {"messages": TALK[:3]}]
    parts = task.features(rows, tokenizer)
    assert [tokenizer.text_of(part["input_ids"]) for part in parts] == [
        "u : rain . a :", "u : rain . a : snow . u : drum . a :",
    ]  # fmt: skip
    with pytest.raises(RowError, match="the assistant has spoken last") as found:
        task.features([*rows, {"messages": TALK}], tokenizer)
    assert found.value.row == 2


def test_conversations_that_teach_nothing(chatting, tmp_path):
    _, tokenizer = chatting
    rows = [{"messages": TALK}, {"messages": TALK[:1]}]
    with pytest.raises(RowError, match="no turn of the assistant's") as found:
        made(tokenizer, rows=rows).features(rows, tokenizer)
    assert found.value.row == 1
    bare = text.from_transformers(write_generator(tmp_path), 40)
    with pytest.raises(InputError, match="no chat template"):
        made(bare, rows=rows)


def test_a_template_that_writes_answered_turns_otherwise(tmp_path):
    template = "{{ messages|length }}" + CHAT_TEMPLATE
    tokenizer = text.from_transformers(write_generator(tmp_path, chat=template), 40)
    rows = [{"messages": TALK}]
    with pytest.raises(RowError, match="otherwise once it is answered"):
        made(tokenizer, rows=rows).features(rows, tokenizer)


# ---- losses

SHORT = [{"text": " ".join(["rain", "drum", "song"][: n % 3 + 1] * (n % 5 + 1))} for n in range(12)]


def loss_of(model, batch):
    given = {name: torch.from_numpy(array) for name, array in batch.items()}
    labels = {"labels": given.pop("labels")}
    total, count = find_loss("cross_entropy")(model(**given), labels)
    (total / count).backward()
    slopes = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return (total / count).item(), slopes


def test_texts_in_one_batch_do_not_see_each_other(folder, tokenizer):
    """Without padding all texts of a batch stand in one row; the loss is that of padded rows, of
    rows one by one, and of the model's own head."""
    task = made(tokenizer, rows=SHORT)
    parts = encoded(task, SHORT, tokenizer)
    batch = collate(parts, tokenizer.padding)
    model = load_for_training(folder, task.auto_class, task.head(), dropout=None, seed=1)
    padded, slopes = loss_of(model.train(), batch)
    sums = [0.0, 0]
    for part in parts:
        ids = torch.tensor([part["input_ids"]])
        own = model.model(input_ids=ids, labels=ids).loss
        sums = [sums[0] + own.item() * (ids.shape[1] - 1), sums[1] + ids.shape[1] - 1]
    assert unpad(model, gradients=True), "it was not proved to be the same"
    packed, found = loss_of(model.train(), batch)
    assert packed == pytest.approx(padded, rel=1e-6)
    assert padded == pytest.approx(sums[0] / sums[1], rel=1e-6)
    for one, other in zip(found, slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_what_is_judged_is_the_loss(folder, tokenizer):
    task = made(tokenizer, rows=[PAIR])
    rows = [PAIR, {"prompt": "rain", "completion": "song"}]
    parts = encoded(task, rows, tokenizer)
    model = load_for_prediction(folder, task.auto_class, task.head())
    from hfkit.infer.predictor import Predictor
    from hfkit.infer.torch_engine import engine_of

    answers = Predictor(task, tokenizer, engine_of(model)).predict(rows)
    total, count = find_loss("cross_entropy")(
        model.train()(*(torch.from_numpy(collate(parts, tokenizer.padding)[name])
                        for name in ("input_ids", "attention_mask"))),
        {"labels": torch.from_numpy(collate(parts, tokenizer.padding)["labels"])},
    )  # fmt: skip
    assert sum(one["tokens"] for one in answers) == int(count)
    assert sum(one["loss"] for one in answers) == pytest.approx(total.item(), rel=1e-5)
    assert all(0 <= one["found"] <= one["tokens"] for one in answers)


# ---- what is no model, and no setting


@pytest.mark.parametrize(
    ("options", "config", "message"),
    [
        ({}, {"model_type": "bert"}, "a bert reads texts and writes none"),
        ({}, {"model_type": "t5", "is_encoder_decoder": True}, "writes one text for another"),
    ],
)
def test_models_that_do_not_go_on(options, config, message):
    with pytest.raises(InputError, match=message):
        make_task("generation", options).build_on(config)


def test_settings_that_do_not_fit():
    with pytest.raises(InputError, match="joins texts"):
        make_task("generation", {"join": True}).learn([PAIR])
    with pytest.raises(InputError, match="needs prompts with completions"):
        make_task("generation", {"written": True}).learn([{"text": "rain"}])
    with pytest.raises(InputError, match="expected some words"):
        make_task("generation", {"stop": [""]})
    assert make_task("generation", {"stop": ["\\n"]}).options.stop == ["\n"]


def test_tokens_that_end_texts(tmp_path):
    """Those of the model, of its generation_config.json, and of its tokenizer."""
    folder = write_generator(tmp_path)
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [3, 9]}))
    task = make_task("generation", {})
    task.asked = True
    task.restore({"model_type": "gpt2", "eos_token_id": 3})
    task.read_with(text.from_transformers(folder, 40))
    settings = load_for_prediction(folder, task.auto_class, task.head()).model.generation_config
    assert settings.eos_token_id == [3, 9] and settings.pad_token_id == 3


def test_an_encoder_decoder_is_another_task(tmp_path):
    folder = write_writer(tmp_path)
    config = json.loads((folder / "config.json").read_text())
    with pytest.raises(InputError, match="a t5 writes one text for another"):
        make_task("generation", {}).build_on(config)


def test_rows_of_blocks():
    found = list(blocks(Tokens(list(range(7)), [1] * 7), 3))
    assert [row.ids for row in found] == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    assert [row.learnt for row in found] == [[0, 1, 1]] * 3
    assert [row.ids for row in blocks(Tokens([5], [1]), 3)] == [[5]]
    assert np.concatenate([row.ids for row in found]).size == 9
