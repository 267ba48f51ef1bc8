# What a developer types.  `make` alone lists it.
#
# PYTHON=python3.12   another interpreter for a new .venv
# BENCH_PYTHON=…      another interpreter to measure
# ARGS="-k name"      more arguments for the program that is run
# JOBS=4              test processes side by side
# LOCKED=1            install exactly what tests/requirements.txt names, by hash

PYTHON ?= python3
JOBS   ?= 2
ARGS   ?=
LOCKED ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check install --quiet

# What is measured is Python as a distribution compiles it, after a look at Python at work.  One that was compiled without
# (by pyenv, for one) takes a quarter longer for the same.
BENCH_PYTHON ?= $(shell for python in /usr/bin/python3 $(PYTHON); do \
	$$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)

# Where nothing compiled is kept, each test process compiles the tests anew, and each started program the bridge.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help serve test test-slow check bench measure lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: $(VENV)/.server ## run the demo on http://127.0.0.1:8000
	$(BIN)/login-bridge serve --demo $(ARGS)

test: $(VENV)/.dev ## run every test that is quick
	$(BIN)/python -m pytest -m "not slow" -n $(JOBS) --dist worksteal $(ARGS)

test-slow: $(VENV)/.dev ## run the tests that take their time
	$(BIN)/python -m pytest -m slow $(ARGS)

check: $(VENV)/.dev ## all that a change must pass: format, lint, types, import order, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/pyright
	PATH="$(CURDIR)/$(BIN):$$PATH" pyright --verifytypes bridge --ignoreexternal  # asks the first python of PATH
	$(MAKE) test

bench: ## measure, as docs/benchmarks.md says
	@$(MAKE) --no-print-directory VENV=$(VENV)/bench PYTHON=$(or $(BENCH_PYTHON),$(PYTHON)) measure

measure: $(VENV)/.dev ## the same, on the Python of .venv
	$(BIN)/python -m tests.benchmarks $(ARGS)

lock: $(VENV)/.dev ## write tests/requirements.txt anew
	$(BIN)/python -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip --disable-pip-version-check install --quiet uv
	$(VENV)/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
		--no-emit-package login-bridge --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--extra dev --output-file tests/requirements.txt pyproject.toml

clean: ## remove what can be made again; var/ with its users and keys stays
	rm -rf .venv dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	find bridge tests examples -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

# `.[dev]` contains `.[server]`: whoever ran the tests need not install again to serve.
ifeq ($(LOCKED),)
$(VENV)/.server: $(BIN)/pip pyproject.toml
	@[ $(VENV)/.dev -nt pyproject.toml ] || { echo "installing login-bridge[server] …"; $(PIP) --editable '.[server]'; }
	@touch $@

$(VENV)/.dev: $(BIN)/pip pyproject.toml
	@echo "installing login-bridge[dev] …"
	@$(PIP) --editable '.[dev]'
	@touch $@
else
$(VENV)/.server: $(VENV)/.dev
	@touch $@

$(VENV)/.dev: $(BIN)/pip pyproject.toml tests/requirements.txt
	@echo "installing what tests/requirements.txt names …"
	@$(PIP) --require-hashes --only-binary :all: --requirement tests/requirements.txt
	@$(PIP) --no-deps --editable .
	@touch $@
endif

$(BIN)/pip:
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here. Name yours: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "login-bridge needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "No virtual environment could be made; on Debian and Ubuntu: apt install python3-venv"; exit 1; }
