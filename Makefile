# Everything from a fresh clone with Python 3.11+ and make: `make demo`, `make test`.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo test check bench adapters clean
.DEFAULT_GOAL := help

help:
	@echo "make demo      set everything up and run the demo through a real Envoy"
	@echo "make test      set everything up and run the tests"
	@echo "make check     linters, types, import rules"
	@echo "make bench     benchmarks: ratios against a baseline of the same run"
	@echo "make adapters  rebuild the Wasm modules (needs Rust; see CONTRIBUTING.md)"

# uv resolves and installs in seconds; it comes from PyPI like the rest.
$(VENV)/installed: pyproject.toml
	@echo "Setting up $(VENV) (downloads about 200 MB the first time)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --group dev --editable '.[demo]'
	@# xds-protos brings an old copy of these files; whichever is installed last stays.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --reinstall-package opentelemetry-proto \
	  opentelemetry-proto
	@touch $@

demo: $(VENV)/installed
	@$(BIN)/mixer demo

test: $(VENV)/installed
	@$(BIN)/python -m pytest -n auto --dist loadfile

check: $(VENV)/installed
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/installed
	@$(BIN)/python -m tests.benchmarks

adapters:
	@adapters/build.sh

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
