"""`hfkit finetune`: labelled data in, a model with its scores out.

prepare     read the data, find columns and labels, decide what was left open     (no torch)
choose      the folder: a new one, the same run to go on with, or a finished one   (no torch)
fit         load, encode, train from the newest checkpoint
finish      score the best weights, write and seal the folder
export      write the finished run as a file that needs no torch, where that is asked for
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from hfkit import sealing
from hfkit.config import FinetuneConfig
from hfkit.data.bad_rows import REJECTED
from hfkit.errors import InputError, WorkersError
from hfkit.layers import dump
from hfkit.model import lora
from hfkit.model.adapted import FILES
from hfkit.reports import trackers
from hfkit.run.duration import seconds
from hfkit.run.exporting import check_packages, export_run
from hfkit.run.output import Identity, Output, begin, choose, locked, masked
from hfkit.run.preparation import Prepared, prepare, versions
from hfkit.run.seeds import SeedRuns, train_seeds
from hfkit.train import launch

if TYPE_CHECKING:
    from accelerate import Accelerator

    from hfkit.run.finishing import Finetuned
    from hfkit.train.loop import Event

log = logging.getLogger(__name__)

CUT = ("micro_batch", "batch_tokens")  # how a step is computed in parts


@dataclass(frozen=True)
class DryRun:
    """What a fine-tuning would do."""

    plan: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The plan itself."""
        return self.plan


def finetune(config: FinetuneConfig) -> Finetuned | SeedRuns | DryRun:
    """Fine-tune ``config.model`` on ``config.train``; go on with the same run, skip a finished one.
    With ``config.seeds`` that is done for each seed.

    Raises `InputError` for anything wrong with data or settings, `InUseError` when another process
    writes to the folder, `StoppedError` when a signal or ``max_time`` ended it early.
    """
    if launch.has_parent():  # which has said it already; it loads no model
        for room in ("data", "model.locate", "run.preparation", "run.parts", "run.output"):
            logging.getLogger(f"hfkit.{room}").setLevel(logging.ERROR)
    if launch.inside() and config.num_processes == 1:  # torchrun has said how many
        config = config.model_copy(update={"num_processes": launch.world()[2]})
    _check(config)
    if config.seeds and not config.dry_run:
        return train_seeds(config, finetune)
    prepared = prepare(config)
    if config.dry_run:
        from hfkit.run.planning import plan_of

        return DryRun(plan_of(prepared))
    if launch.world()[0] > 0:
        with masked(config.private):
            return _run(prepared, {}, None)
    identity = prepared.identity()
    output = choose(
        config.output,
        config.train or "",
        prepared.base.name,
        identity,
        overwrite=config.overwrite,
    )
    output.folder.parent.mkdir(parents=True, exist_ok=True)  # which others may use too
    with masked(config.private):
        several = config.num_processes > 1 and not launch.inside()
        done = _relaunched(prepared, output) if several else None
        with locked(output.folder):
            return _exported(prepared, done or _run(prepared, identity, output))


def _check(config: FinetuneConfig) -> None:
    """Find what is wrong with the settings among themselves, before anything is read."""
    trackers.check(config)
    if config.lora:
        lora.parse(config.lora)
        lora.check_package()
    elif config.merge:
        raise InputError("without --lora there is nothing to merge", place="--merge")
    if config.max_time:
        seconds(config.max_time)
    launch.check_sharding(config)
    launch.check_optimizer(config)
    if config.export:
        check_packages(config.export, "--export")
    if config.train == "-" and config.num_processes > 1:
        raise InputError("several processes cannot read one stdin", hint="save it to a file first")
    if config.overwrite and config.output:
        _refuse_inputs_inside(config, Path(config.output).expanduser().resolve())


def _refuse_inputs_inside(config: FinetuneConfig, folder: Path) -> None:
    """--overwrite moves the folder aside, and what the run reads must not move with it."""
    for name in ("train", "validation", "test", "model", "label_names"):
        given = getattr(config, name)
        path = Path(given).expanduser() if given else None
        if path and path.exists() and path.resolve().is_relative_to(folder):
            raise InputError(
                f"{given} lies in the folder that --overwrite moves", place="--overwrite"
            )


def _run(prepared: Prepared, identity: Identity, output: Output | None) -> Finetuned:
    """Train, or see that it is done. `output` is None on all processes but the first."""
    if output and output.finished and not launch.inside():
        return _finished(output.folder)
    from hfkit.run.finishing import finish
    from hfkit.run.fitting import fit

    config = prepared.config
    accelerator = launch.make_accelerator(config.device, config.precision, config.num_processes)
    output = _told(output, accelerator)
    if output.finished:
        return _finished(output.folder)
    if accelerator.is_main_process:
        log.info("the run's folder is %s", output.folder)
        train = prepared.train
        read = {"columns": train.columns.to_dict(), "label_base": train.labels.base}
        cut = {name: getattr(config, name) for name in CUT}
        _warn_of(begin(output.folder, identity, read, {**versions(), **cut}))
        _list_rejected(prepared, output.folder)
    fitted = fit(
        prepared,
        accelerator,
        output,
        lambda *steps: _watching(output.folder, prepared, accelerator, *steps),
    )
    return finish(fitted, output.folder)


def _list_rejected(prepared: Prepared, folder: Path) -> None:
    """Write rejected.jsonl: a line for each row that was left out, and none where there is none."""
    if prepared.config.on_bad_row == "skip":
        lines = b"".join(bad.lines for bad in prepared.rejected())
        sealing.write_bytes(folder / REJECTED, lines)
        if lines:
            log.info("rows that are left out are listed in %s", folder / REJECTED)


def _told(output: Output | None, accelerator: Accelerator) -> Output:
    """The first process has chosen the folder; the others learn of it here."""
    if accelerator.num_processes == 1 and output:
        return output
    from accelerate.utils import broadcast_object_list

    told: list[Any] = [output]
    broadcast_object_list(told)
    found: Output = told[0]
    return found


def _finished(folder: Path) -> Finetuned:
    from hfkit.run.finishing import CHECKPOINTS, Finetuned
    from hfkit.run.opening import read_settings

    wrong = sealing.damage(
        folder, only=(*FILES, "config.json", "model.safetensors", "tokenizer.json")
    )
    if wrong is not None:
        hint = "--overwrite moves it aside and trains again"
        raise InputError(
            f"this run is finished, and damaged: {wrong}", place=str(folder), hint=hint
        )
    sealing.sweep(folder)
    settings = read_settings(folder)
    if (folder / CHECKPOINTS).exists() and not (settings and settings.keep_checkpoints):
        sealing.remove(folder / CHECKPOINTS)  # a kill came between the seal and this
    log.info("%s: this run is finished; nothing to train", folder)
    return Finetuned.read(folder)


def _exported(prepared: Prepared, done: Finetuned) -> Finetuned:
    """Export the finished run, once, where that is asked for."""
    config = prepared.config
    if config.export:
        export_run(done.folder, config, prepared.validation)
    return done


def _warn_of(changes: dict[str, tuple[Any, Any]]) -> None:
    """Other versions and other cuts compute other bits; going on is allowed, and said."""
    for name, (was, now) in changes.items():
        before, after = ("not set" if value is None else value for value in (was, now))
        words = "%s was %s when this run began, now %s: its last bits will differ"
        log.warning(words, name, before, after)


@contextmanager
def _watching(
    folder: Path, prepared: Prepared, accelerator: Accelerator, total_steps: int, first_step: int
) -> Iterator[Callable[[Event], None]]:
    """Report the events of the training: on the terminal, in metrics.jsonl, to trackers."""
    if not accelerator.is_main_process:
        yield lambda event: None
        return
    from hfkit.reports.progress import Progress
    from hfkit.reports.trackers import Trackers

    sent = Trackers(prepared.config, folder)
    metrics = folder / "metrics.jsonl"
    with (
        Progress(total_steps, prepared.task.best, metrics, first_step=first_step) as progress,
        sent,
    ):

        def watch(event: Event) -> None:
            progress.report(event)
            sent.report(event)

        yield watch


def _relaunched(prepared: Prepared, output: Output) -> Finetuned:
    """Run the same fine-tuning in several processes and read what came of it."""
    config = prepared.config
    with locked(output.folder):
        pass  # the first of the processes holds it; here it is seen to be free, without torch
    with TemporaryDirectory(prefix="hfkit-") as folder:
        recipe = Path(folder) / "settings.yaml"
        recipe.write_text(dump(config), "utf-8")
        arguments = ["finetune", "-c", str(recipe), "-o", str(output.folder)]
        arguments += ["--device", config.device, "--error-format", config.error_format]
        flags = {"--offline": config.offline, "-q": config.quiet, "-v": config.verbose}
        arguments += [flag for flag, given in {**flags, "--debug": config.debug}.items() if given]
        code = launch.relaunch(config.num_processes, arguments)
    if code:
        raise WorkersError(code)
    from hfkit.run.finishing import Finetuned

    return Finetuned.read(output.folder)
