"""`hfkit push`: a finished run goes to the Hub, private unless its owner says otherwise."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hfkit.config import PushConfig
from hfkit.errors import HfkitError, InputError, NetworkError, SafetyError
from hfkit.run.publishing import stage_run

log = logging.getLogger(__name__)

REPO = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]+)*|multilingual")
LOGIN = "set HF_TOKEN, or `hf auth login`; the token needs the right to write"


@dataclass(frozen=True)
class Pushed:
    """What was uploaded, or would be: size by name of file, and the card. `url` is None as long as
    nothing was sent."""

    repo: str
    private: bool
    files: dict[str, int]
    card: str
    url: str | None

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {
            "repo": self.repo,
            "private": self.private,
            "files": self.files,
            "card": self.card,
            "url": self.url,
        }


def push(config: PushConfig) -> Pushed:
    """Upload the run ``config.run`` as ``config.repo``.

    Raises `InputError` for what is no finished run or no name of a repository, `SafetyError` where
    a secret would go along or a private run become public, `NetworkError` where the Hub cannot be
    reached or refuses.
    """
    if not config.run:
        raise InputError("no run", hint="hfkit push RUN ORG/NAME")
    if not config.repo or not REPO.fullmatch(config.repo) or len(config.repo) > 96:
        raise InputError(f"expected ORG/NAME, got '{config.repo or ''}'", place="--repo")
    languages = [part.strip() for part in (config.language or "").split(",") if part.strip()]
    for language in languages:
        if not LANGUAGE.fullmatch(language):
            raise InputError(f"expected codes as en or en,de; got '{language}'", place="--language")
    with TemporaryDirectory(prefix="hfkit-push-") as scratch:
        stage = Path(scratch) / "run"
        stage.mkdir()
        card = stage_run(
            Path(config.run).expanduser(), stage, config.repo, languages, config.license
        )
        files = {
            path.relative_to(stage).as_posix(): path.stat().st_size
            for path in sorted(stage.rglob("*"))
            if path.is_file()
        }
        url = None if config.dry_run else _upload(config, stage)
    if config.dry_run:
        log.info("nothing was sent: %d files, %s", len(files), _whose(config))
    return Pushed(config.repo, not config.public, files, card, url)


def _whose(config: PushConfig) -> str:
    return "for everybody to read" if config.public else "private"


def _upload(config: PushConfig, stage: Path) -> str:
    """Make the repository where it is not there, and send the folder; return its address."""
    if config.offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        raise InputError("a run cannot be pushed offline", place="--offline and HF_HUB_OFFLINE")
    from huggingface_hub import HfApi, get_token

    if get_token() is None:
        raise NetworkError("not logged in to the Hub", place=str(config.repo), hint=LOGIN)
    api, repo = HfApi(), str(config.repo)
    url = _asked(lambda: api.create_repo(repo, private=not config.public, exist_ok=True), repo)
    found = _asked(lambda: api.model_info(repo), repo)
    if not config.public and found.private is False:
        raise SafetyError(
            "this repository is there already, and everybody can read it", place=repo,
            hint="--public says that you know, another name makes a private one",
        )  # fmt: skip
    log.info("%s: uploading, %s", repo, _whose(config))
    _asked(
        lambda: api.upload_folder(
            repo_id=repo,
            folder_path=str(stage),
            commit_message=config.message,
            revision=config.revision,
        ),
        repo,
    )
    return str(url)


def _asked(question: Callable[[], Any], repo: str) -> Any:
    """Put one question to the Hub; its refusals become errors that a person can act on."""
    from huggingface_hub import errors

    transport: type[Exception] = errors.HfHubHTTPError.__bases__[0]
    try:
        return question()
    except errors.RevisionNotFoundError as error:
        raise InputError("it has no such branch", place=f"{repo}: --revision") from error
    except (transport, OSError) as error:
        raise _refused(error, repo) from error


def _refused(error: Exception, repo: str) -> HfkitError:
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status == 401:
        return NetworkError("the Hub refused the login", place=repo, hint=LOGIN)
    if status == 403:
        hint = "the name before the slash must be yours, or of an organisation that lets you write"
        return NetworkError("the Hub does not let you write there", place=repo, hint=hint)
    if status:
        return NetworkError(f"the Hub answered {status}", place=repo, hint="try again later")
    return NetworkError("the Hub cannot be reached", place=repo, hint="try again later")
