"""Every shell command of the pages in docs/ runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import run_shell, shell_blocks, write_files, write_gpt2, write_t5

from hfkit.model.locate import packaged_minilm
from hfkit.registry import TASKS

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(path.name for path in DOCS.glob("*.md") if shell_blocks(path))


@pytest.mark.parametrize("name", PAGES)
def test_the_commands_of_a_page_run(name: str, tmp_path: Path, commands: Path) -> None:
    if packaged_minilm() is None:
        pytest.skip("the extra `demo` is not installed")
    script = "".join(shell_blocks(DOCS / name))
    folder = write_files(tmp_path)
    if "google-t5/t5-small" in script:
        write_t5(folder)
    if "openai-community/gpt2" in script:
        write_gpt2(folder)
    done = run_shell(script, folder, commands)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Traceback" not in done.stderr


TOGETHER = {"mlm": "pretraining", "nsp": "pretraining"}  # tasks that share a page


def test_there_is_a_page_for_each_task() -> None:
    pages = {f"{TOGETHER.get(task, task)}.md" for task in TASKS}
    assert pages <= {path.name for path in DOCS.glob("*.md")}


def test_links_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
            assert (DOCS / target).exists(), f"{page.name}: {target}"
