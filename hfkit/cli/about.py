"""The commands that show what hfkit is and where it runs: demo, tasks, env."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from hfkit.cli.console import print_json
from hfkit.cli.groups import AsJson


def demo(
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder of the run", metavar="TEXT")
    ] = None,
) -> None:
    """See it work, offline, in a minute."""
    from hfkit.cli.demo import show_demo
    from hfkit.commands.demo import demo as run_demo

    show_demo(run_demo(output), sys.stdout)


def tasks(json_output: AsJson = False) -> None:
    """List the tasks, their columns and their options."""
    from hfkit.commands.tasks import tasks as list_tasks

    found = list_tasks()
    if json_output:
        return print_json(found)
    for task in found:
        print(f"{task['name']}: {task['summary']}")
        if task["aliases"]:
            print(f"  also called {', '.join(task['aliases'])}")
        options = {name: option["help"] for name, option in task["options"].items()}
        for heading, entries in (("columns", task["columns"]), ("options", options)):
            if entries:
                print(f"  {heading}:")
                width = max(map(len, entries))
                for name, what in entries.items():
                    print(f"    {name:<{width}}  {what}")
    return None


def env(json_output: AsJson = False) -> None:
    """Print versions and devices, for a bug report."""
    from hfkit.commands.env import env as describe

    found = describe()
    if json_output:
        return print_json(found)
    found["devices"] = ", ".join(found["devices"])
    for name, value in {**found.pop("versions"), **found.pop("environment"), **found}.items():
        print(f"{name}: {value}")
    return None
