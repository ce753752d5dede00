# make run     start the server on 1935 (no configuration needed)
# make test    unit, golden and end-to-end tests, all from pip
# make wheel   dist/rtmpd-*.whl with the hot modules compiled; needs a C compiler and Python's headers
# make test-compiled   the same tests as make test, against that wheel
# make test-floors     some tests with the oldest dependencies that pyproject.toml allows
# make test-console    the console in a real browser; needs chromium, nodejs and npm
# make vendor  fetch what browsers are given of others, at the versions in vendor.py; needs npm
# make docs    write what of docs is made from the code: tables, docs/openapi.json
# make lint types interop bench attacks bench-gate   see the targets below
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where the wheel is installed: what is installed into $(VENV) are links to server/.
COMPILED_VENV := .venv-compiled
COMPILED_BIN := $(COMPILED_VENV)/bin
FLOORS_VENV := .venv-floors
# Empty but for pip: mypy finds whatever is installed beside the pip that builds, and would hide what hatch_build.py lacks.
BUILD_VENV := .venv-build
# Python's container images set it: each of the hundreds of servers that the tests start would compile itself anew.
export PYTHONDONTWRITEBYTECODE :=

# A venv that failed, as Debian's python3 without python3-venv makes it, has a python and no pip.
define make_venv
@$(1)/bin/python -m pip --version >/dev/null 2>&1 || { \
  rm -rf $(1); \
  $(PYTHON) -m venv $(1) || { \
    rm -rf $(1); \
    echo "No virtual environment. On Debian and Ubuntu: apt install python3-venv, then make again." >&2; \
    exit 1; \
  }; \
}
endef

.PHONY: run wheel test test-compiled test-floors test-console vendor docs pictures lint types format interop fuzz bench attacks bench-gate clean
.DEFAULT_GOAL := run

$(VENV)/.runtime: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rtmpd needs Python 3.11 or newer; try: make PYTHON=python3.11 run")'
	$(call make_venv,$(VENV))
	@echo "Installing rtmpd and what it needs into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime
	@echo "Installing what the tests need into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,contract]'
	@touch $@

run: $(VENV)/.runtime
	exec $(BIN)/rtmpd serve

dist/.built: hatch_build.py pyproject.toml README.md LICENSE $(shell find server -type f -not -name '*.pyc')
	$(call make_venv,$(BUILD_VENV))
	rm -f dist/*.whl
	HATCH_BUILD_HOOKS_ENABLE=1 $(BUILD_VENV)/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@touch $@

wheel: dist/.built

$(COMPILED_VENV)/.dev: dist/.built
	$(call make_venv,$(COMPILED_VENV))
	$(COMPILED_BIN)/python -m pip install --quiet --disable-pip-version-check "$$(echo ./dist/*.whl)[dev,contract]"
	$(COMPILED_BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall dist/*.whl
	@touch $@

# Two more than there are cores: the tests spend half of their time waiting for servers and clients, and most of those who
# do stand together, if they are not mixed. Who has nothing left takes tests of others.
CORES := $(shell nproc 2>/dev/null || echo 3)
WORKERS := $(shell expr $(CORES) + 2) --dist worksteal --mixed

ELSEWHERE := not interop and not console and not fuzz and not types

test: $(VENV)/.dev
	$(BIN)/python -m pytest -m "$(ELSEWHERE)" -n $(WORKERS)

# Sources, documents and what is deployed are the same in both forms.
SAME_IN_BOTH := docs deploy imports multitrack test_architecture.py test_config_file.py test_makefile.py test_systemd.py
# The script and not python -m, which would put this directory on the path.
test-compiled: $(COMPILED_VENV)/.dev
	EXPECT_COMPILED=1 $(COMPILED_BIN)/pytest -o "pythonpath=tests bench" -m "$(ELSEWHERE)" -n $(WORKERS) $(SAME_IN_BOTH:%=--ignore=tests/%)

# With every dependency at the lowest version that pyproject.toml allows.
FLOORS := import sys, tomllib; \
  print(*tomllib.load(sys.stdin.buffer)["project"]["dependencies"], sep="\n")
$(FLOORS_VENV)/.dev: pyproject.toml
	$(call make_venv,$(FLOORS_VENV))
	@$(FLOORS_VENV)/bin/python -c '$(FLOORS)' < pyproject.toml | sed 's/>=/==/' > $(FLOORS_VENV)/floors.txt
	@$(FLOORS_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]' --constraint $(FLOORS_VENV)/floors.txt
	@touch $@

# Not the tests of the command line: they read its output through click, whose oldest version cannot tell errors apart.
FLOORS_TESTS := tests/net/test_dial.py tests/daemon/test_config.py tests/daemon/test_worker.py tests/web tests/e2e/test_operation.py tests/test_config_file.py \
  --ignore=tests/web/test_schemathesis.py
test-floors: $(FLOORS_VENV)/.dev
	$(FLOORS_VENV)/bin/python -m pytest -n auto $(FLOORS_TESTS)

vendor: $(VENV)/.runtime
	$(BIN)/python vendor.py

docs: $(VENV)/.dev
	$(BIN)/python docs/generate.py
	WRITE_DOCS=1 $(BIN)/python -m pytest -q tests/docs/test_hooks_page.py

# What the README shows, of a server that runs; needs ffmpeg and chromium, and takes a minute.
pictures: $(VENV)/.dev
	$(BIN)/python docs/pictures.py

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -m types tests/test_form.py
	MYPYPATH=server:bench $(BIN)/mypy --strict bench/*.py bench/hostile/*.py bench/regression/*.py docs/*.py vendor.py

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# 20,000 spoilt recordings, each cut in four ways.
fuzz: $(VENV)/.dev
	$(BIN)/python -m pytest -m fuzz -n auto

# The console and the page in a real browser: Debian's chromium, driven by playwright-core from npm. More than two at a time
# want more than two cores.
test-console: $(VENV)/.dev
	$(BIN)/python -m pytest -m console -n 2 --dist worksteal

# One more than there are cores: players must not stall.
interop: $(VENV)/.dev
	$(BIN)/python -m pytest -m interop -n $(shell expr $(CORES) + 1) --dist worksteal

BENCH := startup fanout latency ingest join small_streams slow_players overload

# Takes an hour, and a machine with two cores and nothing else to do. BENCH_OPTIONS=--quick shows that it works.
bench: $(VENV)/.dev
	for name in $(BENCH); do $(BIN)/python bench/$$name.py $(BENCH_OPTIONS) || exit 1; done
	for name in unread_joins reload micro; do $(BIN)/python bench/$$name.py $(filter --quick,$(BENCH_OPTIONS)) || exit 1; done

# A quarter of an hour; ATTACK_OPTIONS=--quick takes three minutes.
attacks: $(VENV)/.dev
	$(BIN)/python bench/attacks.py $(ATTACK_OPTIONS)

bench-gate: $(VENV)/.dev
	$(BIN)/python bench/regression/gate.py

clean:
	rm -rf $(VENV) $(COMPILED_VENV) $(FLOORS_VENV) $(BUILD_VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
