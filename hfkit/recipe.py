"""Recipe files: finding one by name, and reading YAML as the text that was typed.

YAML 1.1 turns ``no`` into False, ``1.10`` into 1.1 and leaves ``3e-5`` text. Here every scalar is
the text that was typed, and only an empty value, ``~`` and ``null`` are nothing: the types of the
settings decide what a text means. Nothing in a recipe can run code, because no YAML tag is obeyed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfkit.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from yaml import Node

SUFFIXES = (".yaml", ".yml")
NOTHING = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True)
class Recipe:
    """What a recipe says, and the line on which each of its top-level keys stands."""

    path: str
    values: dict[str, Any]
    lines: dict[str, int]

    def place(self, key: str) -> str:
        """Where the key stands, as compilers print it."""
        return f"{self.path}:{self.lines[key]}" if key in self.lines else self.path


def packaged_recipes() -> dict[str, Path]:
    """Return name -> file of the recipes that come with hfkit, sorted by name.

    A wheel holds them inside the package; in a working copy they lie beside it.
    """
    package = Path(__file__).parent
    for folder in (package / "recipes", package.parent / "recipes"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def is_recipe_file(text: str) -> bool:
    """Tell whether an argument names a YAML file.

    >>> is_recipe_file("mine.yaml"), is_recipe_file("reviews.csv")
    (True, False)
    """
    return text.lower().endswith(SUFFIXES)


def find_recipe(name: str) -> Path:
    """Return the file behind a path or the name of a packaged recipe.

    Raises `InputError` where there is neither.
    """
    path = Path(name).expanduser()
    if path.is_file():
        return path
    packaged = packaged_recipes()
    if name in packaged:
        return packaged[name]
    if is_recipe_file(name) or path.name != name:
        raise InputError("no such recipe file", place=name)
    raise InputError(f"no recipe named '{name}'", hint=did_you_mean(name, packaged))


def read_recipe(name: str) -> Recipe:
    """Find a recipe and read it; raises `InputError` with the line for what is not plain YAML."""
    path = find_recipe(name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read the recipe ({error})", place=str(path)) from error
    return parse_recipe(text, str(path))


def parse_recipe(text: str, path: str) -> Recipe:
    """Read the text of a recipe: a mapping of settings.

    >>> parse_recipe("lr: 3e-5\\nlabel_column: no\\nmodel:", "mine.yaml").values
    {'lr': '3e-5', 'label_column': 'no', 'model': None}
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1}" if mark else path
        raise InputError(
            f"not valid YAML: {error.problem or error.context}", place=place
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML: {' '.join(str(error).split())}", place=path) from error
    except RecursionError as error:
        raise InputError("not valid YAML: nested too deeply", place=path) from error
    if root is None:
        return Recipe(path, {}, {})
    if not isinstance(root, yaml.MappingNode):
        raise InputError("expected lines of the form `setting: value`", place=path)
    values = _plain(root, path, seen=set())
    lines = {key.value: key.start_mark.line + 1 for key, _ in root.value}
    return Recipe(path, values, lines)


def _plain(node: Node, path: str, seen: set[int]) -> Any:
    """Turn a YAML node into text, None, a list or a dict."""
    import yaml

    place = f"{path}:{node.start_mark.line + 1}"
    if id(node) in seen:  # an alias: a few lines of them can stand for gigabytes
        raise InputError("YAML anchors and aliases are not understood in a recipe", place=place)
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        return None if node.style is None and node.value in NOTHING else str(node.value)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, path, seen) for child in node.value]
    found: dict[str, Any] = {}
    for key, value in node.value:
        place = f"{path}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise InputError("a key must be a word", place=place)
        if key.value in found:
            raise InputError(f"the key '{key.value}' stands here a second time", place=place)
        found[key.value] = _plain(value, path, seen)
    return found
