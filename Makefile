# The few commands of everyday work. `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
TEST := $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo test processors check clean

help:
	@echo "make install   create $(VENV) with everything in it (PYTHON=python3.12 picks another Python)"
	@echo "make demo      train and evaluate the flagship models on embedded data, report on drawn posts"
	@echo "make test      run the tests"
	@echo "make processors   golden and repeatability tests with the kernels of other processors"
	@echo "make check     formatting, lint, types and tests: what must pass before a commit"
	@echo "make clean     remove caches and build outputs; runs/, data/ and $(VENV) stay"

install: $(INSTALLED)

# Runs once, and again when the requirements change.
$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "$(PYTHON) is not Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	@test -x $(BIN)/python || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@echo "installing marketorch and what it needs into $(VENV); the first time takes minutes"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e ".[dev,notebook,app,boost,benchmark,export]"
	@touch $@

demo: install
	@$(BIN)/python scripts/demo.py

test: install
	@$(TEST)

processors: install
	@$(BIN)/python scripts/processors.py

check: install
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(TEST)

clean:
	@rm -rf build dist .pytest_cache .mypy_cache .ruff_cache
	@find src scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "removed caches and build outputs"
