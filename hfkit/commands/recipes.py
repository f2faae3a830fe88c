"""`hfkit recipes`: the recipes that come with hfkit, to be run by name or copied and changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hfkit.errors import HfkitError, InputError, ResourceError
from hfkit.recipe import find_recipe, packaged_recipes


def recipes() -> dict[str, str]:
    """Return name -> what the recipe is about: the first line of its header."""
    return {
        name: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
        for name, path in packaged_recipes().items()
    }


def show(name: str) -> str:
    """Return the text of a recipe."""
    return find_recipe(name).read_text(encoding="utf-8")


def copy(name: str, target: str | None = None) -> Path:
    """Copy a recipe to a file, or into a folder (default: the current one), and return the path.

    Raises `InputError` where a file stands there already.
    """
    source = find_recipe(name)
    path = Path(target or ".")
    if path.is_dir():
        path = path / source.name
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(source.read_text(encoding="utf-8"))
    except FileExistsError as error:
        raise InputError("exists already", place=str(path)) from error
    except FileNotFoundError as error:
        raise InputError("no such folder", place=str(path.parent)) from error
    except OSError as error:
        raise ResourceError(f"cannot write ({error.strerror})", place=str(path)) from error
    return path


@dataclass(frozen=True)
class Tried:
    """A recipe that was tried out; `problem` is empty where it passed."""

    name: str
    problem: str

    @property
    def passed(self) -> bool:
        """Whether it trained and scored."""
        return not self.problem

    def to_json(self) -> dict[str, Any]:
        """What ``--json`` prints."""
        return {"recipe": self.name, "passed": self.passed, "problem": self.problem}


def verify(
    names: Sequence[str], finetune: Callable[..., Any], train_tokenizer: Callable[..., Any]
) -> Iterator[Tried]:
    """Try recipes out, all without names: a few steps on made-up rows with a tiny random model,
    offline. The functions are those of `hfkit.api`. Raises `InputError` for an unknown name."""
    wanted = list(names) or list(packaged_recipes())
    for name in wanted:
        find_recipe(name)
    return (_tried(name, finetune, train_tokenizer) for name in wanted)


def _tried(name: str, finetune: Callable[..., Any], train_tokenizer: Callable[..., Any]) -> Tried:
    from hfkit.run.smoke import offline, smoke_settings

    with TemporaryDirectory(prefix="hfkit-recipe-") as folder, offline():
        try:
            done = finetune(**smoke_settings(name, Path(folder), train_tokenizer))
        except HfkitError as error:
            return Tried(name, str(error))
        return Tried(name, "" if done.scores.values else "it gives no scores")
