# `make run` starts Attune on this machine; `make test` runs the whole suite. Both install what they need first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test ldap chaos lint audit format bench lock check-tools clean
.DEFAULT_GOAL := help

help:
	@echo "make run     start Attune here (web, workers, sensors in one process)"
	@echo "make test    run every test"
	@echo "make ldap    install what signing in by LDAP needs"
	@echo "make chaos   kill, freeze and cut everything for ten minutes, and count what is left"
	@echo "make lint    ruff, mypy, migrations, deployment checks, published vulnerabilities"
	@echo "make audit   published vulnerabilities alone; no answer is a failure here"
	@echo "make bench   measure speed and memory"
	@echo "make lock    pin what the requirements bring along"

run: $(VENV)/installed check-tools
	@exec $(BIN)/python manage.py up

test: $(VENV)/installed-dev .venv-sdk/installed ldap
	@$(BIN)/python -m tests.run $(TESTS)

chaos: $(VENV)/installed-dev
	@CHAOS_SEED=$(SEED) $(BIN)/python -m tests.chaos $(TESTS)

lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run
	@$(BIN)/python -m tests.deploy_check
	@if $(MAKE) --no-print-directory -s .venv-audit/installed; \
	then .venv-audit/bin/python -m tests.vulnerability_check --tolerant; \
	else echo "NOT RUN: the look for published vulnerabilities: pip-audit could not be installed."; fi

audit: .venv-audit/installed
	@.venv-audit/bin/python -m tests.vulnerability_check

format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/installed-dev
	@$(BIN)/python -m benchmarks $(BENCH)

lock: $(VENV)/installed
	$(BIN)/uv pip compile -q requirements.txt -o requirements.lock --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
	$(BIN)/uv pip compile -q requirements-dev.txt -o requirements-dev.lock --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
	$(BIN)/uv pip compile -q requirements-audit.txt -o requirements-audit.lock --universal --python-version 3.11 --generate-hashes --no-header --no-annotate
	$(BIN)/uv pip compile -q requirements-ldap.txt -c requirements.lock -o requirements-ldap.lock --universal --python-version 3.11 --generate-hashes --no-header --no-annotate

check-tools:
	@missing=""; for tool in bash jq curl; do command -v $$tool >/dev/null 2>&1 || missing="$$missing $$tool"; done; \
	if [ -n "$$missing" ]; then \
	  echo "The core pack's shell actions need:$$missing"; \
	  echo "  Debian, Ubuntu: sudo apt-get install$$missing"; \
	  echo "  macOS:          brew install$$missing"; \
	  exit 1; \
	fi

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Attune needs Python 3.11 or newer; name one with: make run PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian and Ubuntu: sudo apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/installed: requirements.lock $(VENV)/bin/attune | $(VENV)/bin/python
	@echo "Installing what Attune needs into $(VENV) …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# The command, as a script that finds this folder. A package that is installed would put `attune` on every program's path.
$(VENV)/bin/attune: attune/cli/launcher | $(VENV)/bin/python
	@sed 's|@FOLDER@|$(CURDIR)|g; s|@PYTHON@|$(CURDIR)/$(BIN)/python|g' attune/cli/launcher > $@
	@chmod +x $@

$(VENV)/installed-dev: requirements-dev.lock $(VENV)/installed
	@echo "Installing what its tests need …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# python-ldap has to be compiled; where that cannot be done its tests are not run, and say so.
ldap: $(VENV)/installed-dev
	@if printf '#include <ldap.h>\n#include <sasl/sasl.h>\n' | $${CC:-cc} -E - >/dev/null 2>&1; then $(MAKE) --no-print-directory $(VENV)/installed-ldap; fi

$(VENV)/installed-ldap: requirements-ldap.lock $(VENV)/installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-ldap.lock
	@touch $@

.venv-sdk/installed: requirements-sdk.txt $(VENV)/installed
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-sdk
	@$(BIN)/uv pip install --quiet --python .venv-sdk/bin/python -r requirements-sdk.txt
	@touch $@

# pip-audit, apart from what it judges.
.venv-audit/installed: requirements-audit.lock $(VENV)/installed
	@$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv-audit
	@$(BIN)/uv pip install --quiet --require-hashes --python .venv-audit/bin/python -r requirements-audit.lock
	@touch $@

clean:
	rm -rf $(VENV) .venv-sdk .venv-audit .mypy_cache .ruff_cache .pytest_cache
