"""The commands that show what comes with hfkit: recipes, and the settings of a training."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

from hfkit.cli.completion import completer
from hfkit.cli.console import is_terminal, print_json, printable, say, start_notes
from hfkit.errors import FINDINGS

RecipeName = Annotated[str, typer.Argument(metavar="NAME", autocompletion=completer("config"))]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]

recipes = typer.Typer(
    rich_markup_mode=None, help="List, show, copy and try out the recipes that come with hfkit."
)
settings = typer.Typer(
    rich_markup_mode=None, help="Show the settings of a training, or their JSON schema."
)

tokenizer = typer.Typer(rich_markup_mode=None, help="Train a tokenizer on texts of your own.")


@recipes.callback(invoke_without_command=True)
@settings.callback(invoke_without_command=True)
@tokenizer.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """A group without a command shows its help."""
    if context.invoked_subcommand is None:
        print(context.get_help())


@recipes.command("ls")
def recipes_ls(json_output: AsJson = False) -> None:
    """List the recipes by name."""
    from hfkit.commands.recipes import recipes as list_recipes

    found = list_recipes()
    if json_output:
        return print_json(found)
    width = max(map(len, found), default=0)
    for name, about in found.items():
        print(f"{name:<{width}}  {about}")
    return None


@recipes.command("show")
def recipes_show(name: RecipeName) -> None:
    """Print a recipe."""
    from hfkit.commands.recipes import show

    sys.stdout.write(show(name))


@recipes.command("copy")
def recipes_copy(
    name: RecipeName,
    target: Annotated[str | None, typer.Argument(metavar="[FILE]")] = None,
) -> None:
    """Copy a recipe into this folder, to change it."""
    from hfkit.commands.recipes import copy

    path = copy(name, target)
    print(path)
    if is_terminal(sys.stderr):
        say("next", f"hfkit finetune -c {shlex.quote(str(path))}")


@recipes.command("verify")
def recipes_verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None,
    json_output: AsJson = False,
) -> Any:
    """Try recipes out, offline: a few steps on made-up rows with a tiny random model."""
    from hfkit.api import finetune, train_tokenizer
    from hfkit.cli.failures import Ending
    from hfkit.commands.recipes import verify

    start_notes(quiet=True)
    found = []
    for tried in verify(names or [], finetune, train_tokenizer):
        found.append(tried)
        if not json_output:
            state = "passed" if tried.passed else f"FAILED  {tried.problem}"
            print(printable(f"{tried.name}  {state}"), flush=True)
    if json_output:
        print_json([tried.to_json() for tried in found])
    return Ending(0 if all(tried.passed for tried in found) else FINDINGS)


@settings.command("show")
def config_show(
    config: Annotated[
        str | None,
        typer.Option(
            "--config", "-c", help="Recipe", metavar="TEXT", autocompletion=completer("config")
        ),
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", "-s", help="A setting as key=value", metavar="TEXT")
    ] = None,
) -> None:
    """Print what recipe, environment and flags come to, as YAML."""
    from hfkit.commands.settings import show

    sys.stdout.write(show({"config": config, "set": set}))


@settings.command("schema")
def config_schema() -> None:
    """Print the JSON schema of a recipe."""
    from hfkit.commands.settings import schema

    print_json(schema())
