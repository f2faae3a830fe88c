"""Which column is what, for the tasks other than classification; and which task a file is for."""

from __future__ import annotations

import pytest

from hfkit.config import Columns
from hfkit.data.columns import find_columns
from hfkit.data.shape import infer_task
from hfkit.errors import InputError
from hfkit.registry import TASKS

TOKENS, TAGS = ["Ada", "waits"], ["B-PER", "O"]
SPANS = [{"start": 0, "end": 3, "label": "PER"}]
ANSWERS = {"text": ["Ada"], "answer_start": [0]}


def found(task, row, need_label=True, known=None, **flags):
    entry = TASKS[task]
    roles = {role.replace("label?", "label"): what for role, what in entry.columns.items()}
    roles = roles if need_label else entry.columns
    return find_columns(
        list(row), [row], roles, Columns(**flags), known,
        need_label=need_label, label_kind=entry.label_kind,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("task", "row", "expected"),
    [
        ("ner", {"id": 1, "tokens": TOKENS, "pos_tags": [1, 2], "ner_tags": TAGS},
         {"tokens": "tokens", "label": "ner_tags"}),
        ("ner", {"words": TOKENS, "labels": TAGS, "document": 3},
         {"tokens": "words", "label": "labels", "document": "document"}),
        ("ner", {"tokens": '["Ada", "waits"]', "tags": '["B-PER", "O"]'},
         {"tokens": "tokens", "label": "tags"}),
        ("ner", {"text": "Ada waits", "label": [[0, 3, "PER"]], "Comments": []},
         {"text": "text", "label": "label"}),
        ("ner", {"id": 1, "text": "Ada waits", "entities": SPANS, "relations": []},
         {"text": "text", "label": "entities"}),
        ("ner", {"text": "Ada", "tokens": [{"text": "Ada"}], "spans": SPANS, "answer": "accept"},
         {"text": "text", "label": "spans"}),
        ("ner", {"text": "Ada waits", "tokens": TOKENS, "entities": SPANS},
         {"text": "text", "label": "entities"}),
        ("ner", {"text": "Ada waits", "tokens": TOKENS, "tags": TAGS},
         {"tokens": "tokens", "label": "tags"}),
        ("ner", {"tokens": TOKENS, "ner_tags": TAGS, "langs": ["en", "en"], "spans": ["PER: Ada"]},
         {"tokens": "tokens", "label": "ner_tags"}),
        ("ner", {"document": "Ada waits here", "label": {"PER": {"Ada": [[0, 2]]}}},
         {"text": "document", "label": "label"}),
        ("qa", {"id": "1", "title": "t", "context": "Ada", "question": "Who?", "answers": ANSWERS},
         {"question": "question", "context": "context", "label": "answers"}),
        ("qa", {"query": "Who?", "passage": "Ada", "answer": "Ada"},
         {"question": "query", "context": "passage", "label": "answer"}),
        ("qa", {"question": "Who?", "text": "Ada", "answer": "Ada", "answer_start": "0"},
         {"question": "question", "context": "text", "label": ["answer", "answer_start"]}),
        ("similarity", {"sentence1": "a b", "sentence2": "c d", "score": "3.5"},
         {"text": "sentence1", "text_pair": "sentence2", "label": "score"}),
        ("similarity", {"pair_ID": 1, "sentence_A": "a", "sentence_B": "b", "relatedness_score": 4,
                        "entailment_judgment": "NEUTRAL"},
         {"text": "sentence_A", "text_pair": "sentence_B", "label": "relatedness_score"}),
        ("similarity", {"anchor": "a", "positive": "b", "negative": "c"},
         {"text": "anchor", "text_pair": "positive", "negative": "negative"}),
        ("similarity", {"query": "a", "answer": "b"}, {"text": "query", "text_pair": "answer"}),
        ("similarity", {"column1": "some text here", "column2": "other text here", "column3": "2"},
         {"text": "column1", "text_pair": "column2", "label": "column3"}),
        ("zero-shot", {"text": "a b", "label": "x", "candidates": ["x", "y"]},
         {"text": "text", "label": "label", "candidates": "candidates"}),
        ("text2text", {"fname": "x", "dialogue": "a", "summary": "b", "topic": "c"},
         {"text": "dialogue", "label": "summary"}),
        ("text2text", {"article": "a", "highlights": "b", "id": 3},
         {"text": "article", "label": "highlights"}),
        ("text2text", {"document": "a", "summary": "b"}, {"text": "document", "label": "summary"}),
        ("text2text", {"id": 1, "translation": {"de": "a", "en": "b"}},
         {"text": "translation.de", "label": "translation.en"}),
        ("text2text", {"translation": '{"de": "a", "en": "b"}'},
         {"text": "translation.de", "label": "translation.en"}),
        ("text2text", {"Source": "a", "Target": "b"}, {"text": "Source", "label": "Target"}),
        ("text2text", {"question": "a b", "title": "c d"}, {"text": "question", "label": "title"}),
        ("text2text", {"column1": "some text here", "text": "a b c"},
         {"text": "text", "label": "column1"}),
    ],
)  # fmt: skip
def test_names(task, row, expected):
    assert found(task, row).to_dict() == expected


def test_what_the_user_names_comes_first():
    row = {"text": "Ada waits", "tokens": TOKENS, "a": TOKENS, "b": TAGS, "tags": TAGS}
    expected = {"tokens": "a", "label": "b"}
    assert found("ner", row, tokens_column="a", label_column="b").to_dict() == expected
    qa = {"question": "x", "context": "y", "q": "Who?", "c": "Ada", "answers": ANSWERS}
    chosen = found("qa", qa, question_column="q", context_column="c").to_dict()
    assert (chosen["question"], chosen["context"]) == ("q", "c")


def test_prediction_needs_no_label():
    assert found("ner", {"text": "Ada waits"}, False).to_dict() == {"text": "text"}
    assert found("ner", {"tokens": TOKENS}, False).to_dict() == {"tokens": "tokens"}
    expected = {"question": "question", "context": "context"}
    assert found("qa", {"question": "Who?", "context": "Ada"}, False).to_dict() == expected
    row = {"sentence1": "a", "sentence2": "b", "score": 1}
    assert found("similarity", row, False).to_dict() == {
        "text": "sentence1", "text_pair": "sentence2",
    }  # fmt: skip


def test_a_title_may_be_the_text_itself():
    assert found("text2text", {"title": "a b"}, False).to_dict() == {"text": "title"}
    row = {"dialogue": "a", "summary": "b"}
    assert found("text2text", row, False).to_dict() == {"text": "dialogue"}
    known = {"text": "translation.en", "label": "translation.de"}
    row = {"translation": {"en": "a", "de": "b"}}
    assert found("text2text", row, False, known).to_dict() == {"text": "translation.en"}


def test_a_text_inside_a_column():
    columns = found("text2text", {"translation": {"en": "a", "de": "b"}})
    assert columns.row({"translation": {"de": "y", "en": "x"}}) == {"text": "x", "label": "y"}
    with pytest.raises(InputError, match=r"no column 'translation\.de'"):
        columns.row({"translation": {"en": "x"}})
    with pytest.raises(InputError, match="the text is empty"):
        columns.row({"translation": {"en": "x", "de": " "}})


def test_a_model_of_words_reads_texts_and_the_other_way_round():
    assert found("ner", {"text": "Ada"}, False, {"tokens": "tokens"}).to_dict() == {"text": "text"}
    both = {"text": "Ada waits", "tokens": TOKENS}
    assert found("ner", both, False, {"text": "text"}).to_dict() == {"text": "text"}
    assert found("ner", both, False, {"tokens": "tokens"}).to_dict() == {"tokens": "tokens"}


@pytest.mark.parametrize(
    ("task", "row", "says"),
    [
        ("ner", {"tokens": TOKENS, "tags": TAGS, "labels": TAGS}, "several .* 'tags', 'labels'"),
        ("ner", {"number": 3, "tags": TAGS}, "no column for the entities"),
        ("ner", {"text": "Ada waits", "topic": "x"}, "no column for the entities"),
        ("qa", {"question": "a", "passage": "b", "paragraph": "c", "answers": ANSWERS},
         "several columns could be the context: 'passage', 'paragraph'; .*--context-column"),
        ("qa", {"question": "a", "answers": ANSWERS}, "no column for the context"),
        ("qa", {"question": "a", "context": "b"}, "no column for the answers"),
        ("similarity", {"text": "a", "score": 1}, "no column for the second text"),
        ("similarity", {"sentence1": "a", "sentence2": "b", "score": 1, "similarity": 2},
         "several columns could be the label: 'score', 'similarity'"),
        ("text2text", {"text": "a", "number": 3}, "no column for the text to write"),
        ("text2text", {"body": "a", "input": "b", "summary": "c"}, "several columns could be"),
    ],
)  # fmt: skip
def test_nothing_is_guessed_between_two(task, row, says):
    with pytest.raises(InputError, match=says):
        found(task, row)


def test_pairs_without_a_score_are_told(caplog):
    caplog.set_level("INFO")
    row = {"sentence1": "a", "sentence2": "b"}
    columns = found("similarity", row)
    assert columns.row(row) == {"text": "a", "text_pair": "b"}
    assert "the texts of a row are taken to belong together" in caplog.text


def test_rows_of_the_other_roles():
    ner = found("ner", {"tokens": TOKENS, "tags": TAGS, "doc_id": "x"})
    fields = {"tokens": TOKENS, "tags": TAGS, "doc_id": None}
    assert ner.row(fields) == {"tokens": TOKENS, "label": TAGS, "document": 0}
    zero = found("zero-shot", {"text": "a b", "label": "x", "candidates": "x, y"})
    row = zero.row({"text": "a b", "label": None, "candidates": "x, y,x"})
    assert row == {"text": "a b", "label": None, "candidates": ["x", "y", "x"]}
    with pytest.raises(InputError, match="the list of labels is empty"):
        zero.row({"text": "a b", "candidates": "x,,y"})
    with pytest.raises(InputError, match="no column 'tags'"):
        ner.row({"tokens": TOKENS})


PAIR = {"sentence1": "a", "sentence2": "b"}


@pytest.mark.parametrize(
    ("task", "row"),
    [
        ("classification", {"text": "a b", "label": "x"}),
        ("classification", {"text": "a b", "label": ["x", "y"]}),
        ("classification", {"text": "a b", "labels": [1, 2]}),
        ("classification", {"text": "a b", "score": "4.5"}),
        ("classification", {"question": "a", "sentence": "b", "label": "entailment"}),
        ("classification", {"query": "a", "passage": "b", "label": "1"}),
        ("classification", {**PAIR, "label": "0"}),
        ("classification", {**PAIR, "label": 1}),
        ("classification", {"premise": "a", "hypothesis": "b", "label": "neutral"}),
        ("classification", {**PAIR, "label": "some", "label0": "x"}),
        ("ner", {"tokens": TOKENS, "ner_tags": TAGS}),
        ("ner", {"tokens": TOKENS, "ner_tags": [0, 1]}),
        ("ner", {"text": "Ada waits", "label": [[0, 3, "PER"]]}),
        ("ner", {"text": "Ada waits", "label": {"PER": {"Ada": [[0, 2]]}}}),
        ("ner", {"text": "Ada waits", "spans": SPANS, "tokens": [{"text": "Ada"}]}),
        ("qa", {"question": "Who?", "context": "Ada", "answers": ANSWERS}),
        ("qa", {"question": "Who?", "context": "Ada"}),
        ("qa", {"query": "Who?", "passage": "Ada", "answers": ANSWERS}),
        ("qa", {"question": "Who?", "paragraph": "Ada", "answer": "Ada", "answer_start": 0}),
        ("similarity", {**PAIR, "score": 0.5}),
        ("similarity", {**PAIR, "label": "3.80"}),
        ("similarity", {**PAIR, "id": 3}),
        ("similarity", {"anchor": "a", "positive": "b"}),
        ("similarity", {"query": "a", "positive": "b", "negative": "c"}),
        ("summarization", {"document": "a", "summary": "b"}),
        ("summarization", {"dialogue": "a", "summary": "b", "topic": "c"}),
        ("summarization", {"article": "a", "highlights": "b", "id": 1}),
        ("translation", {"translation": {"en": "a", "de": "b"}}),
        ("classification", {"document": "a", "summary": "b", "label": "x"}),
        ("classification", {"document": "a", "title": "b", "topic": "x"}),
    ],
)  # fmt: skip
def test_the_task_of_a_file(task, row):
    assert infer_task(list(row), [row], Columns())[0] == task


def test_the_reason_says_what_else_there_is():
    row = {**PAIR, "relatedness_score": "4.5", "entailment_judgment": "NEUTRAL"}
    task, reason = infer_task(list(row), [row], Columns())
    assert task == "similarity" and "for the labels in 'entailment_judgment' use -t nli" in reason
    chosen = Columns(label_column="entailment_judgment")
    assert infer_task(list(row), [row], chosen)[0] == "classification"
    row = {**PAIR, "label": "0"}
    assert "-t similarity" in infer_task(list(row), [row], Columns())[1]


def test_the_text_to_write_may_be_named():
    rows = {"a": "x", "translation": {"en": "a", "de": "b"}}, {"document": "a", "summary": "b"}
    named = [("translation.en", "translation"), ("a", "classification")]
    named += [("summary", "summarization"), ("document", "classification")]
    for (label, task), row in zip(named, (rows[0], rows[0], rows[1], rows[1]), strict=True):
        assert infer_task(list(row), [row], Columns(label_column=label))[0] == task


def test_a_named_column_decides():
    row = {"a": "x", "b": "y"}
    for flag, task in (
        ("context_column", "qa"), ("tokens_column", "ner"), ("negative_column", "similarity"),
    ):  # fmt: skip
        assert infer_task(list(row), [row], Columns(**{flag: "a"}))[0] == task
