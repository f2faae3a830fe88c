"""What a command says to try next, and what is said of a command that there is not."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import typer.main
from toys import toy_rows

from hfkit.cli import following
from hfkit.cli.app import app, run
from hfkit.cli.wording import OTHER_WORDS
from hfkit.config import (
    ConvertConfig,
    EmbedConfig,
    EvaluateConfig,
    ExportConfig,
    PredictConfig,
    TokenizerConfig,
)
from hfkit.layers import resolve


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a run", "a model"):
        (tmp_path / name).mkdir()
    (tmp_path / "a run" / "hfkit.yaml").touch()
    (tmp_path / "test.csv").write_text("text,label\na,b\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def suggestion(config_class, **given) -> str:
    after = {
        ConvertConfig: following.after_convert,
        EmbedConfig: following.after_embed,
        EvaluateConfig: following.after_evaluate,
        ExportConfig: following.after_export,
        PredictConfig: following.after_predict,
        TokenizerConfig: following.after_tokenizer,
    }
    return after[config_class](resolve(config_class, given))


SUGGESTED = [
    (EvaluateConfig, {"model": "a run", "data": "test.csv"},
     "hfkit report 'a run' test.csv"),
    (EvaluateConfig, {"model": "a run", "data": "test.csv", "no_header": True,
                      "columns": ["text", "label"], "label_column": "label"},
     "hfkit report 'a run' test.csv --no-header --columns text,label --label-column label"),
    (EvaluateConfig, {"model": "a model", "data": "test.csv"},
     "hfkit predict 'a model' test.csv --scores -o answers.jsonl"),
    (PredictConfig, {"model": "a run", "inputs": ["test.csv"], "output": "answers.jsonl"},
     "hfkit evaluate answers.jsonl test.csv  # if the right answers are in it"),
    (EmbedConfig, {"model": "minilm", "output": "v.npy"}, 'hfkit search minilm v.npy "some text"'),
    (ExportConfig, {"model": "a run"}, "hfkit bench 'a run'  # how fast it answers now"),
    (ConvertConfig, {"input": "a.conll", "output": "a.jsonl"}, "hfkit finetune a.jsonl --dry-run"),
    (TokenizerConfig, {"files": ["corpus.txt"], "output": "pieces"},
     "hfkit finetune corpus.txt -t mlm --config-size small --tokenizer pieces"),
]  # fmt: skip


@pytest.mark.parametrize(("config_class", "given", "expected"), SUGGESTED)
def test_the_next_command(config_class, given, expected, folder) -> None:
    assert suggestion(config_class, **given) == expected


@pytest.mark.parametrize(
    "expected", [*(text for *_, text in SUGGESTED), "hfkit finetune -c a.yaml"]
)
def test_the_next_command_is_one(expected: str) -> None:
    """Its flags exist and its words have a place."""
    _, verb, *words = shlex.split(expected, comments=True)
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]
    with command.make_context(verb, words) as context:
        given = dict(context.params)
        places = given.pop("arguments") or []
        command.verb.place(places, {name: value for name, value in given.items() if value})


@pytest.mark.parametrize(
    ("config_class", "given"),
    [
        (EvaluateConfig, {"model": "answers.jsonl", "data": "test.csv"}),
        (EvaluateConfig, {"model": "a run"}),
        (PredictConfig, {"model": "a run", "inputs": ["test.csv"]}),
        (PredictConfig, {"model": "a run", "inputs": ["a text"], "output": "answers.jsonl"}),
        (PredictConfig, {"model": "r", "inputs": ["test.csv"], "output": "a.csv", "prefix": "p_"}),
        (EmbedConfig, {"model": "minilm"}),
        (ConvertConfig, {"input": "a.conll"}),
    ],
)
def test_where_there_is_no_next_command(config_class, given, folder) -> None:
    assert suggestion(config_class, **given) == ""


def test_a_report_is_suggested_where_one_can_be_written(folder, monkeypatch) -> None:
    given = {"model": "a run", "data": "test.csv"}
    answers = "hfkit predict 'a run' test.csv --scores -o answers.jsonl"
    with monkeypatch.context() as patch:
        patch.setattr(following, "find_spec", lambda name: None)
        assert suggestion(EvaluateConfig, **given) == answers
    (folder / "a run" / "report.html").touch()
    assert suggestion(EvaluateConfig, **given) == answers


def test_what_is_suggested_after_an_evaluation_runs(
    tiny_base_folder, toy_files, tmp_path, monkeypatch, capsys
) -> None:
    """As it is printed, on a file that is not read without its flags."""
    monkeypatch.setattr(following, "is_terminal", lambda stream: True)
    model = tmp_path / "a run"
    small = ["--max-steps", "1", "--max-length", "16", "--device", "cpu"]
    train = ["finetune", str(toy_files["train"]), "-m", str(tiny_base_folder), "-o", str(model)]
    assert run([*train, *small]) == 0
    data = tmp_path / "rows.txt"
    data.write_text("".join(f"{row['label']};{row['text']}\n" for row in toy_rows(20, seed=3)))
    flags = ["--no-header", "--delimiter", ";", "--columns", "kind,said", "--input-format", "csv",
             "--text-column", "said", "--label-column", "kind"]  # fmt: skip
    assert run(["evaluate", str(model), str(data), "--device", "cpu", *flags]) == 0
    said = capsys.readouterr().err.splitlines()[-1].removeprefix("hfkit: next: ")
    program, *words = shlex.split(said)
    assert program == "hfkit" and words[0] == "report"
    assert run([*words, "--device", "cpu"]) == 0
    assert (model / "report.html").is_file()


def converted(folder: Path, *flags: str) -> int:
    return run(["convert", str(folder / "test.csv"), "-o", str(folder / "a.jsonl"), *flags])


def test_it_is_said_to_a_person(folder, monkeypatch, capsys) -> None:
    monkeypatch.setattr(following, "is_terminal", lambda stream: True)
    assert converted(folder) == 0
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == f"hfkit: next: hfkit finetune {folder / 'a.jsonl'} --dry-run"
    assert converted(folder, "--overwrite", "-q") == 0
    assert capsys.readouterr().err == ""


def test_it_is_not_said_in_a_script(folder, capsys) -> None:
    assert converted(folder) == 0
    assert "next" not in capsys.readouterr().err


@pytest.mark.parametrize("word", OTHER_WORDS)
def test_other_words_for_a_command(word: str, capsys) -> None:
    """Each leads to a command, or a flag, that exists; no command is shadowed."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    first = OTHER_WORDS[word].split()[0]
    assert word not in commands and (first in commands or first in ("--help", "--version"))
    assert run([word, "a.csv"]) == 2
    expected = f"hfkit: error: no such command '{word}'; as: hfkit {OTHER_WORDS[word]}\n"
    assert capsys.readouterr().err == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["evalute"], "no such command 'evalute'; did you mean 'evaluate'?"),
        (["xyzzy"], "no such command 'xyzzy'; hfkit --help lists the commands"),
        (["recipes", "xyzzy"], "no such command 'xyzzy'; hfkit recipes --help lists the commands"),
        (["recipes", "train"], "no such command 'train'; hfkit recipes --help lists the commands"),
    ],
)
def test_a_command_that_there_is_not(arguments, expected, capsys) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err == f"hfkit: error: {expected}\n"


@pytest.mark.parametrize(
    ("split", "train", "last"),
    [
        ("validation", "data/people.conll", "hfkit evaluate out test.conll"),
        ("validation", None, "hfkit evaluate out test.csv"),
        ("test", "a.csv", "hfkit report out"),  # its scores on them were just printed
    ],
)
def test_after_a_training_comes_what_was_not_done(split, train, last, capsys) -> None:
    following.say_trained("out", "ner", split, train)
    assert capsys.readouterr().err.splitlines()[-1] == f"hfkit: next: {last}"
