"""The commands about models: what one takes, which one to take, what lies here, where it goes."""

from __future__ import annotations

import sys
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from hfkit.cli.console import is_terminal, print_json, printable, say, show, table
from hfkit.cli.groups import AsJson, group

if TYPE_CHECKING:
    from hfkit.commands.estimate import Estimated
    from hfkit.commands.models import Recommended
    from hfkit.commands.push import Pushed

WIDTH = 80

ESTIMATE = """Tell how large MODEL is, and what memory it takes.

Computed from the configuration alone, by batch and length: MODEL is a run, a folder with a
config.json, that file, or a Hub id, of which nothing else is downloaded. For a CPU it is the peak
of the process, as `top` shows it (docs/models.md has measured ones beside it); for CUDA it is what
tensors take, computed and not measured.

\b
  hfkit estimate -m out
  hfkit estimate -m config.json -t ner --batch-size 8,16,32 --max-length 128,512
  hfkit estimate --config-size base --lora r=16 --device cuda --json
"""

PUSH = """Upload RUN to the Hub as REPO, private unless --public.

What is uploaded is the model, its tokenizer, its scores and its card; never checkpoints, states of
the optimizer, or paths of this machine. --dry-run lists the files, shows the card and sends
nothing. Needs a login: HF_TOKEN, or `hf auth login`.

\b
  hfkit push out acme/reviews --dry-run
  hfkit push out acme/reviews --language en --license apache-2.0
"""

models = typer.Typer(
    rich_markup_mode=None, help="Recommend a base model, or list the runs that lie here."
)
models.callback(invoke_without_command=True)(group)

Named = Annotated[
    str, typer.Option("--task", "-t", help="Task, as `hfkit tasks` lists them", metavar="TEXT")
]
Spoken = Annotated[
    str,
    typer.Option(
        "--language", "-l", help="en, zh, de, …, its English name, or multilingual", metavar="TEXT"
    ),
]
Fitting = Annotated[
    str, typer.Option("--device", help="cpu, or the memory of a GPU as 8GB", metavar="TEXT")
]


@models.command("recommend")
def models_recommend(
    task: Named = "classification",
    language: Spoken = "en",
    device: Fitting = "cpu",
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Only licences that allow commercial use")
    ] = False,
    json_output: AsJson = False,
) -> None:
    """Rank base models for a task, a language and a device, with reasons; needs no network."""
    from hfkit.commands.models import recommend

    found = recommend(task, language, device, commercial=commercial)
    if json_output:
        return print_json([one.to_json() for one in found])
    print(printable(_wanted(task, language, device, commercial)))
    return show_recommended(found, sys.stdout)


@models.command("ls")
def models_ls(
    folder: Annotated[str, typer.Argument(metavar="[FOLDER]")] = ".", json_output: AsJson = False
) -> None:
    """List the runs under a folder: task, base model, best score, date, size, sealed or not."""
    from hfkit.commands.models import local_runs

    found = [one.to_json() for one in local_runs(folder)]
    if json_output:
        return print_json(found)
    if not found:
        say("note", f"no runs under {folder}")
        return None
    rows = [
        {
            "run": one["run"],
            "task": one["task"],
            "base model": str(one["base_model"] or "").rpartition("/")[2],
            "score": ""
            if one["score"] is None
            else f"{one['score_name']} {one['score']:.4f} ({one['split']})",
            "date": one["date"][:10],
            "MiB": _mib(one["bytes"]),
            "state": one["state"],
        }
        for one in found
    ]
    return show([table(rows, ("MiB",))], sys.stdout)


def _wanted(task: str, language: str, device: str, commercial: bool) -> str:
    """What is answered, with the flags that ask for something else."""
    licence = ", for commercial use" if commercial else ""
    return (
        f"for {task} in {language} on {device}{licence} (-t TASK, -l LANGUAGE, --device cpu or 8GB)"
    )


def show_recommended(found: list[Recommended], stream: TextIO) -> None:
    """The best model first, each with a line or more for each of its reasons below. A URL is never
    broken, so that a terminal can open it."""
    for number, one in enumerate(found, start=1):
        print(f"\n{number}. {printable(one.name)}", file=stream)
        for reason in one.reason.split("; "):
            lines = wrap(reason, WIDTH, initial_indent="   ", subsequent_indent="     ",
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip
            for line in lines:
                print(printable(line), file=stream)


def show_estimate(found: Estimated, stream: TextIO) -> None:
    """The parameters, then a row for each size of batch."""
    learning = "" if found.learning == found.parameters else f", {found.learning:,} of them learn"
    rows, times = [], []
    for size in found.sizes:
        row = {"batch": f"{size.batch_size}x{size.max_length}"}
        for name, memory in (("train", size.training), ("predict", size.prediction)):
            row[name] = _mib(memory.peak_bytes)
            if name == "train":
                row |= {
                    "weights": _mib(memory.weights_bytes),
                    "gradients": _mib(memory.gradients_bytes),
                    "optimizer": _mib(memory.optimizer_bytes),
                    "activations": _mib(memory.activations_bytes),
                }
                if found.device == "cpu":
                    row["process"] = _mib(memory.process_bytes)
        rows.append(row)
        if size.seconds:
            seconds = {name.replace("_", " "): f"{one:.3g}" for name, one in size.seconds.items()}
            times.append({"batch": row["batch"], **seconds})
    says = "peak of the process on a CPU" if found.measured else "tensors on the GPU"
    parts = [
        f"{found.model}, {found.task}: {found.parameters:,} parameters{learning}",
        f"{found.precision}, {found.optimizer}; MiB, {says}",
        "",
        table(rows, tuple(rows[0])[1:]),
    ]
    if times:
        parts += ["", "seconds, measured", "", table(times, tuple(times[0])[1:])]
    if not found.measured:
        parts += ["", "computed, and not measured on a GPU"]
    show(parts, stream)


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f}"


def show_pushed(found: Pushed, stream: TextIO) -> None:
    """What would be sent; or the address of what was."""
    if found.url is not None:
        print(found.url, file=stream)
        return
    for name, size in found.files.items():
        print(printable(f"{size:>12,}  {name}"), file=stream)
    print(f"\n{found.card}" if is_terminal(stream) else found.card, file=stream)
