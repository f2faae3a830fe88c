"""The real clients of Hugging Face and OpenAI get the answers of `hfkit predict`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from live import TOKEN, Live, predicted

from hfkit.serve.refusal import Refusal
from hfkit.serve.served import Served
from hfkit.serve.shapes.openai import Choice

TEXT = "the storm and some bread near my drum"
OTHER = "a song today"
LABELS = ["weather", "music", "bread"]
# In the process of a client: HF_HUB_OFFLINE would keep it from asking this machine, too.
PROGRAM = """
import dataclasses, json, os, sys
from huggingface_hub import InferenceClient

def plain(value):
    if dataclasses.is_dataclass(value):
        return {k: v for k, v in dataclasses.asdict(value).items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value.tolist() if hasattr(value, "tolist") else value

for url, method, arguments, options in json.load(sys.stdin):
    client = InferenceClient(url, provider="hf-inference", token=os.environ.get("TOKEN"))
    try:
        found = getattr(client, method)(*arguments, **options)
        found = list(found) if options.get("stream") else plain(found)
    except Exception as error:
        found = {"failed": type(error).__name__, "said": str(error)}
    print(json.dumps(found), flush=True)
"""


def client(*calls: tuple[str, str, list[Any], dict[str, Any]], token: str = "") -> list[Any]:
    """Let a real InferenceClient make these calls: (address, method, arguments, options)."""
    environment = {k: v for k, v in os.environ.items() if k != "HF_HUB_OFFLINE"}
    if token:
        environment["TOKEN"] = token
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(calls), env=environment,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def scored(found: list[dict[str, Any]], name: str = "label") -> dict[str, float]:
    return {one[name]: pytest.approx(one["score"], abs=1e-5) for one in found}


def ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda name: -scores[name])


def test_tasks_that_are_asked_once(server: Live, models: Path) -> None:
    def at(name: str) -> str:
        return f"{server.url}models/{name}"

    asked = {"question": "who?", "context": TEXT}
    masked = "the [MASK] and some [MASK]"
    several, topics, number, names, one, many, masks, alike, vector, health, info = client(
        (at("several"), "text_classification", [TEXT], {}),
        (at("topics"), "text_classification", [TEXT], {"top_k": 2}),
        (at("number"), "text_classification", [TEXT], {}),
        (at("names"), "token_classification", [TEXT], {}),
        (at("answers"), "question_answering", [], asked),
        (at("answers"), "question_answering", [], {**asked, "top_k": 3}),
        (at("masks"), "fill_mask", ["the [MASK] and some bread"], {"top_k": 3}),
        (at("vectors"), "sentence_similarity", [TEXT], {"other_sentences": [OTHER, TEXT]}),
        (at("vectors"), "feature_extraction", [TEXT], {}),
        (server.url, "health_check", [], {}),
        (at("topics"), "get_endpoint_info", [], {}),
    )
    row = {"text": TEXT}
    (expected,) = predicted(models, "several", row, scores=True)
    assert expected["scores"] == scored(several)
    (expected,) = predicted(models, "topics", row, scores=True)
    assert [each["label"] for each in topics] == ranked(expected["scores"])[:2]
    assert topics[0]["score"] == pytest.approx(expected["score"], abs=1e-5)
    (expected,) = predicted(models, "number", row)
    assert number == [{"label": "LABEL_0", "score": pytest.approx(expected["value"], abs=1e-5)}]
    (expected,) = predicted(models, "names", row)
    assert [(e["label"], e["start"], e["end"], e["text"]) for e in expected["entities"]] == [
        (e["entity_group"], e["start"], e["end"], e["word"]) for e in names
    ]
    assert names, "the toy finds names"
    (expected,) = predicted(models, "answers", asked, top_k=3)
    assert one["answer"] == many[0]["answer"] == expected["answer"]
    assert [(e["answer"], e["start"], e["end"]) for e in many] == [
        (e["answer"], e["start"], e["end"]) for e in expected["answers"]
    ]
    (expected,) = predicted(models, "masks", {"text": "the [MASK] and some bread"})
    assert scored(expected["masks"][0][:3], "token") == {e["token_str"]: e["score"] for e in masks}
    assert masks[0]["sequence"] == expected["filled"]
    assert all(isinstance(each["token"], int) for each in masks)
    pairs = [{"text": TEXT, "text_pair": other} for other in (OTHER, TEXT)]
    assert alike == [
        pytest.approx(e["score"], abs=1e-5) for e in predicted(models, "vectors", *pairs)
    ]
    import hfkit

    assert vector == pytest.approx(hfkit.embed(str(models / "vectors"), [TEXT]), abs=1e-5)
    assert health is True
    assert (info["model_id"], info["task"]) == ("topics", "classification")
    both = server.post("/models/masks", {"inputs": masked}).json()
    assert [len(found) for found in both] == [5, 5], "a list for each mask"


def test_zero_shot_where_one_model_is_at_the_root(guarded_labels: Live, models: Path) -> None:
    one, several, other, refused = client(
        (guarded_labels.url, "zero_shot_classification", [TEXT], {"candidate_labels": LABELS}),
        (guarded_labels.url, "zero_shot_classification", [TEXT],
         {"candidate_labels": LABELS, "multi_label": True}),
        (guarded_labels.url, "zero_shot_classification", [TEXT],
         {"candidate_labels": LABELS, "hypothesis_template": "a song of {}"}),
        (guarded_labels.url, "zero_shot_classification", [TEXT],
         {"candidate_labels": LABELS, "hypothesis_template": "no place"}),
        token=TOKEN,
    )  # fmt: skip
    for found, more in (
        (one, {}), (several, {"multi_label": True}), (other, {"template": "a song of {}"})
    ):  # fmt: skip
        named = ",".join(LABELS)
        (expected,) = predicted(models, "nli", {"text": TEXT}, scores=True, labels=named, **more)
        assert expected["scores"] == scored(found), more
        assert [each["label"] for each in found] == ranked(expected["scores"])
    assert "no {} for the label" in refused["said"]


def test_texts_that_are_written(server: Live, models: Path) -> None:
    river, short = f"{server.url}models/river", f"{server.url}models/short"
    text, longer, drawn, summary, streamed, translated = client(
        (river, "text_generation", [TEXT], {}),
        (river, "text_generation", [TEXT], {"max_new_tokens": 3, "return_full_text": True}),
        (river, "text_generation", [TEXT], {"do_sample": True, "seed": 7, "temperature": 0.7}),
        (short, "summarization", [TEXT],
         {"generate_parameters": {"max_new_tokens": 4, "num_beams": 2}}),
        (river, "text_generation", [TEXT], {"stream": True}),
        (short, "translation", [TEXT], {}),
    )  # fmt: skip
    row = {"text": TEXT}
    (expected,) = predicted(models, "river", row)
    assert text == expected["text"] == "".join(streamed)
    assert len(streamed) > 1, "it comes in pieces"
    (expected,) = predicted(models, "river", row, max_new_tokens=3)
    assert longer == TEXT + expected["text"]
    (expected,) = predicted(
        models, "river", row, sample=True, sample_seed=7, sample_temperature=0.7
    )
    assert drawn == expected["text"]
    (expected,) = predicted(models, "short", row, max_target_length=4, beams=2)
    assert summary["summary_text"] == expected["text"]
    (expected,) = predicted(models, "short", row, max_target_length=128)
    assert translated["translation_text"] == expected["text"]


def test_what_is_asked_in_one_manner_does_not_change_the_next(server: Live) -> None:
    def write(**parameters: Any) -> str:
        body = {"inputs": TEXT, "parameters": parameters}
        return server.post("/models/river", body).json()[0]["generated_text"]

    plain = write()
    assert write(max_new_tokens=2) != plain
    stop = plain.split()[2]
    assert write(stop=[stop]) == plain.split(stop)[0]
    assert write() == plain


def test_errors_are_those_that_the_client_knows(server: Live) -> None:
    wrong, unknown, empty = client(
        (f"{server.url}models/topics", "text_classification", [TEXT],
         {"function_to_apply": "sigmoid"}),
        (f"{server.url}models/nobody", "text_classification", [TEXT], {}),
        (f"{server.url}models/answers", "question_answering", [],
         {"question": "who?", "context": ""}),
    )  # fmt: skip
    assert "this model's scores are made by softmax" in wrong["said"]
    assert "no model 'nobody' here; known here: topics, several," in unknown["said"]
    assert "the text is empty" in empty["said"]


def test_models_are_named_where_none_is_asked(server: Live) -> None:
    names = "topics, several, number, names, answers, masks, next, vectors, river, short"
    body = {"inputs": TEXT}
    other = "not found: topics is classification, which /embed is not for"
    cases = {
        "/": (405, f"method not allowed: ask /models/NAME, where NAME is one of: {names}"),
        "/answer": (404, f"not found: ask /models/NAME/answer, where NAME is one of: {names}"),
        "/models/none": (404, f"not found: no model 'none' here; known here: {names}"),
        "/models/topics/embed": (404, other),
        "/models/topics/nothing": (404, "not found"),
        "/nothing": (404, "not found"),
    }
    for path, (status, words) in cases.items():
        answer = server.post(path, body)
        assert (answer.status_code, answer.json()["error"]) == (status, words)


def test_what_a_model_reads_is_said_where_it_is_given_something_else(server: Live) -> None:
    asked = {"question": "who?", "context": TEXT}
    pair = "text, or source_sentence and sentences"
    cases: list[tuple[str, Any, str]] = [
        ("topics", asked, "topics is classification: it reads text"),
        ("names", asked, "names is ner: it reads text"),
        ("answers", TEXT, "answers is qa: it reads question and context"),
        ("vectors", asked, f"vectors is similarity: it reads {pair}"),
        ("river", asked, "river is generation: it reads text"),
        ("topics", 7, "topics is classification: it reads text"),
    ]
    for name, inputs, words in cases:
        answer = server.post(f"/models/{name}", {"inputs": inputs})
        assert (answer.status_code, answer.json()["error"]) == (422, f"inputs: {words}")
    answer = server.post("/models/topics", {"inputs": [TEXT, 7]})
    assert answer.json()["error"] == "inputs.1: input should be a valid string"


def test_openai(server: Live, guarded_labels: Live, models: Path) -> None:
    from openai import NotFoundError, OpenAI, UnprocessableEntityError

    import hfkit

    with OpenAI(base_url=f"{server.url}v1", api_key="none", max_retries=0) as openai:
        assert next(iter(openai.models.list())).id == "topics"
        for format in ({}, {"encoding_format": "float"}):
            found = openai.embeddings.create(model="vectors", input=[TEXT, OTHER], **format)
            expected = hfkit.embed(str(models / "vectors"), [TEXT, OTHER])
            assert [one.embedding for one in found.data] == pytest.approx(expected, abs=1e-5)
            assert found.usage.prompt_tokens > 5
        with pytest.raises(UnprocessableEntityError, match="numbers"):
            openai.embeddings.create(model="vectors", input=TEXT, dimensions=4096)
        (expected,) = predicted(models, "river", {"text": TEXT})
        done = openai.completions.create(model="river", prompt=TEXT)
        assert done.choices[0].text == expected["text"]
        stream = openai.completions.create(model="river", prompt=TEXT, stream=True)
        assert "".join(part.choices[0].text for part in stream) == expected["text"]
        messages = [{"role": "user", "content": TEXT}]
        (expected,) = predicted(
            models, "river", {"messages": messages}, max_new_tokens=8, chat=True
        )
        said = openai.chat.completions.create(model="river", messages=messages, max_tokens=8)
        assert said.choices[0].message.content == expected["text"].strip()
        parts = openai.chat.completions.create(
            model="river", messages=messages, max_tokens=8, stream=True
        )
        whole = "".join(part.choices[0].delta.content or "" for part in parts)
        assert whole == expected["text"].strip()
    labels = OpenAI(base_url=f"{guarded_labels.url}v1", api_key=TOKEN, max_retries=0)
    with labels as openai, pytest.raises(NotFoundError):
        openai.completions.create(model="nli", prompt=TEXT)


def test_openai_names_the_models_where_another_is_asked_for(server: Live) -> None:
    message = {"messages": [{"role": "user", "content": TEXT}]}
    cases: list[tuple[str, dict[str, Any], str, str]] = [
        ("embeddings", {"input": TEXT}, "nobody", "no model 'nobody' here"),
        ("embeddings", {"input": TEXT}, "topics", "topics is classification"),
        ("completions", {"prompt": TEXT}, "gpt", "no model 'gpt' here"),
        ("completions", {"prompt": TEXT}, "short", "short is text2text"),
        ("chat/completions", message, "short", "short is text2text"),
    ]
    for path, body, name, words in cases:
        answer = server.post(f"/v1/{path}", {**body, "model": name})
        error = answer.json()["error"]
        assert (answer.status_code, error["type"]) == (404, "invalid_request_error"), name
        assert error["message"].startswith(words)
        assert error["message"].endswith("vectors" if path == "embeddings" else "river")
    assert server.post("/v1/embeddings", {"input": TEXT}).json()["model"] == "vectors"


def test_a_model_that_is_served_alone_goes_by_any_name_of_openai_clients() -> None:
    one, other, writer = (
        cast(Served, SimpleNamespace(name=name, kind=name)) for name in ("a", "b", "c")
    )
    assert Choice([one], [one]).named("text-embedding-3-small") is one
    assert Choice([one, writer], [one]).named(None) is one
    for models, name in (([one, writer], "text-embedding-3-small"), ([one, other], None)):
        with pytest.raises(Refusal, match="known here: a") as refused:
            Choice(models, [served for served in models if served is not writer]).named(name)
        assert refused.value.status == 404


def test_text_embeddings_inference(server: Live, models: Path) -> None:
    import hfkit

    vectors = server.post("/models/vectors/embed", {"inputs": [TEXT, OTHER], "truncate": True})
    expected = hfkit.embed(str(models / "vectors"), [TEXT, OTHER])
    assert vectors.json() == pytest.approx(expected, abs=1e-5)
    body = {"query": TEXT, "texts": [OTHER, TEXT], "return_text": True}
    order = server.post("/models/vectors/rerank", body).json()
    assert [(one["index"], one["text"]) for one in order] == [(1, TEXT), (0, OTHER)]
    body = {"inputs": {"source_sentence": TEXT, "sentences": [OTHER, TEXT]}}
    alike = server.post("/models/vectors/similarity", body).json()
    assert alike == pytest.approx([order[1]["score"], order[0]["score"]], abs=1e-6)
    (one,) = predicted(models, "topics", {"text": TEXT}, scores=True)
    single = server.post("/models/topics/predict", {"inputs": TEXT}).json()
    many = server.post("/models/topics/predict", {"inputs": [[TEXT], [OTHER]]}).json()
    assert scored(single) == one["scores"]
    assert many[0] == [{**e, "score": pytest.approx(e["score"], abs=1e-5)} for e in single]
    assert len(many) == 2


ROWS: dict[str, dict[str, Any]] = {
    "topics": {"text": TEXT}, "several": {"text": TEXT}, "number": {"text": TEXT},
    "names": {"tokens": TEXT.split()}, "answers": {"question": "who?", "context": TEXT},
    "masks": {"text": "a [MASK]"}, "next": {"text": TEXT, "text_pair": OTHER},
    "vectors": {"text": TEXT, "text_pair": OTHER},
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_answered_as_predict_does(name: str, server: Live, models: Path) -> None:
    found = server.post(f"/models/{name}/answer", {"rows": [ROWS[name]]}).json()
    expected = json.loads(json.dumps(predicted(models, name, ROWS[name])))
    assert close(found) == expected


def close(value: Any) -> Any:
    """The same, with numbers that need only be near."""
    if isinstance(value, dict):
        return {name: close(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [close(inner) for inner in value]
    return pytest.approx(value, abs=1e-5) if isinstance(value, float) else value
