# Needs Python >= 3.11 with its venv module, and make. Everything else goes into .venv (with uv where it is on the PATH, else pip).

PYTHON ?= python3
WORKERS ?= auto

BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)
STAMPS := .venv/.stamps
INPUTS := pyproject.toml constraints.txt

export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The versions below hold for the build backend too; pip and uv, old and new, read them from different places.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt
export UV_CONSTRAINT := $(CURDIR)/constraints.txt
export UV_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt

ifeq ($(UV),)
INSTALL = $(BIN)/python -m pip install --quiet
else
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
endif

.PHONY: help demo test lint bench clean
.DELETE_ON_ERROR:

help:
	@echo 'make demo    run examples/library_report.weft.yaml: a report on your Python standard library'
	@echo 'make test    lint, types and all tests'
	@echo 'make lint    ruff and mypy only'
	@echo 'make bench   weft against its controls (needs the harness: BENCH_PEERS=folder)'
	@echo 'make clean   remove what make, the tests and the demo left behind, .venv included'

demo: $(STAMPS)/core
	$(BIN)/weft run examples/library_report.weft.yaml

# Counting lines doubles the time of what runs mostly in the core, so only those tests are counted that alone must reach all of it.
COUNTED = tests/core tests/model tests/formats
PYTEST = $(BIN)/pytest --numprocesses=$(WORKERS) --maxprocesses=8 --dist=worksteal

test: lint
	$(PYTEST) $(COUNTED) --cov=weft.model --cov=weft.core --cov-branch --cov-report=term-missing:skip-covered --cov-fail-under=100
	$(PYTEST) tests $(COUNTED:%=--ignore=%)

lint: $(STAMPS)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(STAMPS)/dev
	$(BIN)/python benchmarks/bench.py $(BENCH_ARGS)

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.* dist build library-report examples/library-report
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo 'weft needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3' >&2; exit 1; }
ifeq ($(UV),)
	$(PYTHON) -m venv .venv
else
	$(UV) venv --quiet --python $(PYTHON) .venv
endif

$(STAMPS)/core: $(INPUTS) | $(BIN)/python
	$(INSTALL) -e .
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/dev: $(INPUTS) | $(BIN)/python
	$(INSTALL) -e '.[dev]'
	@mkdir -p $(STAMPS) && touch $(STAMPS)/core $@
