"""`hfkit finetune --seeds`: several whole runs, what they have in common, and a kill between."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from hfkit.metrics.statistics import Scores
from hfkit.run.finishing import Finetuned
from hfkit.run.seeds import collapsed_seeds

USUAL = (
    "--max-steps", 4, "--device", "cpu", "--threads", 1, "--precision", "fp32", "--max-length", 24,
    "--seed", 5,
)  # fmt: skip


@pytest.fixture
def command(tiny_base_folder, toy_files, tmp_path):
    """Two seeds, with a validation part that is cut off."""
    return ("finetune", toy_files["train"], "-m", tiny_base_folder, "-o", tmp_path / "out", *USUAL)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_each_seed_is_a_run_of_its_own(hfkit, command, tmp_path):
    code, out, err = hfkit(*command, "--seeds", 2, "--json")
    assert code == 0, err
    folder, found = tmp_path / "out", json.loads(out)
    assert found["seeds"] == [5, 6] and found["judged_by"] == "accuracy"
    values = [
        json.loads((folder / f"seed-{seed}/metrics.json").read_text())["scores"]["validation"]
        for seed in (5, 6)
    ]
    one, other = (scores["values"]["accuracy"] for scores in values)
    spread = found["scores"]["validation"]["accuracy"]
    assert spread["values"] == [one, other] and spread["mean"] == pytest.approx((one + other) / 2)
    assert spread["sd"] == pytest.approx(abs(one - other) / math.sqrt(2))
    assert found["best_on_validation"] == max(one, other)
    assert "optimistic" in err and "2 seeds" in err
    del found["folder"]
    assert json.loads((folder / "seeds.json").read_text()) == found
    assert hfkit("verify", folder)[0] == 0
    # The same rows are held out for both, and a seed alone comes to the same weights.
    digests = {
        json.loads((folder / f"seed-{seed}/manifest.json").read_text())["data"]["validation"][
            "sha256"
        ]
        for seed in (5, 6)
    }
    assert len(digests) == 1 and weights(folder / "seed-5") != weights(folder / "seed-6")
    alone = (*command, "-o", tmp_path / "alone", "--seed", 6, "--split-seed", 5)
    assert hfkit(*alone)[0] == 0
    assert weights(tmp_path / "alone") == weights(folder / "seed-6")
    # The same command trains nothing; one more seed trains one more.
    before = (folder / "seed-5/manifest.json").stat().st_mtime_ns
    code, out, err = hfkit(*command, "--seeds", 2)
    assert code == 0 and err.count("this run is finished") == 2
    assert out.strip() == str(folder)
    (folder / "seeds.json").write_text("{}")
    assert hfkit("verify", folder)[0] == 2
    code, _, err = hfkit(*command, "--seeds", 3)
    assert code == 0 and err.count("this run is finished") == 2, err
    assert (folder / "seed-5/manifest.json").stat().st_mtime_ns == before
    assert json.loads((folder / "seeds.json").read_text())["seeds"] == [5, 6, 7]
    assert hfkit("verify", folder)[0] == 0


def test_a_stop_between_goes_on(hfkit, command, tmp_path, monkeypatch):
    """The second seed is killed before it ends; the first is not trained again."""
    from hfkit.run import finishing

    done = []
    finish = finishing.finish

    def killed(fitted, folder):
        if folder.name == "seed-6" and not done:
            done.append(folder)
            raise KeyboardInterrupt
        return finish(fitted, folder)

    monkeypatch.setattr(finishing, "finish", killed)
    code, _, err = hfkit(*command, "--seeds", 2)
    assert code == 130, err
    folder = tmp_path / "out"
    assert (folder / "seed-5/manifest.json").exists() and not (folder / "seeds.json").exists()
    assert (folder / "seed-6/checkpoints").exists()
    code, _, err = hfkit(*command, "--seeds", 2)
    assert code == 0 and err.count("this run is finished") == 1, err
    assert "continuing from step 4" in err
    assert hfkit("verify", folder)[0] == 0


def test_the_time_is_that_of_all_seeds(hfkit, command, tmp_path):
    assert hfkit(*command, "--seeds", 2, "--max-time", "0.000001s")[0] == 75
    code, _, err = hfkit(*command, "--seeds", 2)
    assert code == 0, err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--seeds", "1"), "--seeds"),
        (("--seeds", "many"), "--seeds"),
    ],
)
def test_too_few_seeds(hfkit, command, flags, told):
    code, _, err = hfkit(*command, *flags)
    assert code == 2 and told in err


def test_a_folder_is_needed_and_must_be_free(hfkit, command, tmp_path, tiny_base_folder, toy_files):
    without = ("finetune", toy_files["train"], "-m", tiny_base_folder, "--seeds", 2)
    code, _, err = hfkit(*without)
    assert code == 2 and "name it with -o OUT" in err
    (tmp_path / "out").mkdir()
    (tmp_path / "out/notes.txt").write_text("mine")
    code, _, err = hfkit(*command, "--seeds", 2)
    assert code == 2 and "is not empty, and holds no runs" in err
    (tmp_path / "out/notes.txt").unlink()
    (tmp_path / "out/run.json").write_text("{}")
    code, _, err = hfkit(*command, "--seeds", 2)
    assert code == 2 and "holds a run of one seed" in err


def test_several_processes_for_each_seed(hfkit, command, tmp_path):
    code, _, err = hfkit(*command, "--seeds", 2, "--num-processes", 2, "--max-steps", 2)
    assert code == 0, err
    for seed in (5, 6):
        facts = json.loads((tmp_path / f"out/seed-{seed}/manifest.json").read_text())
        assert facts["hardware"]["processes"] == 2 and facts["seed"] == seed


def made(value: float, low: float, high: float, baseline: float | None, name="accuracy"):
    """A run with one validation score."""
    scores = Scores(
        {name: value}, 100, name, {name: (low, high)},
        {} if baseline is None else {name: baseline},
    )  # fmt: skip
    return Finetuned(Path(), "classification", "m", {"validation": scores}, 1)


def test_what_counts_as_a_collapse():
    good, stuck = made(0.9, 0.85, 0.95, 0.5), made(0.5, 0.4, 0.6, 0.5)
    assert collapsed_seeds({1: good, 2: stuck, 3: good}, "accuracy", False) == [2]
    # Hard data are no collapse: no seed is clearly above the majority.
    near = made(0.55, 0.45, 0.65, 0.5)
    assert collapsed_seeds({1: near, 2: stuck}, "accuracy", False) == []
    assert collapsed_seeds({1: good, 2: near}, "accuracy", False) == []
    # Of errors less is better; a correlation is compared with 0, and may be undefined.
    low, high = made(1.0, 0.9, 1.1, 3.0, "mse"), made(3.0, 2.8, 3.2, 3.0, "mse")
    assert collapsed_seeds({1: low, 2: high}, "mse", True) == [2]
    fine, constant = made(0.8, 0.7, 0.9, None, "spearman"), made(0.0, 0, 0, None, "spearman")
    scores = replace(constant.splits["validation"], values={"pearson": 0.1}, intervals={})
    constant = replace(constant, splits={"validation": scores})
    assert collapsed_seeds({1: fine, 2: constant}, "spearman", False) == [2]
    assert collapsed_seeds({1: made(9, 8, 10, None, "perplexity")}, "perplexity", True) == []
