"""Every command of the README runs, and what it says of itself is true."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pages import environment as small_runs
from pages import write_files

from hfkit.model.locate import packaged_minilm
from hfkit.samples import sample

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
CHINESE = (ROOT / "README.zh-CN.md").read_text("utf-8")


def blocks_of(text: str) -> list[tuple[str, str]]:
    """The blocks of code of a page, each with its language."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


BLOCKS = blocks_of(README)


def rows(name: str, count: int) -> list[dict[str, str]]:
    with sample(name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))[:count]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that the README's commands name."""
    import json

    if packaged_minilm() is None:
        pytest.skip("the extra `demo` is not installed")
    folder = write_files(tmp_path_factory.mktemp("readme"))
    for name, part, count in (("messages", "train", 80), ("test", "test", 24)):
        with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, ["text", "label"])
            writer.writeheader()
            writer.writerows(rows(f"support/{part}.csv", count))
    texts = [row["text"].replace("\n", " ") for row in rows("support/test.csv", 12)]
    (folder / "texts.txt").write_text("".join(f"{text}\n" for text in texts), "utf-8")
    labelled = [(text, ("good", "bad")[n % 2]) for n, text in enumerate(texts * 3)]
    (folder / "pairs.tsv").write_text(
        "".join(f"{text}\tabout {n}\t{label}\n" for n, (text, label) in enumerate(labelled)),
        "utf-8",
    )
    several = [
        {"text": f"{text} {n}", "tags": ["a", "b"][: n % 3]} for n, (text, _) in enumerate(labelled)
    ]
    (folder / "several.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in several), "utf-8"
    )
    (folder / "scored.csv").write_text(
        "text,stars\n" + "".join(f"word {n},{n % 5}\n" for n in range(30)), "utf-8"
    )
    return folder


@pytest.fixture(scope="module")
def environment(commands: Path) -> dict[str, str]:
    """The commands as they stand, but few steps and short texts."""
    return {**small_runs(commands), "HFKIT_MAX_LENGTH": "32"}


def test_every_command_runs(folder: Path, environment: dict[str, str]) -> None:
    script = "".join(
        text for language, text in BLOCKS if language == "sh" and not text.startswith("make")
    )
    assert script.count("hfkit ") > 15
    done = subprocess.run(
        ["bash", "-exc", script], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr


def test_the_python_example_runs(folder: Path, environment: dict[str, str]) -> None:
    (program,) = (text for language, text in BLOCKS if language == "python")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_the_exit_codes_are_those_of_the_program() -> None:
    from hfkit import errors

    listed = {int(code) for code in codes_of(README) if "," not in code}
    raised = {
        error.exit_code
        for error in vars(errors).values()
        if isinstance(error, type) and issubclass(error, errors.HfkitError)
    }
    assert raised | {0, errors.FINDINGS, errors.BROKEN_PIPE} == listed


def codes_of(text: str) -> list[str]:
    """The first column of the table of exit codes."""
    return re.findall(r"^\| ([\d, ]+) \|", text, re.MULTILINE)


def links_of(text: str) -> list[str]:
    """Where a page links to, the parts of other pages included."""
    return re.findall(r"\]\(([^)]+\.md[^)]*)\)", text)


def test_links_lead_somewhere() -> None:
    for target in [*re.findall(r"\]\(([^)#]+)\)", README), *links_of(CHINESE)]:
        assert (ROOT / target.partition("#")[0]).exists(), target


def test_the_chinese_readme_has_the_same_commands() -> None:
    """All blocks are equal but for what comments say in them; codes and links are the same."""

    def commands(text: str) -> list[tuple[str, str]]:
        return [(language, re.sub(r" +# .*", "", code)) for language, code in blocks_of(text)]

    assert len(BLOCKS) > 8
    assert commands(CHINESE) == commands(README)
    assert codes_of(CHINESE) == codes_of(README)
    here, there = links_of(README), links_of(CHINESE)
    assert here.pop(0) == "README.zh-CN.md" and there.pop(0) == "README.md"
    assert sorted(there) == sorted(here)
    assert len(re.findall("^## ", CHINESE, re.MULTILINE)) == len(
        re.findall("^## ", README, re.MULTILINE)
    )


def test_the_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
