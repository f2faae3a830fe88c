"""Hub data sets, with a stand-in for the network."""

from __future__ import annotations

import sys

import pytest

from hfkit.config import Reading
from hfkit.data.formats.hub import explained
from hfkit.data.source import read
from hfkit.errors import InputError, NetworkError


@pytest.fixture
def online(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub(monkeypatch, online):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "label": datasets.ClassLabel(names=["neg", "pos"]),
            "all": datasets.Sequence(datasets.ClassLabel(names=["x", "y"])),
        }
    )
    columns = {"text": ["a", "b"], "label": [1, -1], "all": [[0, 1], []]}
    rows = datasets.Dataset.from_dict(columns, features=features).to_iterable_dataset()
    calls = []

    def load_dataset(*args, **kwargs):
        calls.append((args, kwargs))
        return rows if kwargs["split"] else {"train": rows, "test": rows}

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


def test_classes_become_names(hub):
    records = list(read("hf://org/name:de@test", Reading()))
    assert hub == [(("org/name", "de"), {"split": "test", "streaming": True})]
    assert [record.fields for record in records] == [
        {"text": "a", "label": "pos", "all": ["x", "y"]},
        {"text": "b", "label": None, "all": []},
    ]
    assert records[1].place == "hf://org/name:de@test: row 2"


def test_without_a_split_train_is_read_and_said(hub, caplog):
    caplog.set_level("INFO")
    assert len(list(read("org/name", Reading(limit=1)))) == 1
    assert "reading the split 'train' of 'train', 'test'" in caplog.text


def test_offline_fails_before_datasets_is_imported(online, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(NetworkError, match="offline is on"):
        list(read("org/name", Reading(), offline=True))


def test_a_bare_word_is_no_hub_name(online):
    with pytest.raises(InputError, match="no such file"):
        read("imdb", Reading())


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (
            RuntimeError("Dataset scripts are no longer supported, but found x.py"),
            InputError,
            "script",
        ),
        (ConnectionError("Couldn't reach 'a/b' on the Hub"), NetworkError, "cannot be reached"),
        (
            ValueError("Config name is missing.\nPick one of: ['de', 'en']"),
            InputError,
            "several configurations: 'de', 'en'",
        ),
        (ValueError("Bad split: dev. Available splits: ['train']"), InputError, "Bad split: dev"),
    ],
)
def test_errors_are_explained(error, kind, says):
    found = explained(error, "org/name")
    assert isinstance(found, kind) and says in str(found) and "\n" not in str(found)


def test_a_script_data_set_says_how_to_get_its_copy_in_parquet():
    error = RuntimeError("Dataset scripts are no longer supported, but found x.py")
    for source in ("org/name:de@test", "hf://org/name"):
        hint = explained(error, source).hint
        assert "hf download org/name --repo-type dataset --revision refs/convert/parquet" in hint


def test_missing_and_gated_data_sets():
    errors = pytest.importorskip("datasets.exceptions")
    missing = errors.DatasetNotFoundError("Dataset 'a/b' doesn't exist on the Hub")
    gated = errors.DatasetNotFoundError("Dataset 'a/b' is a gated dataset on the Hub.")
    assert isinstance(explained(missing, "a/b"), InputError)
    assert isinstance(explained(gated, "a/b"), NetworkError)
