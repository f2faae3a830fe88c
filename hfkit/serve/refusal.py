"""Requests that are not answered, and how clients are told: in the shape that theirs expect."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# What the clients of Hugging Face call the kinds of errors.
KINDS = {
    400: "validation", 401: "authentication", 403: "forbidden", 404: "not_found",
    405: "method_not_allowed", 408: "timeout", 413: "validation", 415: "validation",
    421: "misdirected", 422: "validation", 429: "overloaded", 500: "internal",
    503: "unhealthy",
}  # fmt: skip
OPENAI = "/v1/"  # where paths begin whose clients are OpenAI's


class Refusal(Exception):
    """A request is refused, with an HTTP status and one line that says why."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


def bad(message: str) -> Refusal:
    """A request that can be read and cannot be answered."""
    return Refusal(422, message)


def error_body(path: str, status: int, message: str) -> dict[str, Any]:
    """The body of an error, as the clients of this path parse it.

    >>> error_body("/", 429, "too many requests")
    {'error': 'too many requests', 'error_type': 'overloaded'}
    """
    kind = KINDS.get(status, "internal" if status >= 500 else "validation")
    if path.startswith(OPENAI):
        kind = "server_error" if status >= 500 else "invalid_request_error"
        details = {"message": message, "type": kind, "param": None, "code": None}
        return {"error": details}
    return {"error": message, "error_type": kind}
