"""hfkit's own shape: rows in, the answers of `hfkit predict` out, for every task.

    POST /answer   {"rows": [{"text": "I loved it"}]}     [{"label": "good", "score": 0.98}]

A row has what the task reads (`text`, `question` and `context`, …). The page speaks this.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from hfkit.serve.refusal import bad
from hfkit.serve.served import Served
from hfkit.serve.shapes.base import Body, Several, post


class AnswerRequest(Body):
    """Rows to answer; with `scores`, those of all classes come too."""

    rows: Several[dict[str, Any]]
    scores: bool = False


def add_rows(router: APIRouter, served: Served, prefix: str) -> None:
    """Add the route of one model."""

    async def answer(body: AnswerRequest) -> Any:
        for fields in body.rows:
            check_row(served, fields)
        answers = await served.answers(body.rows)
        return [plain(one if body.scores else served.task.brief(one)) for one in answers]

    summary = f"Answer rows with {served.name}, as hfkit predict does"
    post(router, f"{prefix}/answer", AnswerRequest, answer, summary)


def check_row(served: Served, fields: dict[str, Any]) -> None:
    """Raise `Refusal` for a row that has not what the task reads."""
    roles = served.roles
    unknown = sorted(set(fields) - set(roles))
    if unknown:
        raise bad(f"unknown in a row: {unknown[0][:40]!r}; {served.name} reads {', '.join(roles)}")
    missing = [role for role, needed in roles.items() if needed and role not in fields]
    if missing:
        raise bad(f"a row without {missing[0]}")
    if not fields:
        raise bad(f"an empty row; {served.name} reads {' or '.join(roles)}")


def plain(value: Any) -> Any:
    """An answer without arrays, which JSON does not know."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value.tolist() if hasattr(value, "tolist") else value
