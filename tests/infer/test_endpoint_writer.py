"""Texts that a server writes, and scores, in place of a model here."""

from __future__ import annotations

import json

import pytest

from hfkit.cli.app import run
from hfkit.infer.endpoint_scorer import EndpointScorer
from hfkit.infer.endpoint_writer import EndpointWriter
from hfkit.registry import make_task


def echo(body: dict) -> str:
    return "about " + body["messages"][-1]["content"]


def writer(served, name: str, **options) -> EndpointWriter:
    served.reply = echo
    return EndpointWriter(make_task(name, options), "tiny", served.url)


def test_a_prompt_is_the_users_words(served) -> None:
    ready = writer(served, "generation", max_new_tokens=7, stop=["END"])
    found = ready.predict([{"text": "rain"}, {"prompt": "snow"}])
    assert found == [{"text": "about rain"}, {"text": "about snow"}]
    path, body, _ = served.requests[0]
    assert path == "/v1/chat/completions"
    assert body["max_tokens"] == 7 and body["stop"] == ["END"] and body["temperature"] == 0
    assert [one["role"] for one in body["messages"]] == ["user"]


def test_conversations_go_as_they_are(served) -> None:
    ready = writer(served, "generation")
    messages = [{"role": "system", "content": "Be short."}, {"role": "user", "content": "fog"}]
    assert ready.predict([{"messages": messages}]) == [{"text": "about fog"}]
    assert served.requests[0][1]["messages"] == messages
    spoken = [*messages, {"role": "assistant", "content": "Fog."}]
    [found] = ready.attempt([{"messages": spoken}])
    assert "the assistant has spoken last" in found


def test_drawing_is_told(served) -> None:
    options = {"sample": True, "sample_temperature": 0.7, "sample_top_p": 0.9, "sample_seed": 4}
    writer(served, "generation", **options).predict([{"text": "rain"}])
    body = served.requests[0][1]
    assert (body["temperature"], body["top_p"], body["seed"]) == (0.7, 0.9, 4)


def test_what_the_protocol_does_not_know_is_said(served, caplog) -> None:
    with caplog.at_level("INFO"):
        writer(served, "generation", beams=3)
    assert "--beams: no part where a server answers" in caplog.text


def test_a_summary_and_a_translation_are_asked_for(served) -> None:
    writer(served, "summarization", max_target_length=9).predict([{"text": "long"}])
    to_german = writer(served, "translation", source_language="en", target_language="de")
    to_german.predict([{"text": "rain"}])
    prefixed = writer(served, "summarization", source_prefix="In one word: ")
    prefixed.predict([{"text": "rain"}])
    said = [body["messages"] for _, body, _ in served.requests]
    assert said[0][0]["content"].startswith("Summarize") and said[0][1]["content"] == "long"
    assert "from en to de" in said[1][0]["content"]
    assert [one["content"] for one in said[2]] == ["In one word: rain"]
    [found] = writer(served, "translation").attempt([{"text": "rain"}])
    assert found == "--target-language: into which language?"


def test_order_on_the_command_line(served, tmp_path, capsys) -> None:
    served.reply = echo
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"text": f"rain {n}"}) + "\n" for n in range(30)))
    assert run(["predict", "tiny", str(path), "-t", "generation", "--endpoint", served.url]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["prediction"]["text"] for line in lines] == [f"about rain {n}" for n in range(30)]


def test_written_texts_are_scored_and_others_not_judged(served, tmp_path, capsys) -> None:
    served.reply = lambda body: "the rain"
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"text": "it rained", "summary": "the rain"}\n')
    flags = ["--endpoint", served.url]
    assert run(["evaluate", "tiny", str(path), "-t", "summarization", *flags]) == 0
    assert json.loads(capsys.readouterr().out)["values"]["exact_match"] == 1
    assert run(["evaluate", "tiny", str(path), "-t", "generation", *flags]) == 2
    assert "a server does not judge texts" in capsys.readouterr().err


def logprobs(body: dict) -> tuple[int, dict, dict]:
    """Each word is a token of probability 1/4; the last was written."""
    assert body["echo"] and body["max_tokens"] == 1
    words = [*body["prompt"].split(" "), "more"]
    starts = [sum(len(word) + 1 for word in words[:number]) for number in range(len(words))]
    values = [None, *[-1.3862943611198906] * (len(words) - 1)]
    found = {"text_offset": starts, "token_logprobs": values, "tokens": words}
    return 200, {"choices": [{"text": body["prompt"], "logprobs": found}]}, {}


def test_a_text_is_scored_by_a_server(served, tmp_path, capsys) -> None:
    served.reply = logprobs
    [answer] = EndpointScorer("tiny", served.url).predict([{"text": "the rain fell"}])
    assert served.requests[0][0] == "/v1/completions"
    assert answer["tokens"] == 2 and answer["perplexity"] == pytest.approx(4)
    path = tmp_path / "texts.txt"
    path.write_text("the rain fell\nrain\n")
    assert run(["score", "tiny", str(path), "--endpoint", served.url]) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[0]["prediction"]["log_prob"] == pytest.approx(-2.7725887)
    assert lines[1]["error"] == "no token that could be scored"


@pytest.mark.parametrize("reply", ["words", (200, b"{}", {}), (400, {"error": "no echo"}, {})])
def test_a_server_that_hides_probabilities(served, reply) -> None:
    served.reply = lambda body: reply
    [found] = EndpointScorer("tiny", served.url).attempt([{"text": "the rain"}])
    assert "no log-probabilities" in found or "no echo" in found


def test_a_masked_model_is_not_asked_of_a_server(served, capsys) -> None:
    flags = ["--endpoint", served.url, "--kind", "masked"]
    assert run(["score", "tiny", "a text", *flags]) == 2
    assert "from left to right" in capsys.readouterr().err
