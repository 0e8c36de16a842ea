# Everything a newcomer needs; each target sets itself up.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	>/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/.ready
DEV := .venv/.dev
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
PLAN ?= reports/plans/sample.yml
# two workers, more where there are more cores
WORKERS ?= auto

.DEFAULT_GOAL := help
.PHONY: help report test lab lint bench sample lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "make: no Python 3.11, 3.12 or 3.13 with venv was found; name one with PYTHON=…" >&2; exit 1; }
	@echo "setting up .venv with $(PYTHON) (about a minute, once)"
	@$(PYTHON) -m venv --clear .venv
	@$(PIP) --require-hashes --no-deps -r requirements.lock
	@$(PIP) --no-deps -e .
	@touch $@

$(DEV): $(READY) requirements-dev.lock
	@echo "adding what tests need (about two minutes, once)"
	@$(PIP) --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

report: $(READY)  ## run the sample plan (or PLAN=…) and print the path of its index.html
	@$(BIN)/cx run $(PLAN)

test: $(DEV)  ## run every test, the notebooks included
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --nbval-lax --nbval-cell-timeout=120 tests cxlib notebooks

lab: $(READY)  ## open JupyterLab on its start page (loopback only, with its token)
	@$(BIN)/jupyter lab --ip=127.0.0.1 --ServerApp.root_dir=. $(if $(filter 0,$(shell id -u)),--allow-root) \
		--LabApp.default_url=/lab/tree/notebooks/start.ipynb \
		--ContentsManager.pre_save_hook=cxlib.notebook.store_without_outputs \
		--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate --LabApp.app_settings_dir=.jupyter

lint: $(DEV)  ## ruff and mypy
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: $(DEV)  ## measure speed, ratios in one run
	@$(PIP) -e '.[bench]'
	@$(BIN)/python tests/bench

sample: $(READY)  ## make data/sample again from its seed
	@$(BIN)/python -m cxlib.simulate data/sample

lock:  ## resolve the lock file anew (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

clean:  ## remove what was made: .venv, runs, caches
	@rm -rf .venv reports/runs .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
