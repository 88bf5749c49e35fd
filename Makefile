# The environment is made in .venv from requirements/dev.lock: the same versions everywhere, each file checked by its hash.
# Nothing else is needed but Python 3.11+, pip and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint lock bench docs notebook faults clean

.venv/ready: requirements/dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else "make: Python %d.%d found, 3.11 or newer needed: make PYTHON=python3.12 ..." % v[:2])'
	$(PYTHON) -m venv .venv
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements/dev.lock
	PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: .venv/ready  ## the quickstart study, on sounds that need no download, and its figure
	@$(BIN)/overhear sweep quickstart
	@$(BIN)/overhear analyze results/quickstart
	@echo
	@echo 'Records: results/quickstart (Parquet; overhear status results/quickstart)'
	@echo 'Figure:  results/quickstart/figures/accuracy_vs_parameters.png'
	@echo 'Next:    overhear sweep quickstart --repeats 3, or your own recordings: docs/tutorial.md'

test: .venv/ready  ## the whole suite; real recordings are found through OVERHEAR_DATA
	@$(BIN)/python -m pytest

lint: .venv/ready
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy overhear scaling sweeps analysis benchmarks

lock:  ## requirements/*.lock from pyproject.toml; UPGRADE=--upgrade for the newest versions
	@.ci/lock $(UPGRADE)

bench: .venv/ready  ## speed against what a user would pick instead, in one run and one table
	@$(BIN)/python benchmarks/all.py

docs: .venv/ready  ## the site in site/, without the network; a dead link or anchor fails
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo 'Site: site/index.html'

notebook: .venv/ready  ## runs docs/first_study.ipynb; an error in it fails
	@$(BIN)/jupyter-execute docs/first_study.ipynb

faults: .venv/ready  ## makes each failure of docs/faults.md happen
	@$(BIN)/python -m pytest -m fault

clean:  ## the environment; results stay
	rm -rf .venv .venv-lowest build site *.egg-info
