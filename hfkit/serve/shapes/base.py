"""What the files of this folder have in common: strict bodies, and routes that are typed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

B = TypeVar("B", bound="Body")

T = TypeVar("T")
# A list is refused at its first wrong entry: to note each of half a million takes a minute, and
# memory without bound.
Several = Annotated[list[T], Field(min_length=1, fail_fast=True)]
Texts = Several[str]
FAILURES: dict[int | str, dict[str, Any]] = {
    400: {"description": "no JSON"},
    401: {"description": "the token is missing"},
    408: {"description": "the request came too slowly"},
    413: {"description": "the request is too large"},
    415: {"description": "not application/json"},
    422: {"description": "the request cannot be answered; the error says why"},
    429: {"description": "too many requests wait"},
    503: {"description": "it took too long, or the server ends"},
}


class Body(BaseModel):
    """A part of a request: what is not known is refused, so that nothing is passed over."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


def post(
    router: APIRouter,
    path: str,
    body: type[B],
    act: Callable[[B], Awaitable[Any]],
    summary: str,
) -> None:
    """Add a route that reads such a body; its name is that of the body, in all documents."""

    async def endpoint(body: Any) -> Any:
        return await act(body)

    endpoint.__annotations__ = {"body": body, "return": Any}
    name = f"{path}:{body.__name__}"
    router.post(path, summary=summary, name=name, responses=FAILURES)(endpoint)
