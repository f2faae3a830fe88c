"""Fixtures over the toys, and the real data where it is at hand."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import logging
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from forked_commands import forked_commands
from toys import toy_rows, write_base_model, write_classifier, write_parts, write_tokenizer

# At the gate a property is tried on the same examples each time, so that a failure can be repeated.
hypothesis.settings.register_profile("gate", deadline=None, derandomize=True)
hypothesis.settings.register_profile("desk", deadline=None)
hypothesis.settings.load_profile("gate" if os.environ.get("CI") else "desk")


@pytest.fixture(autouse=True, scope="session")
def interrupts() -> None:
    """What a shell runs in its background is deaf to Ctrl-C, and so would its children be."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """A command line run inside a test, or inside a fixture, sets the loggers up for a terminal."""

    def reset() -> None:
        logging.captureWarnings(False)
        for name in ("", ".data", ".model.locate", ".run.preparation", ".run.parts"):
            logger = logging.getLogger(f"hfkit{name}")
            logger.handlers, logger.propagate = [], True
            logger.setLevel(logging.NOTSET)

    reset()
    root = logging.getLogger()
    handlers = list(root.handlers)
    yield
    root.handlers = handlers
    reset()


@pytest.fixture(scope="session")
def tiny_tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def tiny_base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_base_model(tmp_path_factory.mktemp("base"), "bert")


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an `hfkit` that starts in milliseconds."""
    with forked_commands(tmp_path_factory.mktemp("commands")) as folder:
        yield folder


@pytest.fixture(scope="session")
def tiny_classifier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("classifier"), "bert")


@pytest.fixture(scope="session")
def toy_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Toy train, validation and test files."""
    sizes = {"train": 96, "validation": 30, "test": 30}
    return write_parts(tmp_path_factory.mktemp("toy"), sizes, toy_rows)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Path of a real public data set under HFKIT_TEST_DATA; skips where there is none."""

    def find(name: str) -> Path:
        root = os.environ.get("HFKIT_TEST_DATA")
        if not root or not Path(root).is_dir():
            pytest.skip("HFKIT_TEST_DATA names no folder of real data sets")
        return Path(root) / name

    return find
