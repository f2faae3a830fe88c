# `make demo` and `make test` need nothing but Python 3.11: each makes .venv and installs into it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test slow check format bench docs clean

demo: $(INSTALLED)
	$(BIN)/hfkit demo

test: $(INSTALLED)
	$(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow"

slow: $(INSTALLED)
	$(BIN)/python -m pytest -q -m slow
	HFKIT_FAULTS=full $(BIN)/python -m pytest -q -m faults

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(INSTALLED)
	$(BIN)/python -m benchmarks.speed

# Without --quiet: it keeps --strict from seeing the warnings.
docs: $(INSTALLED)
	$(BIN)/python -m hfkit.cli.reference docs/cli.md
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python tests/website.py site

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[demo,dev]'
	touch $@

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache
