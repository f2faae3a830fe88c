"""Question answering through the command line: SQuAD files, long documents, a knowledge base."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from toys import FILLERS, TOPICS, read_jsonl, write_classifier

from hfkit.cli.app import run as command_line
from hfkit.errors import InputError

WEATHER = [word for word in TOPICS["weather"] if word not in ("warm", "cold")]
TOLD = [*FILLERS, *TOPICS["kitchen"]]


def squad_file(path: Path, count: int, seed: int, unanswerable: float = 0.35) -> Path:
    """The one word about the weather answers; where there is none, nothing does."""
    chance = random.Random(seed)
    paragraphs = []
    for number in range(count):
        words = chance.choices(TOLD, k=chance.randint(4, 12))
        answers = []
        if chance.random() >= unanswerable:
            place = chance.randrange(len(words))
            words.insert(place, chance.choice(WEATHER))
            start = len(" ".join([*words[:place], ""]))
            answers = [{"text": words[place], "answer_start": start}]
        question = {"id": str(number), "question": "the weather today?", "answers": answers}
        question["is_impossible"] = not answers
        paragraphs.append({"context": " ".join(words), "qas": [question]})
    data = {"version": "v2.0", "data": [{"title": "toys", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(data), "utf-8")
    return path


def questions(path: Path) -> list[dict[str, Any]]:
    paragraphs = json.loads(path.read_text("utf-8"))["data"][0]["paragraphs"]
    return [{"context": one["context"], **one["qas"][0]} for one in paragraphs]


def run_on(folder: Path, base: Path, unanswerable: float) -> Path:
    train = squad_file(folder / "train.json", 160, 0, unanswerable)
    validation = squad_file(folder / "validation.json", 60, 1, unanswerable)
    squad_file(folder / "test.json", 60, 2, unanswerable)
    out = folder / "run"
    arguments = [
        "finetune", train, "-m", base, "--validation", validation, "-o", out,
        "--epochs", 12, "--lr", "5e-3", "--max-length", 48, "--device", "cpu", "-q",
    ]  # fmt: skip
    assert command_line([str(argument) for argument in arguments]) == 0
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_base_folder: Path) -> Path:
    """A folder with a run that knows unanswerable questions, and its files."""
    return run_on(tmp_path_factory.mktemp("qa"), tiny_base_folder, 0.35)


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def test_it_learns_to_answer_and_when_not_to(trained: Path) -> None:
    metrics = json.loads((trained / "run" / "metrics.json").read_text())
    scores = metrics["scores"]["validation"]
    assert scores["values"]["f1"] > 0.8
    assert scores["values"]["no_answer_accuracy"] > 0.8
    assert scores["baseline"]["f1"] < 0.5
    decided = json.loads((trained / "run" / "decisions.json").read_text())["decisions"]
    assert decided["unanswerable"] is True
    assert decided["null_threshold_f1"] == pytest.approx(scores["values"]["best_f1"])


def test_transformers_loads_the_folder_and_finds_the_same(hfkit: Any, trained: Path) -> None:
    import torch
    from transformers import AutoModelForQuestionAnswering, AutoTokenizer

    code, out, err = hfkit("predict", trained / "run", trained / "test.json")
    assert code == 0, err
    found = [json.loads(line) for line in out.splitlines()]
    found.sort(key=lambda one: -one["prediction"]["score"])
    answered = [one for one in found if one["prediction"]["answer"]][:10]
    assert len(answered) == 10
    model = AutoModelForQuestionAnswering.from_pretrained(trained / "run").eval()
    tokenizer = AutoTokenizer.from_pretrained(trained / "run")
    for one in answered:
        batch = tokenizer(
            one["question"], one["context"], return_tensors="pt", return_offsets_mapping=True
        )
        places = batch.pop("offset_mapping")[0].tolist()
        with torch.no_grad():
            outputs = model(**batch)
        inside = torch.tensor([one == 1 for one in batch.sequence_ids(0)])
        first, last = (
            int(logits[0].masked_fill(~inside, -1e9).argmax())
            for logits in (outputs.start_logits, outputs.end_logits)
        )
        answer = one["prediction"]
        assert [places[first][0], places[last][1]] == [answer["start"], answer["end"]]


def test_answers_stand_where_they_say(hfkit: Any, trained: Path, tmp_path: Path) -> None:
    asked = questions(trained / "test.json")
    rows = [{"question": one["question"], "context": one["context"]} for one in asked]
    path, out = write_jsonl(tmp_path / "asked.jsonl", rows), tmp_path / "out.jsonl"
    code, _, err = hfkit("predict", trained / "run", path, "-o", out)
    assert code == 0, err
    found = read_jsonl(out)
    assert len(found) == len(rows)
    right = 0
    for record, one in zip(found, asked, strict=True):
        answer = record["prediction"]
        assert 0 <= answer["score"] <= 1
        if answer["answer"]:
            part = one["context"][answer["start"] : answer["end"]]
            assert part == answer["answer"]
        else:
            assert answer["start"] is answer["end"] is None
        right += answer["answer"] == (one["answers"][0]["text"] if one["answers"] else "")
    assert right > 0.8 * len(rows)


def test_the_threshold_can_be_moved(hfkit: Any, trained: Path, tmp_path: Path) -> None:
    rows = [{"question": one["question"], "context": one["context"]}
            for one in questions(trained / "test.json")]  # fmt: skip
    path = write_jsonl(tmp_path / "asked.jsonl", rows)
    given = {}
    for threshold in ("-1000", "1000"):
        code, out, err = hfkit("predict", trained / "run", path, "--null-threshold", threshold)
        assert code == 0, err
        given[threshold] = [json.loads(line)["prediction"] for line in out.splitlines()]
    assert not any(one["answer"] for one in given["-1000"])
    assert all(one["answer"] for one in given["1000"])


def test_several_answers(hfkit: Any, trained: Path) -> None:
    code, out, err = hfkit(
        "predict", trained / "run", "question=the weather?", "context=pan rain soup storm",
        "--top-k", 3, "--format", "jsonl",
    )  # fmt: skip
    assert code == 0, err
    prediction = json.loads(out)["prediction"]
    assert len(prediction["answers"]) == 3
    assert {one["answer"] for one in prediction["answers"]} >= {"rain", "storm"}


def test_an_answer_at_the_end_of_a_long_document(hfkit: Any, trained: Path, tmp_path: Path) -> None:
    chance = random.Random(4)
    words = chance.choices(TOLD, k=14_000)
    context = " ".join(words)[:60_000].rsplit(" ", 1)[0] + " storm"
    assert len(context) > 59_900
    row = {"question": "the weather today?", "context": context}
    path = write_jsonl(tmp_path / "long.jsonl", [row])
    code, out, err = hfkit("predict", trained / "run", path, "--only-prediction")
    assert code == 0, err
    assert "cut" not in err
    answer = json.loads(out)["prediction"]
    assert (answer["answer"], answer["end"]) == ("storm", len(context))


def test_the_same_scores_from_the_model_and_from_its_predictions(
    hfkit: Any, trained: Path, tmp_path: Path
) -> None:
    data, out = trained / "test.json", tmp_path / "predictions.jsonl"
    code, scores, err = hfkit("evaluate", trained / "run", data, "--json")
    assert code == 0, err
    from_model = json.loads(scores)["values"]
    assert from_model["f1"] > 0.7
    code, _, err = hfkit("predict", trained / "run", data, "--scores", "-o", out)
    assert code == 0, err
    code, scores, err = hfkit("evaluate", out, data, "--json")
    assert code == 0, err
    assert json.loads(scores)["values"] == pytest.approx(from_model)


# ---- a knowledge base


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("handbook")
    chance = random.Random(6)
    for number, name in enumerate(["north", "south", "east", "west"]):
        words = [*chance.choices(TOLD, k=300), name, WEATHER[number], *chance.choices(TOLD, k=40)]
        (folder / f"{name}.txt").write_text(" ".join(words), "utf-8")
    return folder


def test_questions_are_answered_from_documents(
    hfkit: Any, trained: Path, handbook: Path, tmp_path: Path
) -> None:
    rows = [{"question": f"the weather in the {name}?"} for name in ("south", "west", "north")]
    path = write_jsonl(tmp_path / "asked.jsonl", rows)
    code, out, err = hfkit(
        "predict", trained / "run", path, "--documents", handbook, "--passages", 1,
        "--null-threshold", 99,
    )  # fmt: skip
    assert code == 0, err
    assert "documents 4, passages 8; bm25 finds 1 of them for each question" in err
    for line, name in zip(out.splitlines(), ("south", "west", "north"), strict=True):
        answer = json.loads(line)["prediction"]
        assert answer["document"] == f"{name}.txt"
        text = (handbook / f"{name}.txt").read_text("utf-8")
        assert text[answer["start"] : answer["end"]] == answer["answer"]
        assert answer["answer"] in WEATHER


def test_a_question_typed_and_from_python(hfkit: Any, trained: Path, handbook: Path) -> None:
    code, out, err = hfkit(
        "predict", trained / "run", "south weather", "--documents", handbook, "--format", "jsonl"
    )
    assert code == 0, err
    typed = json.loads(out)["prediction"]
    named = hfkit(
        "predict", trained / "run", "question=south weather", "--documents", handbook,
        "--format", "jsonl",
    )  # fmt: skip
    assert json.loads(named[1]) == {"question": "south weather", "prediction": typed}
    import hfkit as package

    model = package.load(str(trained / "run"), documents=str(handbook))
    (answer,) = model.predict([{"question": "south weather"}])
    assert answer["document"] == typed["document"]
    assert answer["score"] == pytest.approx(typed["score"])


def test_documents_found_by_vectors(
    hfkit: Any, trained: Path, handbook: Path, tiny_base_folder: Path
) -> None:
    code, out, err = hfkit(
        "predict", trained / "run", "rain storm", "--documents", handbook,
        "--retriever", tiny_base_folder, "--format", "jsonl",
    )  # fmt: skip
    assert code == 0, err
    assert set(json.loads(out)["prediction"]) == {"answer", "start", "end", "score", "document"}


def test_documents_that_cannot_be_used(hfkit: Any, trained: Path, tmp_path: Path) -> None:
    code, _, err = hfkit("predict", trained / "run", "x", "--documents", tmp_path / "none")
    assert code == InputError.exit_code
    assert err.count("\n") == 1
    assert "none" in err
    classifier = write_classifier(tmp_path / "classifier")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("a text", "utf-8")
    code, _, err = hfkit("predict", classifier, "x", "--documents", tmp_path / "docs")
    assert code == InputError.exit_code
    assert "documents are for question answering; add -t qa" in err


@pytest.mark.parametrize("given", ["south weather", "question=south weather"])
def test_a_question_alone_is_asked_for_its_context(hfkit: Any, trained: Path, given: str) -> None:
    code, _, err = hfkit("predict", trained / "run", given)
    assert code == InputError.exit_code
    assert err.endswith(
        'this model reads question and context; give question="…" context="…", or the documents to '
        "look in with --documents\n"
    )


# ---- data


def test_answers_out_of_place_are_mended_and_counted(
    hfkit: Any, trained: Path, tiny_base_folder: Path, tmp_path: Path
) -> None:
    data = json.loads((trained / "train.json").read_text("utf-8"))
    asked = [one["qas"][0] for one in data["data"][0]["paragraphs"]]
    answered = [one for one in asked if one["answers"]]
    answered[0]["answers"][0]["answer_start"] += 1
    answered[1]["answers"][0]["answer_start"] = -1
    path = tmp_path / "shifted.json"
    path.write_text(json.dumps(data), "utf-8")
    code, _, err = hfkit("finetune", path, "-m", tiny_base_folder, "--dry-run")
    assert code == 0, err
    assert "found by searching: 2" in err


def test_a_model_that_never_saw_an_unanswerable_question(
    hfkit: Any, tiny_base_folder: Path, tmp_path: Path
) -> None:
    folder = run_on(tmp_path, tiny_base_folder, 0.0)
    decided = json.loads((folder / "run" / "decisions.json").read_text())["decisions"]
    assert decided == {"unanswerable": False, "max_answer_length": 30}
    code, out, err = hfkit(
        "predict", folder / "run", "question=the weather?", "context=pan soup", "--format", "jsonl"
    )
    assert code == 0, err
    assert json.loads(out)["prediction"]["answer"]


def test_a_table_shows_answers_and_their_documents(
    hfkit: Any, trained: Path, handbook: Path, tmp_path: Path
) -> None:
    path = write_jsonl(tmp_path / "asked.jsonl", [{"question": "south"}, {"question": "???"}])
    code, out, err = hfkit(
        "predict", trained / "run", path, "--documents", handbook, "--format", "table",
        "--null-threshold", 99,
    )  # fmt: skip
    assert code == 0, err
    first, second = out.splitlines()
    assert "south.txt" in first
    assert any(word in first for word in WEATHER)
    assert second.startswith("(none)  1.00")
