PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := runs/demo-$(shell date +%Y%m%d-%H%M%S)
export TOKENIZERS_PARALLELISM = false
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help setup demo test check bench docs pages clean

help:  ## show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-8s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make the environment (.venv)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing torch and all else into $(VENV): some minutes, without a word in between."
	$(BIN)/python -m pip install -q -c constraints.txt torch
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	touch $(STAMP)

demo: export HF_HUB_OFFLINE = 1
demo: $(STAMP)  ## train on the sample corpus, evaluate, classify new clauses
	$(BIN)/smallprint train sample --out $(DEMO)
	$(BIN)/smallprint evaluate $(DEMO) sample
	$(BIN)/smallprint predict $(DEMO) examples/new_clauses.csv -o $(DEMO)/new_clauses_labelled.csv
	@$(BIN)/python examples/show_answers.py $(DEMO)/new_clauses_labelled.csv
	@echo
	@echo "Bundle:          $(DEMO)/bundle"
	@echo "Report:          $(DEMO)/report.html (open it in a browser)"
	@echo "Labelled rows:   $(DEMO)/new_clauses_labelled.csv"
	@echo "Tracking store:  runs/mlflow.db (see it with: $(BIN)/smallprint ui)"

test: export OMP_NUM_THREADS = 1
test: $(STAMP)  ## run the tests, files side by side on all processors
	$(BIN)/python -m pytest -q -n auto --dist loadfile

check: $(STAMP)  ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)  ## train first tasks and figure 1, and rewrite the results (hours; needs the data folder, SMALLPRINT_DATA)
	$(BIN)/python benchmarks/first_results.py
	$(BIN)/python benchmarks/figure1.py

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(STAMP)  ## build the site into site/ (no network; a warning is an error)
	$(BIN)/python -m mkdocs build --strict
	@echo "Open site/index.html in a browser."

pages: $(STAMP)  ## draw the figures and put measured numbers into README and docs, from benchmarks/results
	$(BIN)/python benchmarks/figure1.py --render
	$(BIN)/python docs/figures.py
	$(BIN)/python benchmarks/pages.py
	$(BIN)/python examples/notebook.py

clean:  ## remove the environment and caches, not runs
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist site
