# make run     start the server on 1935 (no configuration needed)
# make test    unit, golden and end-to-end tests, all from pip
# make lint types interop bench bench-gate   see the targets below
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint types format interop bench bench-gate clean
.DEFAULT_GOAL := run

$(VENV)/.runtime: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtmpd needs Python 3.11 or newer; try: make PYTHON=python3.11 run")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.runtime
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

run: $(VENV)/.runtime
	exec $(BIN)/rtmpd serve

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "not interop" -n auto

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy
	MYPYPATH=server:bench $(BIN)/mypy --strict bench/*.py bench/regression/*.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

interop: $(VENV)/.dev
	$(BIN)/python -m pytest -m interop

BENCH := fanout latency ingest join small_streams slow_players

# Takes an hour, and a machine with two cores and nothing else to do. BENCH_OPTIONS=--quick shows that it works.
bench: $(VENV)/.dev
	for name in $(BENCH); do $(BIN)/python bench/$$name.py $(BENCH_OPTIONS) || exit 1; done
	$(BIN)/python bench/micro.py $(filter --quick,$(BENCH_OPTIONS))

bench-gate: $(VENV)/.dev
	$(BIN)/python bench/regression/gate.py

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
