"""`hfkit recipes`: the recipes that come with hfkit, to be run by name or copied and changed."""

from __future__ import annotations

from pathlib import Path

from hfkit.errors import InputError, ResourceError
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
