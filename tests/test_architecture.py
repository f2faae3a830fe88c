"""The rules of docs/architecture.md that a parser can see."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "hfkit").rglob("*.py"))

ROOMS = {"data", "tasks", "model", "train", "infer", "metrics", "reports"}
EVERYWHERE = {"errors", "config", "registry", "redaction"}
# Room -> rooms it may import (besides itself and those).
ALLOWED = {
    "errors": set(),
    "config": set(),
    "answers": set(),
    "nbest": set(),
    "windows": set(),
    "frames": set(),
    "masking": {"text"},
    "segments": set(),
    "chat": set(),
    "chat_worker": set(),
    "prompts": {"chat", "text"},
    "spans": set(),
    "words": {"spans"},
    "targets": set(),
    "signals": set(),
    "panics": set(),
    "unfailing": {"panics"},
    "remarks": set(),
    "families": set(),
    "culprit": {"panics"},
    "vocabulary": set(),
    "processor": set(),
    "vectors": set(),
    "thresholds": set(),
    "temperature": set(),
    "abstaining": {"spans"},
    "replacing": {"sealing"},
    "choices": set(),
    "garbage": set(),
    "hashing": set(),
    "sealing": {"hashing"},
    "imports": set(),
    "registry": {"layers", "tasks"},
    "recipe": set(),
    "redaction": set(),
    "layers": {"recipe", "tasks"},
    "languages": set(),
    "backend": {"culprit", "panics", "remarks"},
    "text": {
        "backend", "chat", "frames", "languages", "windows", "python_tokenizer", "culprit",
        "vocabulary",
    },
    "python_tokenizer": {"text", "windows"},
    "data": {"windows", "spans", "words", "abstaining"},
    "tasks": {
        "windows", "spans", "answers", "nbest", "words", "text", "targets", "vectors", "choices",
        "families", "thresholds", "masking", "segments", "prompts", "languages", "temperature",
        "chat",
    },
    "metrics": {"tasks", "spans", "answers", "vectors", "thresholds"},
    "model": {
        "backend", "chat", "culprit", "families", "garbage", "hashing", "imports", "languages",
        "processor", "sealing", "text",
    },
    "train": {"imports", "sealing", "signals", "text", "targets", "processor"},
    "infer": {
        "tasks", "text", "windows", "spans", "answers", "nbest", "data", "targets", "vectors",
        "processor", "imports", "masking", "abstaining",
    },
    "reports": {"answers", "train", "metrics", "sealing"},
    "run": {
        *ROOMS, "serve", "backend", "garbage", "hashing", "prompts", "processor", "sealing", "text",
        "layers", "vectors", "languages", "spans", "words", "recipe", "answers", "nbest",
        "replacing", "temperature", "thresholds", "abstaining",
    },
    "serve": {"data", "infer", "masking", "prompts", "tasks"},
    "commands": {
        *ROOMS, "run", "serve", "vectors", "spans", "words", "hashing", "sealing", "text", "layers",
        "recipe", "samples", "processor", "catalogue", "abstaining",
    },
    "verbs": {"layers", "recipe"},
    "api": {"commands", "layers", "recipe", "run", "tasks", "verbs"},
    "cli": {
        "api", "verbs", "layers", "recipe", "reports", "commands", "metrics", "tasks", "train",
        "signals",
        "panics",
    },
    "samples": set(),
    "catalogue": set(),
}  # fmt: skip
# Room -> packages its files may not import at all.
FORBIDDEN = {
    "tasks": {"torch", "transformers", "datasets", "accelerate"},
    "data": {"torch", "transformers", "accelerate"},
    "metrics": {"torch", "transformers"},
    "config": {"torch", "transformers", "numpy", "datasets"},
    "registry": {"torch", "transformers", "numpy", "datasets"},
    "cli": {"transformers", "datasets", "numpy", "evaluate"},
}
HEAVY = {
    "torch",
    "transformers",
    "datasets",
    "evaluate",
    "accelerate",
    "pyarrow",
    "sklearn",
    "scipy",
}


def room_of(path: Path) -> str:
    parts = path.relative_to(ROOT / "hfkit").with_suffix("").parts
    return parts[0]


def imports(tree: ast.AST) -> list[tuple[str, int, bool]]:
    """Every import as (module, line, at the top of the file)."""
    top = {id(node) for node in ast.iter_child_nodes(tree)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno, id(node) in top) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if module in ("hfkit", "hfkit.commands"):
                found += [(f"{module}.{a.name}", node.lineno, id(node) in top) for a in node.names]
            else:
                found.append((module, node.lineno, id(node) in top))
    return found


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_it_looks_at_something() -> None:
    assert len(FILES) > 40
    assert {room_of(path) for path in FILES} - {"__init__", "__main__"} <= set(ALLOWED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    room = room_of(path)
    if room in ("__init__", "__main__"):
        return
    for module, line, _ in imports(parsed(path)):
        place = f"{path.name}:{line} imports {module}"
        if module.startswith("hfkit."):
            target = module.split(".")[1]
            allowed = ALLOWED[room] | {room, "__version__", *EVERYWHERE}
            assert target in allowed, place
            if room == "commands":
                own = f"hfkit.commands.{path.stem}"
                assert not module.startswith("hfkit.commands.") or module == own, place
            if room == "tasks" and target == "tasks":
                assert module.split(".")[2] in ("base", "options", "collate"), place
        assert module.split(".")[0] not in FORBIDDEN.get(room, set()), place


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    lines = path.read_text("utf-8").count("\n")
    assert lines <= 400
    if path.parent.name == "tasks":
        assert lines <= 300
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} is too long"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, "a bare except hides bugs"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_command_line_and_reports_print(path: Path) -> None:
    if room_of(path) in ("cli", "reports"):
        return
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id != "print", f"line {node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_say_what_they_are(path: Path) -> None:
    if path.read_text("utf-8").strip():
        assert ast.get_docstring(parsed(path)), "no docstring"
    assert path.stem not in ("utils", "helpers", "common", "misc", "manager")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_heavy_packages_are_imported_where_they_are_used(path: Path) -> None:
    """Outside the rooms that compute, nothing heavy is imported at the top of a file."""
    if room_of(path) in ("train", "model", "infer") or path.parent.name == "metrics":
        return
    for module, line, at_top in imports(parsed(path)):
        if at_top:
            assert module.split(".")[0] not in HEAVY, f"line {line}"


LIGHT_COMMANDS = [
    ["--help"],
    [],
    ["finetune", "--help"],
    ["predict", "--help"],
    ["evaluate", "--help"],
    ["compare", "--help"],
    ["check", "--help"],
    ["convert", "--help"],
    ["bench", "--help"],
    ["export", "--help"],
    ["calibrate", "--help"],
    ["explain", "--help"],
    ["verify", "--help"],
    ["report", "--help"],
    ["audit", "--help"],
    ["tokenizer", "train", "--help"],
    ["score", "--help"],
    ["tasks"],
    ["recipes", "ls"],
    ["config", "schema"],
    ["config", "show"],
]


@pytest.mark.parametrize("arguments", LIGHT_COMMANDS, ids=lambda words: " ".join(words) or "alone")
def test_light_commands_import_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom hfkit.__main__ import command\n"
        f"sys.argv = ['hfkit', *{arguments!r}]\n"
        "code = command()\n"
        "heavy = {'torch', 'transformers', 'datasets', 'evaluate', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}, exit {code}' if heavy or code else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_one_loop() -> None:
    """One file holds the training loop, and nobody uses another."""
    callers = [path for path in FILES if ".backward(" in path.read_text("utf-8")]
    assert [path.name for path in callers] == ["loop.py"]
    stepping = [path for path in FILES if "optimizer.step(" in path.read_text("utf-8")]
    assert not stepping, "the loop alone steps, by its scaler"
    assert (ROOT / "hfkit/train/loop.py").read_text("utf-8").count("\n") < 400
