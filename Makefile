# `make` alone says what there is. `make run` and `make test` are enough: both install what is missing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# What only tests, linters and whoever changes the code need: some 800 MB more.
DEV := $(VENV)/.installed-dev
# Tools that write files of the project and that neither the service nor its tests need.
TOOLS := $(VENV)/tools
.DEFAULT_GOAL := help

.PHONY: help setup run test test-all lint check lock licences sbom pictures clean

help: ## what can be made, and what it is for
	@echo "Decision support for charted muscle twitching. Start here:"
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-18s %s\n", $$1, $$2}'
	@echo
	@echo "Another Python: make PYTHON=python3.12 run. First steps: docs/quick-start.md. Changing things: CONTRIBUTING.md."

setup: $(STAMP) ## install the service and its commands into .venv (run and test do it by themselves)

run: $(STAMP) ## serve on http://127.0.0.1:8000, with the workbench
	$(BIN)/cds-service serve

test: $(DEV) lint ## everything that must hold before a commit, in less than five minutes
	$(BIN)/python -m pytest -n auto -m "not apt"

# Also what needs a Debian package: installed when that is allowed, else the test that needs it fails and names it.
test-all: $(DEV) lint ## the same with nginx, Java and a browser: what continuous integration runs
	@PATH="$$PATH:/usr/sbin"; command -v nginx >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q nginx-light; } \
	|| echo "nginx is missing: apt-get install nginx-light"
	@command -v java >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q default-jre-headless; } \
	|| echo "Java is missing: apt-get install default-jre-headless"
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -q && apt-get install -y -q chromium; } \
	|| echo "chromium is missing: apt-get install chromium"
	$(BIN)/python -m pytest -n auto

lint: $(DEV) ## linter, formatter, types, direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: $(STAMP) ## the clinical content: every rule, every worked example
	$(BIN)/cds-service check-content

lock: $(TOOLS) ## requirements.lock from pyproject.toml, with hashes, and the list of licences
	$(TOOLS)/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
	    --extra postgresql --custom-compile-command "make lock" --output-file requirements.lock pyproject.toml
	$(MAKE) licences

licences: $(DEV) ## docs/licences.md from what is locked; fails for a licence nobody has looked at
	$(BIN)/python .ci/licences.py

sbom: $(TOOLS) ## the bill of materials of what is locked, as CycloneDX: sbom.json
	$(TOOLS)/bin/cyclonedx-py requirements --pyproject pyproject.toml --output-file sbom.json requirements.lock
	@echo "Written: sbom.json"

pictures: $(DEV) ## the pictures in docs/images, from the pages as they are (needs chromium)
	$(BIN)/python -m pytest tests/browser/test_pictures.py
	cp tests/browser/screenshots/card.png docs/images/

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 run")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[review]'
	touch $@

$(DEV): $(STAMP)
	$(BIN)/python -m pip install --quiet --group dev
	touch $@

$(TOOLS): $(STAMP)
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet "uv>=0.9" "cyclonedx-bom>=7"

clean: ## remove what was installed and built
	rm -rf $(VENV) build dist sbom.json .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
