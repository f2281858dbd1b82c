# `make help` lists the targets. Everything is installed into .venv; nothing else is touched.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# The targets of `make test` must run in their order: what fails fast comes first.
.NOTPARALLEL:

PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
FITS := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'
# Expanded only when an environment has to be made.
FIND_PYTHON = for p in python3 python3.13 python3.12 python3.11; do \
	if $$p $(FITS) 2>/dev/null; then echo $$p; break; fi; done
PYTHON ?= $(shell $(FIND_PYTHON))
NO_PYTHON := No Python 3.11, 3.12 or 3.13 found. Install one, or name it: make PYTHON=/path/to/python3

.PHONY: help env book page test unit notebooks pages browser serve offline pdf handouts lock sync lint results times seeds bench clean

help:  ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## */  make \1\t/' | expand -t 20

env: $(STAMP)  ## Make .venv and install what requirements.lock says (idempotent)

$(STAMP): requirements.lock pyproject.toml
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) $(FITS) 2>/dev/null; then echo "$(NO_PYTHON)" >&2; exit 2; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(PYTHON) cannot make environments. On Debian or Ubuntu: apt install python3-venv" >&2; exit 2; fi
	@# An environment whose interpreter is gone, or too old or too new, is made again.
	@if ! $(BIN)/python $(FITS) 2>/dev/null; then \
		echo "Making $(VENV) with $$($(PYTHON) --version)"; $(PYTHON) -m venv --clear $(VENV); fi
	@echo "Installing from requirements.lock into $(VENV) (about 7 GB on disk, minutes the first time)"
	@if [ ! -x $(BIN)/uv ]; then $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.5,<1'; fi
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode -r requirements.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation -e .
	@touch $(STAMP)
	@echo "Ready: $(BIN)/python"

book: $(STAMP)  ## Execute the notebooks and build _build/html; warnings are errors
	@$(BIN)/python book/tools/build.py

page: $(STAMP)  ## Build one page while writing it: make page NAME=notebooks/03_sensitivity
	@$(BIN)/python book/tools/build.py --page "$(NAME)"

test: $(STAMP) lint browser unit notebooks book pages  ## Everything; 15 to 25 minutes on 2 quiet cores
	@echo "All tests passed."

unit: $(STAMP)  ## The fast tests only
	@$(BIN)/python -m pytest -q -n 2 -m "not notebook and not book"

notebooks: $(STAMP)  ## Every notebook through papermill, profile smoke
	@$(BIN)/python -m pytest -q -n 2 -m notebook --durations=0 --durations-min=1

pages: $(STAMP)  ## The built pages in a headless browser
	@$(BIN)/python -m pytest -q -m book

browser:
	@if command -v chromium >/dev/null && command -v chromedriver >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing chromium"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
			--no-install-recommends chromium chromium-driver >/dev/null && exit 0; fi; \
	echo "################ NO CHROMIUM: the built pages will NOT be tested in a browser."; \
	echo "################ Install it (Debian: apt install chromium chromium-driver)."; \
	if [ "$${QUEEN_REQUIRE_BROWSER:-}" = 1 ]; then exit 2; fi

serve: $(STAMP)  ## Show the built book on localhost (PORT=8000)
	@if [ ! -f _build/html/index.html ]; then echo "No book yet: run make book" >&2; exit 2; fi
	@if ! [[ "$(PORT)" =~ ^[0-9]{1,5}$$ ]] || (( 10#$(PORT) < 1 || 10#$(PORT) > 65535 )); then \
		echo "PORT: expected a number from 1 to 65535, got $(PORT)" >&2; exit 2; fi
	@echo "http://127.0.0.1:$(PORT)/ (stop with Ctrl-C)"
	@$(BIN)/python -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

offline: $(STAMP)  ## The built book as one zip in _build that opens from disk
	@$(BIN)/python book/tools/offline.py

pdf: $(STAMP)  ## The built book as one PDF in _build, printed by Chromium
	@$(BIN)/python book/tools/pdf.py

handouts: $(STAMP)  ## The chapters without solutions, for a class, into _build/handouts
	@$(BIN)/python book/tools/handouts.py

lock: $(STAMP)  ## Renew requirements.lock from pyproject.toml (KEEP=1: only add what is missing)
	@$(BIN)/uv pip compile --quiet $(if $(KEEP),,--upgrade) --universal --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --extra dev pyproject.toml -o requirements.lock

results: $(STAMP)  ## Measure the lines of chapter 8, book/results/arena.jsonl; hours, goes on where it was
	@$(BIN)/python book/tools/grids.py

times: $(STAMP)  ## Measure each chapter in smoke and cpu into book/results/times.json; goes on where it was
	@$(BIN)/python book/tools/times.py

seeds: $(STAMP)  ## Every chapter with other seeds and thread counts; hours, goes on where it was
	@$(BIN)/python book/tools/seeds.py

sync: $(STAMP)  ## Bring each notebook's .md and .ipynb in line (the one you changed wins), without outputs
	@$(BIN)/python book/tools/sync.py

lint: $(STAMP)  ## ruff, its format, and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(STAMP)  ## Time per query and per training step, in ratios; also into _build/benchmarks.json
	@$(BIN)/python -m benchmarks.all

clean:  ## Throw away the built book and the caches, not .venv
	@rm -rf _build build .pytest_cache .ruff_cache .mypy_cache .hypothesis book/assets/plotly.min.js
