"""Prediction as a Unix filter: every row, in order, through files and pipes."""

from __future__ import annotations

import csv
import json
import os
import random
import subprocess
import sys
import time

import pytest

from hfkit.commands.predict import predictions, write_predictions
from hfkit.config import PredictConfig
from hfkit.errors import InputError

WORDS = ["rain", "sun", "cloud", "pan", "oven", "knife", "drum", "song", "choir", "the", "my"]
COMMAND = [sys.executable, "-m", "hfkit", "predict"]


def text(chance, most=12):
    return " ".join(chance.choices(WORDS, k=chance.randint(1, most)))


def texts(count, seed=0):
    chance = random.Random(seed)
    return [text(chance) for _ in range(count)]


def write_jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def answers(model, *inputs, **settings):
    return list(predictions(PredictConfig(model=str(model), inputs=list(inputs), **settings)))


def written(model, path, *inputs, **settings):
    config = PredictConfig(model=str(model), inputs=list(inputs), output=str(path), **settings)
    return write_predictions(config)


@pytest.fixture
def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def test_a_text_is_answered(tiny_classifier_folder):
    [found] = answers(tiny_classifier_folder, "rain and sun")
    assert list(found) == ["text", "prediction"]
    assert found["prediction"]["label"] in ("kitchen", "music", "weather")
    assert 1 / 3 <= found["prediction"]["score"] <= 1
    assert "scores" not in found["prediction"]


def test_all_scores_sum_to_one(tiny_classifier_folder):
    [found] = answers(tiny_classifier_folder, "rain and sun", scores=True)
    scores = found["prediction"]["scores"]
    assert set(scores) == {"kitchen", "music", "weather"}
    assert sum(scores.values()) == pytest.approx(1, abs=1e-5)


def test_pairs_of_column_and_value_are_one_row(tiny_classifier_folder):
    [found] = answers(tiny_classifier_folder, "text=a = b", "id=7")
    assert found["text"] == "a = b" and found["id"] == "7" and "prediction" in found


def test_three_thousand_rows_of_which_thirty_are_bad(tiny_classifier_folder, tmp_path):
    rows = [{"id": number, "text": text} for number, text in enumerate(texts(3000))]
    lines = [json.dumps(row) for row in rows]
    bad = list(range(7, 3000, 100))
    for turn, number in enumerate(bad):
        lines[number] = [
            '{"id": 1, "text": ',
            json.dumps({"id": number, "text": ""}),
            json.dumps({"id": number, "text": None}),
            json.dumps({"id": number, "other": "x"}),
            "[1, 2]",
        ][turn % 5]
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join(lines) + "\n", "utf-8")
    out = tmp_path / "out.jsonl"
    counts = written(tiny_classifier_folder, out, str(source))
    assert (counts.rows, counts.errors) == (3000, 30)
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert len(found) == 3000
    for number, record in enumerate(found):
        if number in bad:
            assert record["row"] == number + 1 and record["error"]
            assert "prediction" not in record
        else:
            assert record["id"] == number and record["text"] == rows[number]["text"]
            assert record["prediction"]["label"] and "error" not in record


def test_the_batch_size_does_not_show(tiny_classifier_folder, tmp_path):
    chance = random.Random(1)
    rows = [{"text": text(chance, 60)} for _ in range(200)]
    source = write_jsonl(tmp_path / "in.jsonl", rows)
    found = {
        size: answers(tiny_classifier_folder, source, batch_size=size, scores=True)
        for size in (1, 8, 64)
    }
    for size in (8, 64):
        for one, other in zip(found[1], found[size], strict=True):
            assert one["text"] == other["text"]
            assert one["prediction"]["label"] == other["prediction"]["label"]
            for label, score in one["prediction"]["scores"].items():
                assert other["prediction"]["scores"][label] == pytest.approx(score, abs=1e-5)


def test_csv_in_gives_csv_out(tiny_classifier_folder, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text('id,text\n1,"rain, sun"\n2,pan\n', "utf-8")
    out = tmp_path / "out.csv"
    assert written(tiny_classifier_folder, out, str(source)).errors == 0
    with out.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream, strict=True))
    assert [row["text"] for row in found] == ["rain, sun", "pan"]
    assert all(row["prediction.label"] and row["error"] == "" for row in found)
    other = tmp_path / "other"
    written(tiny_classifier_folder, other, str(source))
    assert other.read_bytes() == out.read_bytes()


def test_the_output_is_not_overwritten_unasked(tiny_classifier_folder, tmp_path):
    out = tmp_path / "out.jsonl"
    out.write_text("old")
    with pytest.raises(InputError, match="exists"):
        written(tiny_classifier_folder, out, "a text")
    written(tiny_classifier_folder, out, "a text", overwrite=True)
    assert json.loads(out.read_text())["text"] == "a text"


def test_a_field_in_the_way_is_refused_and_the_prefix_is_the_way_out(
    tiny_classifier_folder, tmp_path
):
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "rain", "prediction": 1}])
    with pytest.raises(InputError) as caught:
        answers(tiny_classifier_folder, source)
    assert "--prefix" in str(caught.value) and caught.value.place.endswith("in.jsonl:1")
    [found] = answers(tiny_classifier_folder, source, prefix="hf_")
    assert found["prediction"] == 1 and found["hf_prediction"]["label"]
    [found] = answers(tiny_classifier_folder, source, only_prediction=True)
    assert list(found) == ["prediction"]


def test_an_odd_row_in_the_middle_ends_nothing(tiny_classifier_folder, tmp_path):
    rows = [{"text": f"rain {n}"} for n in range(40)]
    rows[30] = {"text": "sun", "prediction": 1}
    records = answers(tiny_classifier_folder, str(write_jsonl(tmp_path / "in.jsonl", rows)))
    assert len(records) == 40
    assert records[30]["row"] == 31
    assert 'has a field "prediction" already' in records[30]["error"]
    rows[30] = {"text": "sun", "more": 1}
    output = tmp_path / "out.csv"
    settings = {"inputs": [str(write_jsonl(tmp_path / "in.jsonl", rows))], "output": str(output)}
    done = write_predictions(PredictConfig(model=str(tiny_classifier_folder), **settings))
    with output.open(newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert (len(lines), done.rows, done.errors) == (40, 40, 1)
    assert lines[30]["error"].startswith('field "more" is not in the first row')


def test_a_long_text_is_no_file_and_one_pair_is_a_row(tiny_classifier_folder):
    (answer,) = answers(tiny_classifier_folder, "word " * 300)
    assert "prediction" in answer
    (answer,) = answers(tiny_classifier_folder, "text=rain")
    assert answer["text"] == "rain"


@pytest.mark.parametrize("name", ["no.csv", "./no", "data/no.txt"])
def test_a_mistyped_file_is_not_answered_as_a_text(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no such file") as caught:
        answers("model", name)
    assert "--text" in str(caught.value)


def test_what_looks_like_a_file_can_be_a_text(tiny_classifier_folder):
    [found] = answers(tiny_classifier_folder, "no.csv", text=True)
    assert found["text"] == "no.csv"


def test_a_text_with_a_slash_is_a_text(tiny_classifier_folder):
    for given in ("rain and/or sun", "好/坏"):
        assert answers(tiny_classifier_folder, given)[0]["text"] == given


def test_several_inputs_that_are_no_pairs_are_refused():
    with pytest.raises(InputError, match="3 inputs"):
        answers("model", "I", "love", "it")


def test_a_wrong_column_is_found_before_the_model_is_loaded(
    tiny_classifier_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "hfkit.run.predicting.make_predictor", lambda *_: pytest.fail("the model was loaded")
    )
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": "rain"}])
    with pytest.raises(InputError, match="bodi"):
        answers(tiny_classifier_folder, source, text_column="bodi")


def test_a_text_longer_than_the_model_reads_is_answered(tiny_classifier_folder, tmp_path):
    long = " ".join(["rain"] * 5000)
    [found] = answers(tiny_classifier_folder, long)
    assert "truncated" not in found["prediction"]
    [found] = answers(tiny_classifier_folder, long, options={"on_long": "truncate"})
    assert found["prediction"]["truncated"] is True


def test_stdin_on_a_terminal_is_no_input(monkeypatch):
    class Terminal:
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stdin", Terminal())
    with pytest.raises(InputError, match="nothing to predict"):
        answers("model")


# From here on the real command line, in a process of its own.


def run(environment, *arguments, **options):
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        env=environment,
        capture_output=True,
        timeout=120,
        **options,
    )


def test_head_ends_it_silently(tiny_classifier_folder, tmp_path, environment):
    source = write_jsonl(tmp_path / "in.jsonl", [{"text": text * 5} for text in texts(20_000)])
    process = subprocess.Popen(
        [*COMMAND, str(tiny_classifier_folder), source, "-q"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert json.loads(process.stdout.readline())["prediction"]
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 141


def test_head_ends_it_silently_while_stdin_stays_open(tiny_classifier_folder, environment):
    process = subprocess.Popen(
        [*COMMAND, str(tiny_classifier_folder), "-q"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        process.stdin.write(b"rain\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["text"] == "rain"
        process.stdout.close()
        process.stdin.write(b"sun\n")
        process.stdin.flush()
        assert process.wait(60) == 141
        assert process.stderr.read() == b""


def test_each_line_of_a_pipe_is_answered_when_it_pauses(tiny_classifier_folder, environment):
    process = subprocess.Popen(
        [*COMMAND, str(tiny_classifier_folder)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        for number, line in enumerate(texts(4)):
            started = time.monotonic()
            process.stdin.write(line.encode() + b"\n")
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["text"] == line
            if number:  # the first waits for the model
                assert time.monotonic() - started < 1.5
        process.stdin.close()
        assert process.wait(30) == 0


def test_a_pipe_gives_what_a_file_gives(tiny_classifier_folder, tmp_path, environment):
    source = tmp_path / "in.jsonl"
    write_jsonl(source, [{"text": text} for text in texts(500)])
    from_file = run(environment, tiny_classifier_folder, source)
    piped = run(environment, tiny_classifier_folder, input=source.read_bytes())
    assert from_file.returncode == piped.returncode == 0
    one = [json.loads(line) for line in from_file.stdout.splitlines()]
    other = [json.loads(line) for line in piped.stdout.splitlines()]
    assert len(one) == 500
    for first, second in zip(one, other, strict=True):
        assert first["prediction"]["label"] == second["prediction"]["label"]
        score = first["prediction"]["score"]
        assert second["prediction"]["score"] == pytest.approx(score, abs=1e-5)


def test_bad_rows_end_with_exit_code_one(tiny_classifier_folder, environment):
    done = run(environment, tiny_classifier_folder, input=b'{"text": "rain"}\n{"text": ""}\n')
    assert done.returncode == 1
    first, second = map(json.loads, done.stdout.splitlines())
    assert "prediction" in first and second["row"] == 2 and second["error"]
    assert b"<stdin>:2: " in done.stderr and b"Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")  # noqa: PTH110
def test_a_full_device_ends_with_exit_code_four(tiny_classifier_folder, environment):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            [*COMMAND, str(tiny_classifier_folder), "rain", "-q"],
            env=environment, stdout=full, stderr=subprocess.PIPE, timeout=120,
        )  # fmt: skip
    assert done.returncode == 4
    assert done.stderr.count(b"\n") == 1 and b"no space left" in done.stderr


def test_a_closed_standard_output_ends_with_exit_code_four(tiny_classifier_folder, environment):
    line = f"exec {sys.executable} -m hfkit predict {tiny_classifier_folder} rain -q >&-"
    done = subprocess.run(["sh", "-c", line], env=environment, stderr=subprocess.PIPE, timeout=120)
    assert done.returncode == 4
    assert done.stderr.count(b"\n") == 1 and b"closed" in done.stderr


@pytest.mark.parametrize("pipe", [False, True])
def test_an_empty_stdin_is_said_and_no_model_is_loaded(tiny_classifier_folder, environment, pipe):
    program = (
        "import sys, time; time.sleep(0.2); from hfkit.cli.app import run; "
        "code = run(sys.argv[1:]); assert 'hfkit.model.load' not in sys.modules; sys.exit(code)"
    )
    given = {"input": b""} if pipe else {"stdin": subprocess.DEVNULL}
    arguments = [sys.executable, "-c", program, "predict", tiny_classifier_folder]
    done = subprocess.run(arguments, env=environment, capture_output=True, check=False, **given)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert b"stdin is empty" in done.stderr and b"read as" not in done.stderr


def test_nothing_in_gives_nothing_out(tiny_classifier_folder, environment):
    done = run(environment, tiny_classifier_folder, input=b"")
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
