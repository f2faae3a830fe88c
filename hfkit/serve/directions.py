"""What requests are told that lead nowhere, or bring a model what it does not read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hfkit.serve.refusal import OPENAI
from hfkit.serve.served import Served

OF_MODELS = "/models/"  # where the paths of each model begin
SHAPES = ("/answer", "/embed", "/similarity", "/rerank", "/predict")  # below a model's path


class Directions:
    """The models of a server, and how they are asked."""

    def __init__(self, models: Sequence[Served]) -> None:
        self._models = {served.name: served for served in models}

    def asked(self, path: str) -> Served | None:
        """The model that is asked by a path; None where it names none of them."""
        if path.startswith(OF_MODELS):
            return self._models.get(path.removeprefix(OF_MODELS).split("/")[0])
        return next(iter(self._models.values())) if len(self._models) == 1 else None

    def instead(self, path: str) -> str:
        """What to ask in place of a path that nothing answers; empty where nobody knows."""
        names = ", ".join(self._models)
        if path.startswith(OF_MODELS):
            name, _, rest = path.removeprefix(OF_MODELS).partition("/")
            served = self._models.get(name)
            if served is None:
                return f"no model {name[:40]!r} here; known here: {names}"
            if f"/{rest}" in SHAPES:
                return f"{name} is {served.kind}, which /{rest} is not for"
        elif path.startswith(OPENAI):
            kinds = ", ".join(f"{served.name} ({served.kind})" for served in self._models.values())
            return f"no model here answers {path[:40]}; known here: {kinds}"
        elif len(self._models) > 1 and (path == "/" or path in SHAPES):
            return f"ask {OF_MODELS}NAME{path.rstrip('/')}, where NAME is one of: {names}"
        return ""


def reads(served: Served) -> str:
    """What a model reads as ``inputs``, in a few words."""
    parts = "text and text_pair" if served.roles.get("text_pair") else "text"
    if served.kind == "qa":
        parts = "question and context"
    elif served.kind == "similarity":
        compared = "source_sentence and sentences"
        parts = f"text, or {compared}" if served.has_vectors else compared
    return f"{served.name} is {served.kind}: it reads {parts}"


def is_misfit(error: Mapping[str, Any]) -> bool:
    """Whether what a request has as ``inputs`` is of another kind than any that is read there."""
    place = error["loc"]
    return (
        place[1:2] == ("inputs",)
        and len(place) <= 3
        and error["type"].endswith("_type")
        and not isinstance(error["input"], list)
    )
