# Everything from a fresh checkout, with nothing but Python >= 3.11 (with venv) and make.
# Each step leaves a stamp, so that a second call starts at once.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

.PHONY: run test check bench nightly front-end browser docs compiled pictures clean

run: $(VENV)/run.stamp front-end compiled
	@$(BIN)/guanxi init --demo
	@exec $(BIN)/guanxi serve

test: $(VENV)/test.stamp front-end browser compiled
	$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST_ARGS)

check: $(VENV)/check.stamp front-end
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/guanxi plugin check plugins/card_types
	$(BIN)/guanxi plugin check plugins/discount_rules
	$(BIN)/guanxi plugin check plugins/points_rules
	$(BIN)/guanxi schema check schemas
	$(BIN)/python -m tests.contract.documents --check
	$(BIN)/python -m core.web.vendor types

bench: $(VENV)/test.stamp compiled
	@$(BIN)/python -m tests.bench $(if $(JSON),--json $(JSON))

nightly: $(VENV)/test.stamp front-end browser
	GUANXI_CAMPAIGN=nightly $(BIN)/python -m pytest $(PYTEST_ARGS)

# Reference pages are made from the code; `make check` fails when they are behind.
docs: $(VENV)/test.stamp
	$(BIN)/python -m tests.contract.documents

# The README's pictures are taken of the product itself, with its demo data.
pictures: $(VENV)/test.stamp front-end browser
	$(BIN)/python -m tests.e2e.pictures

front-end: $(VENV)/run.stamp
	@$(BIN)/python -m core.web.vendor

# As installing a package does: a server starts a fifth sooner, even where Python may not write.
compiled: $(VENV)/run.stamp
	@$(BIN)/python -m compileall -q core plugins

browser: $(VENV)/test.stamp
	@$(BIN)/python -m core.testing.browser

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: setup.cfg requirements.lock | $(VENV)/bin/python
	$(PIP) install -c requirements.lock -e .
	@touch $@

$(VENV)/test.stamp: $(VENV)/run.stamp
	$(PIP) install -c requirements.lock -e '.[test]'
	@touch $@

$(VENV)/check.stamp: $(VENV)/test.stamp
	$(PIP) install -c requirements.lock -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) node_modules core/web/static/vendor build *.egg-info
