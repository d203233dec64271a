# NRM Hub. `make` lists what there is. Everything is made inside this folder (.venv) and
# from pinned, hashed packages; repeated runs reuse what is up to date.

SHELL := /bin/sh
.DEFAULT_GOAL := help
SCENARIO ?=
KAFKA ?=
MINUTES ?= 60
WORKERS ?= 3
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3 python; do \
	  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

VENV := .venv
BIN := $(VENV)/bin
CODE := hub schemas connectors consumers

.PHONY: help setup install demo test thorough check bench soak fhir-validate lock kafka-lock fhir-server-lock test-services clean

help:
	@echo 'make demo        a whole case through hub and partners, on this machine (SCENARIO=S4, KAFKA=1)'
	@echo 'make test        everything: style, types, import rules, schemas, all tests on real servers'
	@echo 'make thorough    make test, with more repetitions, stories and sizes'
	@echo 'make check       the same without Kafka, PostgreSQL, MariaDB, FHIR, OpenSSH, GnuPG, provider and browser (quick)'
	@echo 'make install     .venv with what a hub or a connector needs to run, and no more'
	@echo 'make setup       .venv with everything a developer needs'
	@echo 'make bench       how fast the parts are on this machine'
	@echo 'make soak        load under faults and kills, for MINUTES each (60)'
	@echo 'make fhir-validate  hold what is exported as FHIR against HL7 R4 with HAPI (Java; fetches 85 MB)'
	@echo 'make test-services  install what the tests start: PostgreSQL, MariaDB, OpenSSH, Go, node, Chromium, Kafka, FHIR'
	@echo 'make lock        write requirements*.lock anew from pyproject.toml'
	@echo 'make kafka-lock  write the lists of Kafka and Connect jars anew from deploy/kafka/*pom.xml (needs Maven)'
	@echo 'make fhir-server-lock  the same of the FHIR server that tests start'
	@echo 'make clean       remove everything made here'

setup: $(VENV)/.developer
	@echo 'Ready: . $(VENV)/bin/activate'

install: $(VENV)/.user
	@echo 'Ready: $(BIN)/nrm-hub'

demo: $(VENV)/$(if $(KAFKA),.developer,.user)
	$(BIN)/nrm-hub demo --fresh $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(KAFKA),--kafka)

test: $(VENV)/.developer
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=line test-services static compiled
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

thorough: export NRM_THOROUGH := 1
thorough: test

check: $(VENV)/.developer static
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile \
	  -m 'not kafka and not postgres and not mariadb and not fhir and not slow and not oidc and not browser and not sftp and not age and not gpg'

# Tests start hundreds of programs, and every worker reads every file of tests: what was compiled
# for one is kept for the next, also where the environment says that Python is to keep nothing.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: compiled
compiled: $(VENV)/.developer
	@$(BIN)/python -m pytest --quiet --collect-only >/dev/null

.PHONY: static
static: $(VENV)/.developer
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -W error deploy/schema_compatibility.py

test-services: $(VENV)/.developer
	@bash deploy/setup-test-services.sh $(BIN)/python

# Every tests/*/bench*.py and tests/*/soak*.py is a program, and finds what pytest's settings find.
PATHS := PYTHONPATH=.:deploy/nrm-verify:deploy/fhir-server
bench: $(VENV)/.developer
	@for file in $$(ls tests/*/bench*.py); do \
	  module=$$(echo "$${file%.py}" | tr / .); \
	  echo "== $$module"; $(PATHS) $(BIN)/python -W ignore -m "$$module" || exit 1; done

soak: $(VENV)/.developer test-services
	@for file in $$(ls tests/*/soak*.py); do \
	  module=$$(echo "$${file%.py}" | tr / .); \
	  echo "== $$module"; $(PATHS) $(BIN)/python -W ignore -m "$$module" --minutes $(MINUTES) || exit 1; done

fhir-validate: $(VENV)/.developer
	$(BIN)/python deploy/fhir/validate.py

lock: $(VENV)/.developer
	$(BIN)/uv pip compile --quiet pyproject.toml deploy/build-requirements.txt $(LOCK) \
	  --extra dev --extra dp --extra openpgp --extra otel --extra parquet --extra kafka-dev --output-file requirements-dev.lock
	$(BIN)/uv pip compile --quiet pyproject.toml deploy/build-requirements.txt $(LOCK) \
	  --constraint requirements-dev.lock --output-file requirements.lock
LOCK := --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header

kafka-lock:
	$(PYTHON) deploy/kafka/lock.py

fhir-server-lock:
	$(PYTHON) deploy/fhir-server/lock.py

clean:
	rm -rf $(VENV) build dist *.egg-info demo-home .artifacts
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The user's environment is what the hub itself needs; the developer's holds it too. A stamp
# is newer than its lock when everything in the lock is installed.

$(VENV)/.user: requirements.lock pyproject.toml deploy/nrm-verify/pyproject.toml
	@if [ $(VENV)/.developer -nt requirements-dev.lock ] && [ $(VENV)/.developer -nt pyproject.toml ]; \
	  then touch $@; else bash deploy/setup-venv.sh '$(PYTHON)' $(VENV) requirements.lock && touch $@; fi

$(VENV)/.developer: requirements-dev.lock pyproject.toml deploy/nrm-verify/pyproject.toml
	@bash deploy/setup-venv.sh '$(PYTHON)' $(VENV) requirements-dev.lock && touch $@
