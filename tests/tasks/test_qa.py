"""Question answering: windows, targets, the best span of all windows, when to say nothing."""

from __future__ import annotations

import logging
import tracemalloc
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hfkit import text
from hfkit.infer.predictor import Predictor
from hfkit.nbest import Span
from hfkit.registry import make_task
from hfkit.tasks.qa import QuestionAnswering

HIGH, LOW = 10.0, -10.0


def task(**options: Any) -> QuestionAnswering:
    made = make_task("qa", options)
    assert isinstance(made, QuestionAnswering)
    return made


def row(context: str, answer: str = "", question: str = "where?") -> dict[str, Any]:
    label = [{"text": answer, "start": context.index(answer)}] if answer else []
    return {"question": question, "context": context, "label": label}


def perfect(encoded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs of a model that never errs."""
    outputs = []
    for part in encoded:
        logits = np.full((2, len(part["input_ids"])), LOW, dtype=np.float32)
        logits[0, part["start_positions"]] = logits[1, part["end_positions"]] = HIGH
        outputs.append({"start_logits": logits[0], "end_logits": logits[1]})
    return outputs


def byte_level(max_length: int) -> text.Tokenizer:
    """Bytes as tokens, as RoBERTa and GPT-2 start from; nothing is normalised."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<s>", "</s>", *alphabet])}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.RobertaProcessing(
        ("</s>", 1), ("<s>", 0), trim_offsets=False
    )
    return text.Tokenizer(backend, max_length, {"input_ids": 1, "attention_mask": 0}, 0)


def characters_last(max_length: int) -> text.Tokenizer:
    """Characters as tokens, and CLS at the end, as in XLNet."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors

    vocabulary = {"[UNK]": 0, "<cls>": 1, "<sep>": 2} | {chr(97 + n): n + 3 for n in range(26)}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"\S"), "isolated")
    backend.post_processor = processors.TemplateProcessing(
        single="$A <sep> <cls>",
        pair="$A <sep> $B <sep> <cls>",
        special_tokens=[("<cls>", 1), ("<sep>", 2)],
    )
    return text.Tokenizer(backend, max_length, {"input_ids": 0, "attention_mask": 0}, 1)


@pytest.fixture(scope="module")
def words(tiny_base_folder: Path) -> text.Tokenizer:
    return text.from_file(tiny_base_folder, 64)


# ---- decode(perfect outputs) == gold


PIECES = [
    *("rain", "sun", " ", "  ", "\n", "a", "Zürich", "e\u0301", "\u0928\u093f", "\U0001f327\ufe0f"),
    *("\U0001f469\u200d\U0001f469\u200d\U0001f467", "北京", "。", "שלום", "\u200fمرحبا"),
    *("\u200b", "\u00ad", "x" * 150, "1,000", "\u3000", "\ufeff", "ﬁ", "İ", "ß", "\U00020000"),
]  # fmt: skip


@pytest.mark.parametrize("kind", ["words", "bytes", "characters"])
@settings(max_examples=150)
@given(data=st.data())
def test_perfect_outputs_decode_to_gold(kind: str, words: text.Tokenizer, data: Any) -> None:
    size = data.draw(st.sampled_from([48, 200, 700]))
    makers = {"words": lambda size: text.Tokenizer(words.backend, size, words.padding, 2),
              "bytes": byte_level, "characters": characters_last}  # fmt: skip
    tokenizer = makers[kind](size)
    made = task(max_answer_length=512, null_threshold=0.0)
    context = "".join(data.draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=40)))
    rows = [row(context)]
    if data.draw(st.booleans()):
        (part,) = byte_or_whole(tokenizer, context)
        places = [p for p in zip(part["_starts"], part["_ends"], strict=True) if -1 < p[0] < p[1]]
        assume(places)
        first = data.draw(st.integers(0, len(places) - 1))
        last = data.draw(st.integers(first, min(first + 8, len(places) - 1)))
        answer = context[places[first][0] : places[last][1]]
        start = places[first][0] + len(answer) - len(answer.lstrip())
        assume(answer.strip())
        rows[0]["label"] = [{"text": answer.strip(), "start": start}]
    encoded = made.features(rows, tokenizer)
    made.targets(rows, encoded)
    if rows[0]["label"]:  # with a small overlap an answer may be cut by every window
        assume(any(part["start_positions"] != part["_null"] for part in encoded))
    (answer,) = made.decode(perfect(encoded), encoded, rows)
    (gold,) = made.gold(rows)
    expected = gold["answers"][0] if gold["answers"] else {"text": "", "start": None}
    assert (answer["answer"], answer["start"]) == (expected["text"], expected["start"])
    if answer["answer"]:
        assert context[answer["start"] : answer["end"]] == answer["answer"]
    assert answer["score"] > 0.99


def byte_or_whole(tokenizer: text.Tokenizer, context: str) -> list[dict[str, Any]]:
    whole = text.Tokenizer(tokenizer.backend, 10**6, tokenizer.padding)
    return whole.encode(["where?"], [context], located=True, side="second")[0]


# ---- windows


@pytest.mark.parametrize("make", [byte_level, characters_last])
def test_a_window_without_the_whole_answer_has_cls_as_target(make: Any) -> None:
    context = "b" * 60 + " the answer " + "c" * 60
    rows = [row(context, "the answer")]
    tokenizer, made = make(40), task()
    encoded = made.features(rows, tokenizer)
    made.targets(rows, encoded)
    special = 0 if make is byte_level else 1
    assert len(encoded) > 3
    held = 0
    for part in encoded:
        assert part["input_ids"][part["_null"]] == special
        if make is characters_last:
            assert part["_null"] == len(part["input_ids"]) - 1
        covers = part["_from"] <= 61 and part["_to"] >= 71
        held += covers
        if covers:
            assert part["_starts"][part["start_positions"]] in (60, 61)  # with or without its space
            assert part["_ends"][part["end_positions"]] == 71
        else:
            assert part["start_positions"] == part["end_positions"] == part["_null"]
    assert held >= 1


def test_windows_cover_the_context_and_the_question_is_in_each() -> None:
    context = " ".join(f"word{number}" for number in range(60))
    encoded = task().features([row(context, question=" who? ")], byte_level(60))
    assert (encoded[0]["_from"], encoded[-1]["_to"]) == (0, len(context))
    for one, other in pairwise(encoded):
        assert one["_from"] < other["_from"] <= one["_to"]
        assert one["input_ids"][:6] == other["input_ids"][:6]


def test_the_answer_does_not_depend_on_how_windows_fall() -> None:
    """Scores that belong to characters give the same span whatever the window."""
    random = np.random.default_rng(0)
    context = "".join(random.choice(list("abc de"), size=400))
    scores = random.normal(size=(2, 401))
    found = []
    for size in (24, 40, 77, 600):
        made = task(null_threshold=1000.0, max_answer_length=3, stride=8)
        encoded = made.features([row(context)], byte_level(size))
        outputs = []
        for part in encoded:
            place = np.array(part["_starts"])
            logits = np.where(place < 0, -50.0, scores[:, place])
            outputs.append({"start_logits": logits[0], "end_logits": logits[1]})
        (answer,) = made.decode(outputs, encoded, [row(context)])
        found.append((answer["answer"], answer["start"], answer["end"]))
    assert len(set(found)) == 1, found


class Table:
    """An engine whose logits depend on the token and its neighbours alone."""

    def run(self, batch: dict[str, Any]) -> dict[str, Any]:
        ids = batch["input_ids"]
        table = np.random.default_rng(1).normal(size=(2, 1000))
        return {"start_logits": table[0][ids], "end_logits": table[1][ids]}


def test_the_batch_size_does_not_show(words: text.Tokenizer) -> None:
    random = np.random.default_rng(2)
    pieces = ["rain", "sun", "the", "a", "storm", "soup", "x"]
    rows = [row(" ".join(random.choice(pieces, size=random.integers(1, 200)))) for _ in range(20)]
    answers = [
        Predictor(task(top_k=3), words, Table(), size).predict(rows)  # type: ignore[arg-type]
        for size in (1, 7, 64)
    ]
    assert answers[0] == answers[1] == answers[2]
    for given_row, answer in zip(rows, answers[0], strict=True):
        for one in answer["answers"]:
            assert given_row["context"][one["start"] : one["end"]] == one["answer"]


def test_an_answer_at_the_end_of_a_long_document() -> None:
    filler = "the old house near the river was very quiet again today. "
    context = (filler * 1200)[:59_950] + " The code is 4711, she said."
    rows = [row(context, "4711")]
    made, tokenizer = task(), byte_level(384)
    tracemalloc.start()
    encoded = made.features(rows, tokenizer)
    made.targets(rows, encoded)
    (answer,) = made.decode(perfect(encoded), encoded, rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(encoded) > 150
    assert answer["answer"] == "4711"
    assert context[answer["start"] : answer["end"]] == "4711"
    assert "truncated" not in answer
    assert peak < 100e6


def test_what_is_cut_is_said(caplog: pytest.LogCaptureFixture) -> None:
    rows = [row("b " * 100 + "the answer", "the answer"), row("the answer", "the answer")]
    made = task(on_long="truncate", max_answer_length=4)
    encoded = made.features(rows, byte_level(40))
    with caplog.at_level(logging.INFO):
        made.targets(rows, encoded)
    assert "1 of 2 answers lie in no window as a whole" in caplog.text
    assert "answers of up to 4 tokens are looked for, 1 of 2 are longer" in caplog.text
    first, second = made.decode(perfect(encoded), encoded, rows)
    assert first["truncated"] is True
    assert "truncated" not in second


def test_answers_as_long_as_those_of_the_training_data_are_found(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = [row("b " * 60, "b " * length + "b") for length in (1, 2, 3, 20)]  # in bytes: 2 n + 1
    made = task()
    assert made.max_answer_length == 30
    with caplog.at_level(logging.INFO):
        made.targets(rows, made.features(rows, byte_level(400)))
        assert "answers of up to 41 tokens are looked for, 0 of 4 are longer" in caplog.text
        made.targets(rows[3:] * 100, made.features(rows[3:] * 100, byte_level(400)))
    assert made.max_answer_length == 41
    assert "answers of up to 41 tokens are looked for, 0 of 100 are longer" in caplog.text
    made.decide(
        [made.answer([Span("b", 0, 1, 0.0)], 0.0)], [{"answers": [{"text": "b", "start": 0}]}]
    )
    again = task()
    again.decisions = made.decisions
    assert again.max_answer_length == 41
    assert task(max_answer_length=5).max_answer_length == 5


def test_an_answer_within_a_token_is_told(
    words: text.Tokenizer, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [row("the rain fell", "rai"), row("rain", "rain")]
    made = task()
    encoded = made.features(rows, words)
    with caplog.at_level(logging.INFO):
        made.targets(rows, encoded)
    assert "1 of 2 answers begin or end within a token" in caplog.text
    first, _ = made.decode(perfect(encoded), encoded, rows)
    assert first["answer"] == "rain"


def test_a_context_without_a_token_has_no_answer(words: text.Tokenizer) -> None:
    rows = [row("\u200b"), row("")]
    made = task()
    encoded = made.features(rows, words)
    made.targets(rows, encoded)
    for answer in made.decode(perfect(encoded), encoded, rows):
        assert (answer["answer"], answer["start"], answer["score"]) == ("", None, 1.0)
        assert answer["no_answer_score"] is None


# ---- the best span, and none


def outputs_of(made: QuestionAnswering, *windows: dict[str, Any]) -> Any:
    """Decode hand-made windows over "abcdefghij", one token per character, CLS first."""
    encoded, outputs = [], []
    for window in windows:
        start, end = window["part"]
        places = list(range(start, end))
        logits = np.zeros((2, len(places) + 1))
        logits[:, 0] = window["null"] / 2
        for key, row_number in (("start", 0), ("end", 1)):
            for place, value in window.get(key, {}).items():
                logits[row_number, place - start + 1] = value
        encoded.append(
            {
                "input_ids": [0] * (len(places) + 1),
                "_starts": [-1, *places],
                "_ends": [-1, *(place + 1 for place in places)],
                "_row": 0,
                "_null": 0,
            }
        )
        outputs.append({"start_logits": logits[0], "end_logits": logits[1]})
    (answer,) = made.decode(outputs, encoded, [{"question": "?", "context": "abcdefghij"}])
    return answer


def test_no_answer_is_as_likely_as_in_the_least_sure_window() -> None:
    windows = [
        {"part": (0, 6), "null": 9.0},
        {"part": (4, 10), "null": -2.0, "start": {7: 3.0}, "end": {8: 2.0}},
    ]
    answer = outputs_of(task(null_threshold=0.0), *windows)
    assert (answer["answer"], answer["start"], answer["end"]) == ("hi", 7, 9)
    assert answer["no_answer_score"] == pytest.approx(-2.0 - 5.0)


def test_the_same_characters_of_two_windows_count_once() -> None:
    windows = [
        {"part": (0, 6), "null": 0.0, "start": {5: 3.0}, "end": {5: 3.0}},
        {"part": (4, 10), "null": 0.0, "start": {5: 4.0}, "end": {5: 4.0}},
    ]
    answer = outputs_of(task(top_k=5, null_threshold=0.0), *windows)
    places = [(one["start"], one["end"]) for one in answer["answers"]]
    assert places[0] == (5, 6)
    assert len(set(places)) == len(places) == 5
    assert answer["no_answer_score"] == -8.0


@pytest.mark.parametrize(
    ("threshold", "expected"), [(None, "c"), (-2.0, ""), (1.0, ""), (2.0, "c"), (2.5, "c")]
)
def test_nothing_is_answered_above_the_threshold_alone(threshold: Any, expected: str) -> None:
    """The margin is 2: no answer scores 8, the best span 6."""
    window = {"part": (0, 10), "null": 8.0, "start": {2: 3.0}, "end": {2: 3.0}}
    answer = outputs_of(task(null_threshold=threshold), window)
    assert answer["answer"] == expected
    assert answer["no_answer_score"] == pytest.approx(2.0)
    assert answer["best_answer"] == "c"
    assert answer["answers"][0]["answer"] == expected


def test_confidence_is_the_softmax_with_no_answer() -> None:
    window = {"part": (0, 2), "null": 1.0, "start": {0: 2.0}, "end": {1: 1.0}}
    answer = outputs_of(task(null_threshold=0.0, top_k=9), window)
    scores = {"a": 2.0, "ab": 3.0, "b": 1.0, "": 1.0}
    total = sum(np.exp(list(scores.values())))
    assert {one["answer"]: one["score"] for one in answer["answers"]} == pytest.approx(
        {name: np.exp(value) / total for name, value in scores.items()}
    )
    assert sum(one["score"] for one in answer["answers"]) == pytest.approx(1.0)


def test_extreme_logits_stay_finite() -> None:
    window = {"part": (0, 2), "null": -1e4, "start": {0: 1e4}, "end": {0: 1e4}}
    answer = outputs_of(task(null_threshold=0.0), window)
    assert (answer["answer"], answer["score"]) == ("a", 1.0)


def test_longest_answer() -> None:
    window = {"part": (0, 10), "null": 0.0, "start": {1: 9.0}, "end": {8: 9.0, 3: 1.0}}
    assert outputs_of(task(), window)["answer"] == "bcdefghi"
    assert outputs_of(task(max_answer_length=3), window)["answer"] == "bcd"


def test_spaces_that_a_tokenizer_counts_to_a_word_are_left_out() -> None:
    encoded = [
        {"input_ids": [0, 0], "_starts": [-1, 2], "_ends": [-1, 9], "_row": 0, "_null": 0},
        {"input_ids": [0, 0], "_starts": [-1, 8], "_ends": [-1, 9], "_row": 1, "_null": 0},
    ]
    outputs = [{"start_logits": np.zeros(2), "end_logits": np.zeros(2)}] * 2
    first, second = task().decode(outputs, encoded, [row("in Paris ")] * 2)
    assert (first["answer"], first["start"], first["end"]) == ("Paris", 3, 8)
    assert second["answer"] == ""  # a space is no answer


def test_the_end_is_never_before_the_start() -> None:
    window = {"part": (0, 10), "null": 0.0, "start": {8: 9.0}, "end": {2: 9.0}}
    answer = outputs_of(task(top_k=20), window)
    assert all(one["start"] < one["end"] for one in answer["answers"])


def test_the_search_equals_brute_force() -> None:
    random = np.random.default_rng(4)
    for _ in range(1000):
        length, longest = int(random.integers(1, 12)), int(random.integers(1, 6))
        start, end = random.normal(size=(2, length))
        window = {"part": (0, min(length, 10)), "null": -99.0}
        window |= {"start": dict(enumerate(start[:10])), "end": dict(enumerate(end[:10]))}
        answer = outputs_of(task(max_answer_length=longest, n_best=100), window)
        spans = {
            (i, j + 1): start[i] + end[j]
            for i in range(min(length, 10))
            for j in range(i, min(i + longest, length, 10))
        }
        assert (answer["start"], answer["end"]) == max(spans, key=lambda place: spans[place])


def test_what_is_shown() -> None:
    window = {"part": (0, 10), "null": 0.0, "start": {2: 3.0}, "end": {2: 3.0}}
    made = task()
    assert list(made.brief(outputs_of(made, window))) == ["answer", "start", "end", "score"]
    several = task(top_k=2)
    shown = several.brief(outputs_of(several, window))
    assert [list(one) for one in shown["answers"]] == [["answer", "start", "end", "score"]] * 2


# ---- what is decided


def fitted(rows: list[dict[str, Any]], margins: list[float], **options: Any) -> QuestionAnswering:
    """A task that saw these rows as training and as validation data."""
    made = task(**options)
    made.learn(rows)
    answers = [
        made.answer([Span(r["context"], 0, len(r["context"]), 0.0)], margin)
        for r, margin in zip(rows, margins, strict=True)
    ]
    made.decide(answers, made.gold(rows))
    return made


def test_the_threshold_is_fitted_for_f1() -> None:
    rows = [row("a x", "a x"), row("b"), row("c x", "c x"), row("d"), row("e")]
    made = fitted(rows, [-3.0, 4.0, 1.0, 2.0, 3.0])
    assert made.decisions["null_threshold"] == pytest.approx(1.5)
    assert made.decisions["null_threshold_f1"] == 1.0
    assert made.answer([Span("z", 0, 1, 0.0)], 1.4)["answer"] == "z"
    assert made.answer([Span("z", 0, 1, 0.0)], 1.6)["answer"] == ""


def test_a_model_without_unanswerable_questions_always_answers() -> None:
    made = fitted([row("a", "a"), row("b", "b")], [5.0, 50.0])
    assert made.decisions == {"unanswerable": False, "max_answer_length": 30}
    assert made.answer([Span("z", 0, 1, 0.0)], 99.0)["answer"] == "z"
    asked = fitted([row("a", "a"), row("b")], [0.0, 1.0], null_threshold=7.0)
    assert "null_threshold" not in asked.decisions
    assert asked.answer([Span("z", 0, 1, 0.0)], 6.9)["answer"] == "z"


def test_decisions_are_taken_up_again(caplog: pytest.LogCaptureFixture) -> None:
    first = fitted([row("a", "a"), row("b")], [-1.0, 3.0])
    second = task()
    second.decisions = dict(first.decisions)
    with caplog.at_level(logging.INFO):
        second.restore({})
        assert not caplog.text
        assert second.null_threshold == first.null_threshold == 1.0
        task().restore({})
    assert "it answers every question; --null-threshold 0" in caplog.text


def test_until_it_is_fitted_the_threshold_is_zero() -> None:
    made = task()
    made.learn([row("a", "a"), row("b")])
    assert made.null_threshold == 0.0
    made.decide(
        [made.answer([Span("a", 0, 1, 0.0)], 5.0)], [{"answers": [{"text": "a", "start": 0}]}]
    )
    assert made.null_threshold == 0.0


def test_gold_names_the_language() -> None:
    rows = [row("a", "a"), row("b")]
    assert task().gold(rows) == [{"answers": [{"text": "a", "start": 0}]}, {"answers": []}]
    assert task(answer_language="de").gold(rows)[1] == {"answers": [], "language": "de"}
