"""Pre-training tasks: what is hidden, what is put back, what is asked and answered."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toys import toy_rows

from hfkit import text
from hfkit.errors import InputError, RowError
from hfkit.registry import find_metric, make_task
from hfkit.run.encoding import Packed
from hfkit.tasks.pretraining import Mlm, Nsp

MASK = 4


def mlm(**options: Any) -> Mlm:
    made = make_task("mlm", options)
    assert isinstance(made, Mlm)
    return made


def nsp(**options: Any) -> Nsp:
    made = make_task("nsp", options)
    assert isinstance(made, Nsp)
    return made


@pytest.fixture(scope="module")
def tokenizer(tiny_base_folder: Path) -> text.Tokenizer:
    return text.from_file(tiny_base_folder, 16)


def rows(count: int = 40, per_document: int = 5) -> list[dict[str, Any]]:
    return [
        {"text": row["text"], "document": number // per_document}
        for number, row in enumerate(toy_rows(count))
    ]


def shown(encoded: list[dict[str, Any]]) -> list[list[int]]:
    """The tokens with what was hidden put back."""
    found = []
    for part in encoded:
        ids = list(part["input_ids"])
        for place, answer in zip(part["positions"], part["answers"], strict=True):
            ids[place] = answer
        found.append(ids)
    return found


def words_of(ids: list[int]) -> list[int]:
    return [token for token in ids if token > 4]


@pytest.mark.parametrize("line_by_line", [False, True])
def test_no_text_is_lost(tokenizer: text.Tokenizer, line_by_line: bool) -> None:
    made, given = mlm(line_by_line=line_by_line), rows()
    encoded = made.features(given, tokenizer)
    wanted = [t for ids in tokenizer.pieces([row["text"] for row in given]) for t in ids]
    assert [t for ids in shown(encoded) for t in words_of(ids)] == wanted
    assert all(len(part["input_ids"]) <= 16 for part in encoded)
    assert all(part["input_ids"][0] == 2 and part["input_ids"][-1] == 3 for part in encoded)
    owners = [part["_row"] for part in encoded]
    assert owners == sorted(owners)


def test_joined_texts_are_told_apart(tokenizer: text.Tokenizer) -> None:
    given = [{"text": "rain sun", "document": 0}, {"text": "wind", "document": 0},
             {"text": "drum " * 12, "document": 1}]  # fmt: skip
    parts = shown(mlm().features(given, tokenizer))
    names = {number: token for token, number in tokenizer.vocabulary().items()}
    assert [[names[token] for token in ids] for ids in parts] == [
        ["[CLS]", "rain", "sun", "[SEP]", "wind", "[SEP]", *["drum"] * 9, "[SEP]"],
        ["[CLS]", *["drum"] * 3, "[SEP]"],
    ]


def test_a_row_that_is_scored_has_the_same_words_hidden_wherever_it_stands(
    tokenizer: text.Tokenizer,
) -> None:
    made, given = mlm(line_by_line=True), rows()
    whole = made.features(given, tokenizer)
    alone = [part for row in given for part in mlm(line_by_line=True).features([row], tokenizer)]
    assert [part["input_ids"] for part in whole] == [part["input_ids"] for part in alone]
    assert all(part["positions"] for part in whole)


@pytest.mark.parametrize("made", [mlm(), nsp(mlm=True)], ids=["mlm", "nsp"])
def test_each_epoch_hides_other_words_by_seed_epoch_and_row(
    made: Any, tokenizer: text.Tokenizer
) -> None:
    given = rows()
    encoded = made.features(given, tokenizer)
    before = shown(encoded)
    made.targets(given, encoded)
    assert [part["input_ids"] for part in encoded] == before
    assert "positions" not in encoded[0] and "answers" not in encoded[0]
    packed = Packed([encoded])
    one = [made.vary(packed[row], (1, 0, row)) for row in range(len(packed))]
    again = [made.vary(packed[row], (1, 0, row)) for row in reversed(range(len(packed)))][::-1]
    assert one == again
    assert one != [made.vary(packed[row], (1, 1, row)) for row in range(len(packed))]
    assert one != [made.vary(packed[row], (2, 0, row)) for row in range(len(packed))]
    for part, ids in zip(one, before, strict=True):
        assert [ids[place] for place in part["positions"]] == part["labels"]
    assert [packed[row]["input_ids"] for row in range(len(packed))] == before  # it stays as it is


def test_the_share_is_an_option(tokenizer: text.Tokenizer) -> None:
    encoded = mlm(mask_rate=0.5).features(rows(), tokenizer)
    hidden = sum(len(part["positions"]) for part in encoded)
    total = sum(len(words_of(ids)) for ids in shown(encoded))
    assert hidden / total == pytest.approx(0.5, abs=0.05)


def test_masks_that_people_write_are_filled(tokenizer: text.Tokenizer) -> None:
    made = mlm(fills=2)
    made.asked = True
    given = [{"text": "The [MASK] and the [MASK]!"}, {"text": "rain [MASK]"}]
    encoded = made.features(given, tokenizer)
    assert [part["input_ids"].count(MASK) for part in encoded] == [2, 1]
    vocabulary = tokenizer.vocabulary()
    best = np.array([[vocabulary["rain"], vocabulary["sun"]], [vocabulary["##s"], 9]], dtype=float)
    output = {"best_ids": best, "best": np.log([[0.6, 0.2], [0.5, 0.1]])}
    one = {"best_ids": best[:1], "best": np.log([[0.6, 0.2]])}
    first, second = made.decode([output, one], encoded, given)
    assert first["filled"] == "The rain and thes!"
    assert [word["token"] for word in first["masks"][0]] == ["rain", "sun"]
    assert first["masks"][0][0]["score"] == pytest.approx(0.6)
    assert second["filled"] == "rain rain"


def test_a_text_without_a_mask_asks_for_nothing(tokenizer: text.Tokenizer) -> None:
    made = mlm()
    made.asked = True
    with pytest.raises(RowError, match=r"no \[MASK\] in the text; write \[MASK\]") as caught:
        made.features([{"text": "a [MASK]"}, {"text": "a b"}], tokenizer)
    assert caught.value.row == 1
    with pytest.raises(InputError, match="the text has"):
        made.features([{"text": "a [MASK]" + " b" * 30}], tokenizer)


def test_a_tokenizer_without_a_mask_is_refused(tokenizer: text.Tokenizer) -> None:
    other = text.Tokenizer(tokenizer.backend, 16, tokenizer.padding, 2)
    with pytest.raises(InputError, match="has no mask"):
        mlm().features(rows(2), other)


def test_pairs(tokenizer: text.Tokenizer) -> None:
    made, given = nsp(), rows(400)
    encoded = made.features(given, tokenizer)
    share = sum(part["_next"] == 0 for part in encoded) / len(encoded)
    assert share == pytest.approx(0.5, abs=0.01)
    wanted = sorted(t for ids in tokenizer.pieces([row["text"] for row in given]) for t in ids)
    found = sorted(t for part in encoded for t in words_of(part["input_ids"]))
    assert found == wanted
    for part in encoded:
        ids, types = part["input_ids"], part["token_type_ids"]
        assert len(ids) <= 16 and ids.count(3) == 2
        border = ids.index(3)
        assert types == [0] * (border + 1) + [1] * (len(ids) - border - 1)
        assert border > 1 and len(ids) - border > 2  # neither side is empty
    made.targets(given, encoded)
    assert {part["labels"] for part in encoded} == {0, 1}


def test_pairs_are_the_same_every_time(tokenizer: text.Tokenizer) -> None:
    assert nsp().features(rows(), tokenizer) == nsp().features(rows(), tokenizer)


def test_one_document_is_said(tokenizer: text.Tokenizer, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="hfkit"):
        encoded = nsp().features(rows(10, per_document=10), tokenizer)
    assert "10 rows are one document" in caplog.text
    assert all(part["_next"] == 0 for part in encoded)


def test_two_texts_are_asked_about(tokenizer: text.Tokenizer) -> None:
    for options in ({}, {"mlm": True}):
        made = nsp(**options)
        made.asked = True
        assert list(made.columns) == ["text", "text_pair"]
        given = [{"text": "rain", "text_pair": "sun"}]
        encoded = made.features(given, tokenizer)
        logits = np.array([2.0, 0.0], dtype=np.float32)
        (answer,) = made.decode([{"next_logits" if options else "logits": logits}], encoded, given)
        assert made.brief(answer) == {"label": "next", "score": pytest.approx(0.8808, abs=1e-4)}
    assert list(nsp().columns) == ["text", "document?"]


def test_scores_of_hidden_words(tokenizer: text.Tokenizer) -> None:
    made, given = mlm(), rows(10)
    encoded = made.features(given, tokenizer)
    outputs = []
    for part in encoded:
        count = len(part["positions"])
        best = np.array(part["answers"], dtype=float)[:, None]
        best[0] += 1  # the first of each row is wrong
        outputs.append({"best_ids": best, "best": np.zeros((count, 1)),
                        "answered": np.full(count, -np.log(8), dtype=np.float32)})  # fmt: skip
    answers = made.decode(outputs, encoded, given)
    hidden = sum(len(part["positions"]) for part in encoded)
    values = find_metric(made.metric)(answers, made.gold(given), []).values()
    assert values["perplexity"] == pytest.approx(8, abs=1e-5)
    assert values["loss"] == pytest.approx(np.log(8), abs=1e-6)
    assert values["accuracy"] == pytest.approx(1 - len(encoded) / hidden)


def test_scores_of_pairs(tokenizer: text.Tokenizer) -> None:
    made, given = nsp(), rows(40)
    encoded = made.features(given, tokenizer)
    outputs = [
        {"logits": np.array([3.0, 0.0] if part["_next"] == 0 else [0.0, 3.0])} for part in encoded
    ]
    answers = made.decode(outputs, encoded, given)
    values = find_metric(made.metric)(answers, made.gold(given), []).values()
    assert values["accuracy"] == 1
    assert values["loss"] == values["next_loss"] == pytest.approx(np.log(1 + np.exp(-3)))
    assert "perplexity" not in values
