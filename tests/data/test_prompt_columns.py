"""Columns of texts to go on with: which form they come in, and what is said."""

from __future__ import annotations

import pytest

from hfkit.config import Columns
from hfkit.data.columns import find_columns
from hfkit.data.shape import infer_task
from hfkit.errors import InputError
from hfkit.registry import TASKS

TALK = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there"}]
ROLES = TASKS["generation"].columns
ASKED = {role: what for role, what in ROLES.items() if role != "completion?"}


def found(fields, roles=ROLES, known=None, **chosen):
    columns = find_columns(
        list(fields), [fields], roles, Columns(**chosen), known, label_kind="none"
    )
    return columns.to_dict()


def test_forms_by_their_names():
    assert found({"prompt": "a b", "completion": "c d"}) == {
        "prompt": "prompt", "completion": "completion",
    }  # fmt: skip
    assert found({"id": 1, "question": "a b", "answer": "c d"}) == {
        "prompt": "question", "completion": "answer",
    }  # fmt: skip
    assert found({"conversations": TALK}) == {"messages": "conversations"}
    assert found({"messages": TALK, "text": "a b", "prompt": "c"}) == {"messages": "messages"}
    assert found({"text": "a b", "doc": 3}) == {"text": "text", "document": "doc"}
    assert found({"answer": "a b"}) == {"text": "answer"}, "the only column"
    assert found({"messages": "in words"}) == {"text": "messages"}, "no messages in it"


def test_forms_that_are_named():
    fields = {"ask": "a b", "say": "c d", "messages": TALK, "text": "e f"}
    assert found(fields, prompt_column="ask", completion_column="say") == {
        "prompt": "ask", "completion": "say",
    }  # fmt: skip
    assert found(fields, text_column="text") == {"text": "text"}
    assert found({"talk": TALK}, messages_column="talk") == {"messages": "talk"}
    with pytest.raises(InputError, match="no column for the completion"):
        found({"ask": "a b", "say": "c d"}, prompt_column="ask")


def test_of_what_is_asked_the_completion_plays_no_part():
    assert found({"prompt": "a b", "completion": "c"}, ASKED) == {"prompt": "prompt"}
    assert found({"prompt": "a b", "text": "c d"}, ASKED, {"text": "text"}) == {"text": "text"}
    assert found({"text": "c d"}, ASKED, {"prompt": "ask"}) == {"text": "text"}


def test_the_task_is_seen_in_the_columns():
    def guess(fields, **chosen):
        return infer_task(list(fields), [fields], Columns(**chosen))[0]

    assert guess({"prompt": "a", "completion": "b"}) == "generation"
    assert guess({"messages": TALK}) == "generation"
    assert guess({"ask": "a b", "say": "c d"}, prompt_column="ask") == "generation"
    assert guess({"messages": "in words", "label": "x"}) == "classification"
    assert guess({"prompt": "a", "label": "b"}) == "classification"


def test_messages_in_a_cell_of_csv():
    fields = {"messages": '[{"role": "user", "content": "Hi", "name": "Ann"}]'}
    columns = find_columns(["messages"], [fields], ASKED, Columns(), label_kind="none")
    assert columns.row(fields) == {"messages": [{"role": "user", "content": "Hi"}]}
