"""The application: the page, the models' routes, what tells of the server; behind the door.

GET  /                the page to try the models
POST /                the model, where there is one;  POST /models/NAME for each
GET  /health  /info  /metrics  /openapi.json  /v1/models
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.exceptions import HTTPException

from hfkit import __version__
from hfkit.config.serving import Limits
from hfkit.errors import HfkitError
from hfkit.serve.counts import Counts
from hfkit.serve.directions import Directions, is_misfit, reads
from hfkit.serve.limits import Door, Guests
from hfkit.serve.refusal import Refusal, error_body
from hfkit.serve.served import Served, as_refusal
from hfkit.serve.shapes.huggingface import add_huggingface
from hfkit.serve.shapes.openai import add_openai
from hfkit.serve.shapes.rows import add_rows
from hfkit.serve.shapes.tei import add_tei

PAGE = {
    "page.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "snippets.js": "text/javascript; charset=utf-8",
    "answers.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def make_app(
    models: Sequence[Served], limits: Limits, guests: Guests, counts: Counts | None = None
) -> Door:
    """Put the models behind their routes, and all of it behind the door."""
    counts = counts or Counts()
    app = FastAPI(
        title="hfkit", version=__version__, docs_url=None, redoc_url=None,
        description="Models over HTTP: try them on the page at /",
    )  # fmt: skip
    _add_refusals(app, Directions(models))
    for kind in (Refusal, HfkitError, MemoryError, Exception):
        app.add_exception_handler(kind, _failed)
    _add_page(app)
    _add_facts(app, models, counts, needs_token=bool(guests.token))
    router = APIRouter()
    if len(models) == 1:
        add_model(router, models[0], "")
    for served in models:
        add_model(router, served, f"/models/{served.name}")
    add_openai(router, models)
    app.include_router(router)
    return Door(app, guests, limits, counts)


def add_model(router: APIRouter, served: Served, prefix: str) -> None:
    """Add the routes of one model below a prefix."""
    add_huggingface(router, served, prefix or "/")
    add_rows(router, served, prefix)
    add_tei(router, served, prefix)
    if prefix:

        @router.get(f"{prefix}/info", summary=f"What {served.name} is")
        async def info() -> Any:
            return facts(served)

        @router.get(f"{prefix}/health", summary=f"Whether {served.name} answers")
        async def health() -> Any:
            return {"status": "ok"}


def facts(served: Served) -> dict[str, Any]:
    """What a client may want to know of a model; `model_id` is Hugging Face's name for it."""
    options = served.task.options
    return {
        "model_id": served.name,
        "task": served.kind,
        "problem": getattr(served.task, "problem", None),
        "purpose": getattr(options, "purpose", None),
        "roles": served.roles,
        "labels": list(served.task.labels)[:200],
        "vectors": served.has_vectors and served.kind == "similarity",
        "chat": served.is_chat,
        "scale": served.task.decisions.get("scale"),  # of the scores of how alike texts are
        "withholds": "abstain_below" in served.task.decisions,
        "multi_label": bool(getattr(options, "multi_label", False)),
        "max_input_length": served.predictor.tokenizer.max_length,
        "max_client_batch_size": served.limits.max_texts,
        "version": __version__,
    }


def _add_page(app: FastAPI) -> None:
    folder = files("hfkit.serve") / "page"
    content = {name: (folder / name).read_bytes() for name in PAGE}

    def add(path: str, name: str) -> None:
        async def part() -> Response:
            return Response(content[name], media_type=PAGE[name])

        app.get(path, include_in_schema=False)(part)

    add("/", "page.html")
    for name in PAGE:
        if name != "page.html":
            add(f"/page/{name}", name)


def _add_facts(
    app: FastAPI, models: Sequence[Served], counts: Counts, *, needs_token: bool
) -> None:
    @app.get("/health", summary="Whether the server answers")
    async def health() -> Any:
        return {"status": "ok"}

    @app.get("/info", summary="What the models are")
    async def info() -> Any:
        first = facts(models[0]) if len(models) == 1 else {"version": __version__}
        several = [facts(served) for served in models]
        return {**first, "token_needed": needs_token, "models": several}

    @app.get("/metrics", summary="What the server counts, for Prometheus")
    async def metrics() -> PlainTextResponse:
        text = counts.text((served.name, served.worker.waiting) for served in models)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")


def _add_refusals(app: FastAPI, directions: Directions) -> None:
    async def invalid(request: Request, error: Exception) -> JSONResponse:
        """Say what of a request does not fit, without its values."""
        assert isinstance(error, RequestValidationError)
        found, path = error.errors(), request.url.path
        served = directions.asked(path)
        if served is not None and any(map(is_misfit, found)):
            return JSONResponse(error_body(path, 422, f"inputs: {reads(served)}"), 422)
        places: dict[str, str] = {}
        for one in found:  # of what one place might hold, the simplest comes first
            places.setdefault(_place(one), one["msg"])
        place, message = max(places.items(), key=lambda pair: len(pair[0].split(".")))
        if message == "Extra inputs are not permitted":
            message = "not known here"
        text = f"{place}: {message[:1].lower()}{message[1:]}" if place else message
        return JSONResponse(error_body(path, 422, text), 422)

    async def unknown(request: Request, error: Exception) -> JSONResponse:
        """Paths and methods that there are none of: say which there are."""
        assert isinstance(error, HTTPException)
        path, status = request.url.path, error.status_code
        text = str(error.detail).lower()
        if instead := directions.instead(path):
            text = f"{text}: {instead}"
        return JSONResponse(error_body(path, status, text), status, headers=error.headers)

    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, unknown)


def _place(error: dict[str, Any]) -> str:
    """Where in a request, without the names of types that it might have been."""
    names = [str(part) for part in error["loc"][1:]]
    kept = [name for name in names if name[:1].islower() or name.isdigit()]
    kept = [name for name in kept if "[" not in name]  # such as list[str]
    return ".".join(name for name in kept if name not in ("str", "list", "body"))[:100]


async def _failed(request: Request, error: Exception) -> JSONResponse:
    """Say why there is no answer; of a bug only that it is one. The door notes which."""
    refusal = as_refusal(error) or Refusal(500, "internal error")
    body = error_body(request.url.path, refusal.status, refusal.message)
    return JSONResponse(body, refusal.status, headers=refusal.headers)
