"""Zero-shot through a server, which is a small one on this machine."""

from __future__ import annotations

import json
import time

import pytest

from hfkit.cli.app import run
from hfkit.errors import InputError, NetworkError, RowError
from hfkit.infer import server as client
from hfkit.infer.endpoint import EndpointPredictor
from hfkit.infer.server import endpoint_url
from hfkit.infer.stream import Readable, predict_stream
from hfkit.registry import make_task

KEY = "sk-secret-0123456789"
LABELS = ["sports", "world politics"]


def by_word(body):
    """Sports for a text about a goal."""
    text = body["messages"][-1]["content"]
    return json.dumps({"label": "sports" if "goal" in text else "world politics"})


@pytest.fixture
def server(served):
    served.reply = by_word
    return served


def predictor(server, **options):
    task = make_task("zero-shot", {"labels": ",".join(LABELS), **options})
    return EndpointPredictor(task, "tiny", server.url)


def rows(*texts):
    return [{"text": text} for text in texts]


def test_the_labels_constrain_the_answer(server) -> None:
    answers = predictor(server).predict(rows("a late goal", "an election"))
    assert answers == [{"label": "sports"}, {"label": "world politics"}]
    path, body, headers = server.requests[0]
    assert path == "/v1/chat/completions"
    assert body["model"] == "tiny" and body["temperature"] == 0
    schema = body["response_format"]["json_schema"]
    assert schema["strict"] and schema["schema"]["properties"]["label"]["enum"] == LABELS
    assert all(label in body["messages"][0]["content"] for label in LABELS)
    assert "Authorization" not in headers


def test_descriptions_are_told_and_labels_answered(server, tmp_path) -> None:
    path = tmp_path / "labels.txt"
    path.write_text("A\tabout a game\nB\n")
    server.reply = lambda body: '{"label": "A"}'
    task = make_task("zero-shot", {"labels_file": str(path)})
    assert EndpointPredictor(task, "tiny", server.url).predict(rows("x")) == [{"label": "A"}]
    assert '{"A": "about a game"}' in server.requests[0][1]["messages"][0]["content"]


def test_several_labels(server) -> None:
    server.reply = lambda body: '{"labels": ["world politics", "sports", "sports"]}'
    answers = predictor(server, multi_label=True).predict(rows("x"))
    assert answers == [{"labels": LABELS}]
    enum = server.requests[0][1]["response_format"]["json_schema"]["schema"]
    assert enum["properties"]["labels"]["items"]["enum"] == LABELS
    server.reply = lambda body: '{"labels": []}'
    assert predictor(server, multi_label=True).predict(rows("x")) == [{"labels": []}]


def test_each_row_may_have_labels_of_its_own(server) -> None:
    server.reply = lambda body: json.dumps({"label": "c"})
    task = make_task("zero-shot", {})
    found = EndpointPredictor(task, "tiny", server.url).predict(
        [{"text": "x", "candidates": ["b", "c"]}]
    )
    assert found == [{"label": "c"}]


def test_order_and_bounded_haste(server) -> None:
    def slow(body):
        number = int(body["messages"][-1]["content"])
        time.sleep(0.002 * (number % 5))
        return json.dumps({"label": LABELS[number % 2]})

    server.reply = slow
    answers = predictor(server).predict(rows(*map(str, range(60))))
    assert [answer["label"] for answer in answers] == [LABELS[n % 2] for n in range(60)]
    assert 1 < server.most_busy <= client.AT_ONCE


def test_a_server_without_schemas_is_told_of_once(server, caplog) -> None:
    server.schemas = False
    server.reply = lambda body: "Sports."
    ready = predictor(server)
    assert ready.predict(rows(*"abcdefghijkl")) == [{"label": "sports"}] * 12
    assert caplog.text.count("takes no schema") == 1
    before = len(server.requests)
    ready.predict(rows("m"))
    assert len(server.requests) == before + 1 and "response_format" not in server.requests[-1][1]


@pytest.mark.parametrize(
    ("reply", "label"),
    [
        ('{"label": "sports"}', "sports"),
        ('```json\n{"label": "sports"}\n```', "sports"),
        ("sports", "sports"),
        ('"World Politics"', "world politics"),
        (" SPORTS.\n", "sports"),
        ("I think it is sports", None),
        ('{"label": "art"}', None),
        ('{"answer": "sports"}', None),
        ('{"label": ["sports"]}', None),
        ("", None),
        ("sport", None),
        ("[" * 5000, None),
    ],
)
def test_a_reply_is_a_label_or_an_error(server, reply, label) -> None:
    server.reply = lambda body: reply
    [found] = predictor(server).attempt(rows("x"))
    if label is None:
        assert isinstance(found, str) and found.startswith("the reply is no label")
        assert "\n" not in found and len(found) < 120
    else:
        assert found == {"label": label}


def test_a_row_without_an_answer_does_not_stop_the_others(server) -> None:
    def odd(body):
        return "no idea" if "odd" in body["messages"][-1]["content"] else by_word(body)

    server.reply = odd
    ready = predictor(server)
    given = [Readable(None, row) for row in rows("a goal", "odd", "a vote", "odd", "a goal")]
    results = [result for window in predict_stream(given, ready) for result in window]
    assert [result.answer and result.answer["label"] for result in results] == [
        "sports", None, "world politics", None, "sports",
    ]  # fmt: skip
    assert "no label" in results[1].error
    assert len(server.requests) == 5  # nothing is asked twice
    with pytest.raises(RowError) as caught:
        ready.predict(rows("a goal", "odd"))
    assert caught.value.row == 1


def test_a_text_that_is_refused_is_an_error_of_its_row(server, caplog) -> None:
    def picky(body):
        long = len(body["messages"][-1]["content"]) > 100
        return (400, {"error": {"message": "context length exceeded"}}, {}) if long else "sports"

    server.reply = picky
    found = predictor(server).attempt(rows("short", "long " * 50))
    assert found[0] == {"label": "sports"} and "context length exceeded" in found[1]
    assert "takes no schema" not in caplog.text


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, status) -> None:
    failures = [(status, {"error": "later"}, {"Retry-After": "0"})] * 2

    def busy(body):
        return failures.pop() if failures else by_word(body)

    server.reply = busy
    assert predictor(server).predict(rows("a goal")) == [{"label": "sports"}]
    assert len(server.requests) == 3


def test_a_server_that_goes_on_failing_ends_it(server) -> None:
    server.reply = lambda body: (503, {"error": {"message": "over capacity"}}, {})
    with pytest.raises(NetworkError, match=r"does not answer \(503: over capacity\)") as caught:
        predictor(server).predict(rows(*"abcdefghijklmnopqrst"))
    assert caught.value.exit_code == 7


def test_a_slow_server_is_given_up(server, monkeypatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.05)
    monkeypatch.setattr(client, "ATTEMPTS", 2)
    server.reply = lambda body: time.sleep(0.3) or "sports"
    with pytest.raises(NetworkError, match="timed out"):
        predictor(server).predict(rows("x"))


def test_a_reply_that_trickles_in_is_given_up(monkeypatch) -> None:
    class Trickle:
        def read1(self, size):
            time.sleep(0.01)  # each byte well within the time that one may take
            return b" "

    monkeypatch.setattr(client, "TIMEOUT", 0.1)
    with pytest.raises(TimeoutError, match="does not end"):
        client._read(Trickle())


def test_nobody_there_is_said_at_once(server) -> None:
    ready = predictor(server)
    server.server.server_close()
    server.server.shutdown()
    before = time.monotonic()
    with pytest.raises(NetworkError, match="refused"):
        ready.predict(rows("x"))
    assert time.monotonic() - before < 5


def test_a_wrong_path_or_model_is_said(server) -> None:
    server.reply = lambda body: (404, {"error": {"message": "The model tiny does not exist"}}, {})
    with pytest.raises(NetworkError, match=r"model tiny does not exist.*name of the model"):
        predictor(server).predict(rows("x"))


def test_the_key_goes_to_this_server_and_into_no_message(server, monkeypatch, caplog) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    monkeypatch.setenv("HFKIT_API_KEY", KEY)
    with caplog.at_level("DEBUG"):
        predictor(server).predict(rows("x"))
        assert server.requests[0][2]["Authorization"] == f"Bearer {KEY}"
        server.reply = lambda body: (401, {"error": {"message": f"wrong key {KEY}"}}, {})
        with pytest.raises(
            NetworkError, match=r"refused the key \(401: wrong key \*\*\*\)"
        ) as found:
            predictor(server).predict(rows("x"))
        server.reply = lambda body: f"your key is {KEY}"
        [answer] = predictor(server).attempt(rows("x"))
    assert KEY not in str(found.value) + caplog.text + str(answer)
    assert "HFKIT_API_KEY" in found.value.hint


def test_a_redirect_is_not_followed(server, monkeypatch) -> None:
    monkeypatch.setenv("HFKIT_API_KEY", KEY)
    server.reply = lambda body: (307, {}, {"Location": f"{server.url}/elsewhere"})
    with pytest.raises(NetworkError, match="nothing there"):
        predictor(server).predict(rows("x"))
    assert len(server.requests) == 1


def test_a_proxy_is_not_asked_for_what_is_here(server, monkeypatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert predictor(server).predict(rows("a goal")) == [{"label": "sports"}]


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"choices": []}', b'{"choices": [{}]}'])
def test_what_is_no_reply_is_an_error_of_the_row(server, body) -> None:
    server.reply = lambda _: (200, body, {})
    [found] = predictor(server).attempt(rows("x"))
    assert found == "the reply holds no text"


def test_where_requests_go() -> None:
    chat = "/v1/chat/completions"
    for url, wanted in {
        "http://localhost:8000": f"http://localhost:8000{chat}",
        "http://[::1]:80/v1/": f"http://[::1]:80{chat}",
        "https://a.example/v1": f"https://a.example{chat}",
        "https://a.example/api": f"https://a.example/api{chat}",
        f"https://a.example{chat}": f"https://a.example{chat}",
    }.items():
        assert endpoint_url(url)[0] == wanted
    assert endpoint_url("http://127.8.9.1")[1] and not endpoint_url("http://localhost.example")[1]


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://a.example", "https://", "https://u:p@a.example", "http://a:b",
     "https://a.example?key=1", "file:///etc/passwd"],
)  # fmt: skip
def test_urls_that_are_none(url) -> None:
    with pytest.raises(InputError, match="--endpoint"):
        endpoint_url(url)


def test_offline_stays_on_this_machine(server) -> None:
    task = make_task("zero-shot", {"labels": "a,b"})
    assert EndpointPredictor(task, "tiny", server.url, offline=True)
    with pytest.raises(InputError, match="--offline"):
        EndpointPredictor(task, "tiny", "https://a.example", offline=True)


def test_a_key_with_a_line_break_is_none(server, monkeypatch) -> None:
    monkeypatch.setenv("HFKIT_API_KEY", "a\nb")
    with pytest.raises(InputError, match="not a key"):
        predictor(server)


def test_through_the_command_line(server, tmp_path, capsys) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text('{"id": 1, "text": "a goal"}\n{"id": 2, "text": "a vote"}\n')
    flags = ["--endpoint", server.url, "--labels", ",".join(LABELS)]
    assert run(["predict", "tiny", str(path), *flags]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        {"id": 1, "text": "a goal", "prediction": {"label": "sports"}},
        {"id": 2, "text": "a vote", "prediction": {"label": "world politics"}},
    ]
    server.reply = lambda body: "no idea"
    assert run(["predict", "tiny", str(path), *flags]) == 1
    assert "2 of 2 rows have no prediction" in capsys.readouterr().err


def test_a_file_with_labels_is_scored(server, tmp_path, capsys) -> None:
    path = tmp_path / "test.csv"
    path.write_text("text,label\na goal,sports\na vote,world politics\na goal,world politics\n")
    flags = ["--endpoint", server.url, "--labels", ",".join(LABELS), "-t", "zero-shot"]
    assert run(["evaluate", "tiny", str(path), *flags]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["values"]["accuracy"] == pytest.approx(2 / 3)
    server.reply = lambda body: "no idea"
    assert run(["evaluate", "tiny", str(path), *flags]) == 2
    assert "test.csv:2: the reply is no label" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["ner", "qa", "similarity", "classification"])
def test_other_tasks_need_a_model_here(server, task, capsys) -> None:
    assert run(["predict", "tiny", "a text", "-t", task, "--endpoint", server.url]) == 2
    assert f"{task} needs a model here" in capsys.readouterr().err
    assert not server.requests


def test_offline_on_the_command_line(capsys, monkeypatch) -> None:
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(variable, "1")
    flags = ["--endpoint", "https://a.example", "--labels", "a,b", "--offline"]
    assert run(["predict", "tiny", "a text", *flags]) == 2
    assert "--offline" in capsys.readouterr().err
