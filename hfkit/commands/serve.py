"""`hfkit serve`: models over HTTP, with a page to try them, until a signal comes.

On this machine alone it needs no token; anywhere else it does not start without one. The first
Ctrl-C or SIGTERM ends it in good order: what was accepted is answered.
"""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

from hfkit.config.serving import ServeConfig
from hfkit.errors import InputError, InUseError, SafetyError

log = logging.getLogger(__name__)

TOKEN = "HFKIT_SERVE_TOKEN"
SHORTEST = 8  # characters of a token
LAST = 5.0  # seconds that a model has to leave what it computes, after the last answer


def serve(config: ServeConfig) -> None:
    """Load the models and serve them until SIGTERM, or Ctrl-C, which is raised.

    Raises `SafetyError` for another address than this machine's without a token, `InUseError` for a
    port that is taken, and as loading does.
    """
    for package in ("fastapi", "uvicorn"):
        if find_spec(package) is None:
            hint = 'install it with: pip install "hfkit[serve]"'
            raise InputError(f"serving needs {package}", hint=hint)
    from hfkit.run.serving import named, open_models
    from hfkit.serve.app import make_app
    from hfkit.serve.counts import Counts
    from hfkit.serve.limits import LOCAL, Guests, is_loopback
    from hfkit.serve.server import serve_app

    named(config.models)
    token = read_token(config.token_file)
    local = is_loopback(config.host)
    if not local and not token:
        hint = f"put one into {TOKEN}, or into a file with --token-file"
        raise SafetyError("other machines may ask only with a token", place="--host", hint=hint)
    listener = _bound(config.host, config.port)
    try:
        counts = Counts()
        models = open_models(config, counts)
        names = {name.lower() for name in (*config.allow_host, config.host)} | LOCAL
        if not local:
            names.add(socket.gethostname().lower())
        guests = Guests(token, frozenset(names), addresses=not local)
        app = make_app(models, config, guests, counts)
        url = _url(config.host, listener)
        ended_by = serve_app(app, listener, config, lambda: log.info("ready: %s", url))
        for served in models:
            if not served.worker.close(LAST):
                log.warning("%s still computes what nobody waits for", served.name)
    finally:
        listener.close()
    if ended_by == signal.SIGINT:
        raise KeyboardInterrupt


def read_token(file: str | None) -> str:
    """The token that requests have to bring; "" where none is set. Raises `InputError`."""
    place = file or TOKEN
    given = os.environ.get(TOKEN, "") if file is None else Path(file).read_bytes().decode("latin-1")
    token = given.strip()
    if file is None and not given:
        return ""
    if len(token) < SHORTEST:
        hint = "make one: openssl rand -hex 16"
        raise InputError(f"a token has {SHORTEST} characters or more", place=place, hint=hint)
    if not token.isascii() or not token.isprintable() or " " in token:
        raise InputError("a token is one word of ASCII", place=place)
    return token


def _bound(host: str, port: int) -> socket.socket:
    """A socket at the address, before any model is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise InputError("no such address", place=f"--host {host}") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            hint = "choose another with --port, or 0 for any"
            raise InUseError(f"port {port} is taken", place="--port", hint=hint) from error
        reason = (error.strerror or str(error)).lower()
        raise InputError(reason, place=f"--host {host} --port {port}") from error
    return listener


def _url(host: str, listener: socket.socket) -> str:
    """Where the page is."""
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
