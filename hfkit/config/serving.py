"""The settings of `hfkit serve`."""

from __future__ import annotations

from hfkit.config.base import Section, setting
from hfkit.config.machine import Computing, Machine, Trust
from hfkit.config.training import TaskSettings


class Limits(Section):
    """What a server takes on; the rest is refused, with the reason."""

    queue: int = setting(
        64, "Requests that may wait for a model; more are answered with 429", ge=1, le=10_000
    )
    timeout: float = setting(
        30.0, "Seconds a request may take; after them it is answered with 503", gt=0, le=3600
    )
    patience: float = setting(10.0, "Seconds a client may take to send a request", gt=0, le=600)
    max_body: int = setting(
        2**20, "Largest request, in bytes; a larger one is answered with 413", ge=1024
    )
    max_texts: int = setting(32, "Most texts in a request", ge=1, le=4096)
    max_text_length: int = setting(2**16, "Longest text, in characters", ge=1)
    max_connections: int = setting(128, "Connections at the same time", ge=2, le=65_536)


class ServeConfig(Machine, Trust, TaskSettings, Computing, Limits):
    """Settings of `hfkit serve`."""

    models: list[str] = setting(
        [], "Runs or models, each under the name of its folder, or as NAME=FOLDER", flags=("-m",)
    )
    host: str = setting("127.0.0.1", "Address to listen at; another than this needs a token")
    port: int = setting(8765, "Port to listen at; 0: any that is free", ge=0, le=65_535)
    token_file: str | None = setting(
        None, "File with the token that requests have to bring; or set HFKIT_SERVE_TOKEN"
    )
    allow_host: list[str] = setting(
        [], "A name this server is asked by, as example.org, behind a proxy (repeatable)"
    )
