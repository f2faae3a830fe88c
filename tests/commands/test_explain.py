"""`hfkit explain`: gradients as captum has them, sums that come out, pages that are safe."""

from __future__ import annotations

import json
import shutil
from importlib import util
from pathlib import Path

import numpy as np
import pytest
import torch
from browsing import PHONE, needs_browser, visit
from pages import write_files
from toys import write_base_model, write_classifier

from hfkit.cli.app import run as command_line
from hfkit.cli.explain import tint
from hfkit.model.attributions import FIRST_STEPS
from hfkit.run.explaining import _nothing_found

TEXT = "rain drum near the old oven"  # each word is one token
PAIR = ["Anna left Bern", "--text-pair", "Anna was in Bern today"]
ASKED = ["--question", "Where is the key?", "--context", "Anna said the key is under the mat."]
# Name -> the data that it is trained on, flags of the training, and what it is asked.
RUNS = {
    "pairs": ("duplicates.csv", ["-t", "classification"], PAIR),
    "ner": ("people.jsonl", ["-t", "ner"], ["Anna Roth left Bern."]),
    "qa": ("squad.json", ["-t", "qa"], ASKED),
    "vectors": ("pairs.csv", ["-t", "similarity"], PAIR),
    "crossed": ("pairs.csv", ["-t", "similarity", "--architecture", "cross-encoder"], PAIR),
}


@pytest.fixture(scope="session")
def explained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random classifier whose words matter, and a short run of each other task."""
    folder = write_files(tmp_path_factory.mktemp("explained"))
    base = write_base_model(folder / "base", initializer_range=0.2)
    write_classifier(folder / "plain", initializer_range=0.2)
    for name, (data, flags, _) in RUNS.items():
        words = [
            "finetune", folder / data, "-m", base, "-o", folder / name, *flags, "--device", "cpu",
            "--max-steps", 12 if name == "ner" else 2, "--lr", "3e-3", "--max-length", 48, "-q",
        ]  # fmt: skip
        assert command_line([str(word) for word in words]) == 0
    return folder


def told(hfkit, *arguments: object) -> dict:
    code, out, err = hfkit("explain", *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def check_sums(found: dict) -> None:
    for one in found["explanations"]:
        difference = one["value"] - one["baseline"]
        words = sum(word["attribution"] for word in one["words"])
        tokens = sum(token["attribution"] for token in one["tokens"])
        assert words == pytest.approx(tokens, abs=1e-6)  # what is masked alone has a part
        assert abs(tokens - difference) <= 0.05 * abs(difference) + 1e-9
        assert one["relative_error"] < 0.05
        assert one["steps"] >= FIRST_STEPS


def test_it_is_what_captum_gives_directly(hfkit, explained: Path) -> None:
    from captum.attr import LayerIntegratedGradients
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    found = told(hfkit, explained / "plain", TEXT)
    check_sums(found)
    (one,) = found["explanations"]
    model = AutoModelForSequenceClassification.from_pretrained(explained / "plain").eval()
    inputs = AutoTokenizer.from_pretrained(explained / "plain")(TEXT, return_tensors="pt")
    ids, masked = inputs["input_ids"], inputs["input_ids"].clone()
    masked[0, 1:-1] = 4  # [MASK]
    label = [found["prediction"]["label"] == name for name in model.config.id2label.values()]

    def forward(ids: torch.Tensor) -> torch.Tensor:
        rows = torch.ones_like(ids)
        return model(ids, attention_mask=rows).logits[:, label.index(True)]

    layer = LayerIntegratedGradients(forward, model.get_input_embeddings())
    expected = layer.attribute(ids, masked, n_steps=one["steps"]).sum(-1)[0].detach().numpy()
    ours = [token["attribution"] for token in one["tokens"]]
    np.testing.assert_allclose(ours, expected, atol=1e-4)
    assert one["value"] == pytest.approx(float(forward(ids)[0].detach()), abs=1e-5)
    assert one["baseline"] == pytest.approx(float(forward(masked)[0].detach()), abs=1e-5)
    assert [word["text"] for word in one["words"]] == TEXT.split()


@pytest.mark.parametrize("name", RUNS)
def test_words_sum_up_in_every_task(hfkit, explained: Path, name: str) -> None:
    found = told(hfkit, explained / name, *RUNS[name][2])
    check_sums(found)
    if name == "vectors":  # each text once
        roles = [{word["role"] for word in one["words"]} for one in found["explanations"]]
        assert roles == [{"text"}, {"text_pair"}]
        cosines = [one["value"] for one in found["explanations"]]
        assert cosines[0] == pytest.approx(cosines[1], abs=1e-5)
    if name == "ner":
        assert len(found["explanations"]) == len(found["prediction"]["entities"])


def test_occlusion_is_the_difference_that_a_word_makes(hfkit, explained: Path) -> None:
    flags = ["--method", "occlusion", "--label", "music"]
    (one,) = told(hfkit, explained / "plain", TEXT, *flags)["explanations"]
    for number, word in enumerate(TEXT.split()):
        words = TEXT.split()
        words[number] = "[MASK]"
        other = told(hfkit, explained / "plain", " ".join(words), *flags)["explanations"][0]
        expected = one["value"] - other["value"]
        found = one["words"][number]
        assert found["text"] == word
        assert found["attribution"] == pytest.approx(expected, abs=1e-5)
        assert np.sign(found["attribution"]) == np.sign(expected)


def test_an_exported_run_is_explained_without_gradients(
    hfkit, explained: Path, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    run = Path(shutil.copytree(explained / "ner", tmp_path / "ner"))
    assert hfkit("export", run)[0] == 0
    code, out, err = hfkit("explain", run, "Anna Roth left Bern.", "--engine", "onnx", "--json")
    assert code == 0 and "no gradients" in err
    theirs = told(hfkit, run, "Anna Roth left Bern.", "--method", "occlusion", "--engine", "torch")
    for one, other in zip(json.loads(out)["explanations"], theirs["explanations"], strict=True):
        ours = [word["attribution"] for word in one["words"]]
        assert ours == pytest.approx([word["attribution"] for word in other["words"]], abs=1e-4)


def test_attention_is_the_formula(hfkit, explained: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    found = told(hfkit, explained / "plain", TEXT, "--attention", "--method", "occlusion")
    (one,) = found["attention"]
    assert one["note"] is None
    folder = explained / "plain"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    inputs = AutoTokenizer.from_pretrained(folder)(TEXT, return_tensors="pt")
    hidden = model.bert.embeddings(inputs["input_ids"])
    for number, layer in enumerate(model.bert.encoder.layer):
        own = layer.attention.self
        heads, width = own.num_attention_heads, own.attention_head_size
        with torch.no_grad():
            query, key = (
                side(hidden).view(-1, heads, width).transpose(0, 1) for side in (own.query, own.key)
            )
            scores = torch.softmax(query @ key.transpose(1, 2) / width**0.5, dim=-1)
            outputs = layer(hidden)
            hidden = outputs[0] if isinstance(outputs, tuple) else outputs
        np.testing.assert_allclose(one["layers"][number], scores.numpy(), atol=1e-5)
    assert np.sum(one["layers"], axis=-1) == pytest.approx(1, abs=1e-5)


def test_deberta_says_that_its_heads_are_more(hfkit, tmp_path: Path) -> None:
    model = write_classifier(tmp_path / "deberta", "deberta-v2", initializer_range=0.2)
    code, out, err = hfkit("explain", model, TEXT, "--attention", "--method", "occlusion")
    assert code == 0
    assert "are more than softmax(QK^T/sqrt(d))" in err and "layer 2, head 2" in out


def test_without_a_terminal_numbers_have_signs_and_no_colour(hfkit, explained: Path) -> None:
    code, out, err = hfkit("explain", explained / "plain", TEXT)
    assert code == 0, err
    assert "\x1b" not in out
    assert "rain (" in out and ("(+" in out or "(-" in out)
    assert "% off the sum" in out
    assert "music (score 0." in out and 'label "music": logit ' in out
    assert "a score is made of the logit beside those of the other labels" in out


def test_no_tint_ends_as_black() -> None:
    from rich.color import Color, ColorSystem
    from rich.style import Style

    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        for speaks_for in (False, True):
            style = Style.parse(tint(share, speaks_for))
            assert style.color is not None and style.bgcolor is not None
            assert style.color.get_truecolor() == (0, 0, 0)
            for system in (ColorSystem.TRUECOLOR, ColorSystem.EIGHT_BIT):
                shown: Color = style.bgcolor.downgrade(system)
                assert min(shown.get_truecolor()) >= 0x80
    assert tint(0.05, True) == tint(0.0, False) == ""


def test_a_cosine_and_the_score_made_of_it(hfkit, explained: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    flags = ["--method", "occlusion", "-o", page]
    code, out, err = hfkit("explain", explained / "vectors", *PAIR, *flags)
    assert code == 0, err
    assert "is on the scale of the labels, 0 to" in out and "× cosine" in out
    assert "likeness, by the words of text: cosine 0." in out
    whole = page.read_text("utf-8")
    assert "on the scale of the labels" in whole and "masked, lowers it by" in whole
    assert f"<title>{explained / 'vectors'}: score " in whole


def test_an_answer_that_predict_withholds_is_explained_and_said(
    hfkit, explained: Path, tmp_path: Path
) -> None:
    run, page = Path(shutil.copytree(explained / "plain", tmp_path / "run")), tmp_path / "page.html"
    assert "abstained" not in told(hfkit, run, TEXT)
    for below, abstained in ((0.99, True), (0.01, False)):
        part = {"decisions": {"abstain_below": below}}
        (run / "decisions.json").write_text(json.dumps({"tasks": {"classification": part}}))
        code, out, err = hfkit("explain", run, TEXT, "--json", "-o", page, "--overwrite")
        assert code == 0, err
        found = json.loads(out)
        assert found["abstained"] is abstained and found["prediction"]["label"]
        assert found["explanations"][0]["words"]
        said = "his answer is withheld by hfkit predict: less sure than 0.99"
        assert (said in err, said in page.read_text("utf-8")) == (abstained, abstained)


def test_a_file_is_no_text(
    hfkit, explained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "test.csv").write_text("text\nrain\n")
    monkeypatch.chdir(tmp_path)
    code, out, err = hfkit("explain", explained / "plain", "test.csv")
    assert code == 2 and not out
    assert "test.csv is a file; one text is explained" in err and "hfkit predict" in err


def test_where_no_entity_is_found_there_is_a_way_on(hfkit, explained: Path) -> None:
    code, _, err = hfkit("explain", explained / "ner", "Anna Roth left Bern.", "--label", "PERS")
    assert code == 2
    assert "no entity of type PERS was found" in err and "did you mean 'PER'" in err
    found = _nothing_found({"entities": []}, ["O", "B-PER", "I-PER", "B-LOC"], None)
    assert found.hint == "take a text in which the model finds one of LOC, PER"
    found = _nothing_found({"entities": [{"label": "LOC"}]}, ["O", "B-PER", "B-LOC"], "PER")
    assert found.hint == "leave it out to explain LOC"


def test_the_help_has_no_options_of_tasks_that_are_refused(hfkit) -> None:
    code, out, _ = hfkit("explain", "--help")
    assert code == 0
    assert "Options of qa" in out and "Options of ner" in out
    for title in ("mlm", "nsp", "text2text", "generation", "zero-shot"):
        assert f"Options of {title}" not in out


HOSTILE = '<script>alert("rain")</script> & <img src=x onerror=alert(1)> drum'


def test_hostile_text_is_escaped(hfkit, explained: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    code, _, err = hfkit("explain", explained / "plain", HOSTILE, "-o", page)
    assert code == 0, err
    source = page.read_text("utf-8")
    assert "<script" not in source and "<img" not in source
    assert "&lt;" in source and "script" in source
    assert hfkit("explain", explained / "plain", TEXT, "-o", page)[0] == 2  # it is there already
    assert hfkit("explain", explained / "plain", TEXT, "-o", page, "--overwrite")[0] == 0


@needs_browser
@pytest.mark.parametrize("width", [PHONE, 1280])
@pytest.mark.parametrize("dark", [False, True])
def test_the_page(hfkit, explained: Path, tmp_path: Path, width: int, dark: bool) -> None:
    page = tmp_path / "page.html"
    code, _, err = hfkit(
        "explain", explained / "qa", *ASKED, "-o", page, "--attention", "--method", "occlusion"
    )
    assert code == 0, err
    seen = visit(page, width=width, dark=dark, screenshot=tmp_path / "page.png")
    assert seen.errors == [] and seen.overflow == 0
    assert [url for url in seen.requests if not url.startswith(("file:", "data:"))] == []


def test_what_is_refused_is_one_line(
    hfkit, explained: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refused(*arguments: object) -> str:
        code, _, err = hfkit("explain", *arguments)
        assert code == 2 and "Traceback" not in err
        return str(err)

    assert "no-such-model" in refused("./no-such-model", TEXT)
    assert "reads text and text_pair" in refused(explained / "pairs", TEXT)
    assert "reads question and context" in refused(explained / "qa", TEXT)
    assert 'no label "jazz"' in refused(explained / "plain", TEXT, "--label", "jazz")
    assert "onnx has no gradients" in refused(
        explained / "plain", TEXT, "--engine", "onnx", "--method", "gradients"
    )
    assert "is not explained" in refused(
        explained / "plain", TEXT, "-t", "zero-shot", "-s", "labels=a,b",
        "-s", "entailment_label=music",
    )  # fmt: skip
    real = util.find_spec
    monkeypatch.setattr(
        "hfkit.model.attributions.find_spec", lambda name: None if name == "captum" else real(name)
    )
    gradients = refused(explained / "plain", TEXT, "--method", "gradients")
    assert "pip install 'hfkit[explain]'" in gradients
    code, out, err = hfkit("explain", explained / "plain", TEXT)
    assert code == 0 and "captum is not installed" in err and "occlusion" in out


def test_a_long_text_is_cut_and_that_is_said(hfkit, explained: Path) -> None:
    text = " ".join([TEXT] * 30)
    code, out, err = hfkit("explain", explained / "plain", text, "--json", "--max-length", "32")
    assert code == 0, err
    assert "longer than a window: the first" in err
    assert len(json.loads(out)["explanations"][0]["tokens"]) <= 32


def test_two_long_texts_are_both_cut(hfkit, explained: Path) -> None:
    long, longer = " ".join([TEXT] * 15), " ".join([TEXT] * 20)
    code, out, err = hfkit(
        "explain", explained / "pairs", long, "--text-pair", longer, "--json",
        "--method", "occlusion", "--max-length", "32",
    )  # fmt: skip
    assert code == 0, err
    assert "characters of text and " in err and " of text_pair are explained" in err
    roles = {word["role"] for word in json.loads(out)["explanations"][0]["words"]}
    assert roles == {"text", "text_pair"}


def test_python(explained: Path) -> None:
    import hfkit

    found = hfkit.explain(str(explained / "plain"), "rain and sun", method="occlusion", quiet=True)
    assert [word.text for word in found.explanations[0].words] == ["rain", "and", "sun"]
