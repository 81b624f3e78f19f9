# The commands of this project; `make` lists them.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# Variables of the user's shell that would change what Python loads and where packages go. With the last one, which
# container images set, each process would compile all modules again.
unexport PYTHONPATH PYTHONHOME PYTHONSAFEPATH PYTHONOPTIMIZE PYTHONWARNINGS PIP_TARGET PIP_PREFIX PYTHONDONTWRITEBYTECODE
export PIP_USER := 0

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .venv-tools
SOURCES := functions layers migrations sam_build scripts local tests bench

.PHONY: help
help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: dev
dev: $(VENV)/local ## Serve the API on http://127.0.0.1:3000 with a PostgreSQL of its own (settings: docs/development.md)
	@echo "Starting PostgreSQL and the gateway ..."
	@exec $(BIN)/python -m local serve

.PHONY: debug
debug: $(VENV)/dev ## Serve like `make dev`, but breakpoint() stops in this terminal (ATTACH=5678: in an editor that attaches)
	@echo "Starting PostgreSQL and the gateway ..."
	@exec $(if $(ATTACH),env ATTACH=$(ATTACH)) $(BIN)/python -X frozen_modules=off -m local debug

.PHONY: reset
reset: $(VENV)/local ## Empty the database of `make dev`
	@$(BIN)/python -m local reset

.PHONY: seed
seed: $(VENV)/local ## Fill the database of `make dev`, while it runs, with demo users, posts and votes
	@$(BIN)/python -m local seed

.PHONY: import
import: $(VENV)/local ## Copy a database of the course application into that of `make dev` (FROM=postgresql://...)
	@$(BIN)/python -m local import $(if $(FROM),"$(FROM)") $(if $(filter changes,$(ACCEPT)),--accept-changes)

.PHONY: psql
psql: $(VENV)/local ## Open the database of `make dev`
	@$(BIN)/python -m local psql

# Only all tests together reach full coverage, so ARGS switches the gate off.
.PHONY: test
test: $(VENV)/dev ## Run the tests with the coverage gate (ARGS=FILE: only these, without the gate; POSTGRES=18: on the newest PostgreSQL)
	$(BIN)/pytest $(or $(ARGS),--cov --cov-report=term)

ifdef POSTGRES
test: $(TOOLS)/postgres$(POSTGRES)/done
test: export POSTGRES_BINARIES = $(shell \
	echo "$(CURDIR)"/$(TOOLS)/postgres$(POSTGRES)/lib/python*/site-packages/*_postgres/pginstall/bin)
endif

.PHONY: test-long
test-long: $(VENV)/dev ## Run the tests that take minutes: faults, load, thousands of inputs (with PgBouncer if installed)
	$(BIN)/pytest -m long -n 0 -rs $(ARGS)

.PHONY: load
load: $(VENV)/dev ## Send a mixed workload for LOAD_SECONDS (30), print percentiles and errors (URL=https://...: to a deployed API)
	@PYTHONPATH=functions:layers/common/python:. $(BIN)/python -m tests.long.load $(URL)

.PHONY: check
check: $(VENV)/dev ## Check format, lint, types, imports, revisions, attacks, the template and the OpenAPI document
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	PYTHONPATH=functions:layers/common/python:. $(BIN)/lint-imports --no-cache
	PYTHONPATH=layers/common/python:. $(BIN)/python scripts/lint_revisions.py
	PYTHONPATH=functions:layers/common/python:. $(BIN)/python scripts/lint_attacks.py
	$(BIN)/python scripts/check_ceilings.py docs/openapi.json docs/performance.md
	$(MAKE) --no-print-directory template-check
	$(MAKE) --no-print-directory openapi-check

.PHONY: template-check
template-check: $(VENV)/dev $(TOOLS)/sam/done $(TOOLS)/checkov/done ## Check the template: SAM, cfn-lint with the serverless rules, checkov
	$(BIN)/cfn-lint --append-rules cfn_lint_serverless.rules -- template.yaml
	AWS_DEFAULT_REGION=us-east-1 $(SAM) validate --lint
	$(TOOLS)/checkov/bin/checkov --config-file .checkov.yaml

# A personal stack has the parameters of [personal] in samconfig.toml.
CONFIG = $(if $(NAME),personal,$(or $(STAGE),$(error say which: make $@ STAGE=dev)))
STACK = social-$(or $(NAME),$(STAGE),$(error say which: make $@ STAGE=dev))

.PHONY: deploy
deploy: $(TOOLS)/sam/done ## Build and deploy to your AWS account (STAGE=dev, staging or prod; STAGE=dev NAME=ann: your own stack)
	@[ -z "$(NAME)" ] || [ "$(STAGE)" = dev ] || { echo "error: a stack with a NAME has STAGE=dev" >&2; exit 1; }
	@case "$(NAME)" in dev|staging|prod|*[!a-z0-9-]*|-*) \
		echo "error: NAME is no stage, and has only a-z, 0-9 and -" >&2; exit 1; esac
	excluded=$$(PYTHONPATH=. $(TOOLS)/sam/bin/python scripts/check_parameters.py $(CONFIG) $(ARGS)) && \
		$(SAM) build --config-env $(CONFIG) $$excluded
	$(SAM) deploy --config-env $(CONFIG) --stack-name $(STACK) $(ARGS)

.PHONY: delete
delete: $(TOOLS)/sam/done ## Delete your own stack on AWS with its data (NAME=ann)
	@$(TOOLS)/sam/bin/python scripts/delete_stack.py $(or $(NAME),$(error say which: make delete NAME=ann))

.PHONY: logs
logs: $(TOOLS)/sam/done ## Follow the logs of all functions of a stack (STAGE=dev or NAME=ann; REQUEST=id: only this request)
	@$(TOOLS)/sam/bin/python scripts/follow_logs.py $(STACK) $(REQUEST)

.PHONY: smoke
smoke: $(VENV)/uv ## Use a deployed API once, with a new account (URL=https://...)
	$(BIN)/python scripts/smoke.py $(or $(URL),$(error name the API: make smoke URL=https://...))

.PHONY: openapi-check
openapi-check: $(VENV)/dev ## Check that docs/openapi.json matches the handlers, and breaks no client
	@$(DESCRIBE) | diff - docs/openapi.json || \
		{ echo "docs/openapi.json does not match the handlers: run make openapi" >&2; exit 1; }
	@$(BIN)/python scripts/breaking_changes.py docs/openapi.released.json docs/openapi.json || \
		{ echo "These changes break clients of the last release: see docs/development.md" >&2; exit 1; }

.PHONY: audit
audit: $(TOOLS)/audit/done ## Check the locked versions for known vulnerabilities, with the advisories of PyPI
	@for lock in $(LOCKS); do \
		$(TOOLS)/audit/bin/pip-audit --strict --disable-pip --progress-spinner off -r $$lock || exit 1; \
	done

.PHONY: openapi
openapi: $(VENV)/dev ## Generate docs/openapi.json from the handlers
	$(DESCRIBE) > docs/openapi.json

.PHONY: bench
bench: .venv-bench/done ## Measure the project, a floor and FastAPI, in twenty minutes (ARGS=--quick: in three)
	.venv-bench/bin/python -m bench $(ARGS)

.PHONY: format
format: $(VENV)/dev ## Format the code, and fix what ruff can fix
	$(BIN)/ruff check --fix-only --quiet $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: lock
lock: $(VENV)/uv ## Lock the newest versions that pyproject.toml allows
	rm -f requirements/{dev,local,audit,sam,checkov,postgres18,bench}.txt {layers/common,migrations}/requirements.txt
	$(LOCK) --group dev -o requirements/dev.txt
	$(LOCK) --group local -c requirements/dev.txt -o requirements/local.txt
	# email-validator needs dnspython only to look a domain up, which the functions do not do.
	$(LOCK) --group layer -c requirements/dev.txt --no-emit-package dnspython -o layers/common/requirements.txt
	$(LOCK) --group migrations -c requirements/dev.txt -o migrations/requirements.txt
	$(LOCK) --group audit -o requirements/audit.txt
	$(LOCK) --group sam -o requirements/sam.txt
	$(LOCK) --group checkov -o requirements/checkov.txt
	$(LOCK) --group postgres18 -o requirements/postgres18.txt
	$(LOCK:3.11=3.13) --group bench -o requirements/bench.txt

LOCKS := layers/common/requirements.txt migrations/requirements.txt $(sort $(wildcard requirements/*.txt))
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate \
	--python-version 3.11 pyproject.toml
DESCRIBE := PYTHONPATH=functions:layers/common/python $(BIN)/python scripts/openapi.py
INSTALL = $(UV) pip install --quiet --require-hashes
SAM := SAM_CLI_TELEMETRY=0 $(TOOLS)/sam/bin/sam

# Companies name their package index and its certificate in the settings of pip, which uv does not read. pip takes a
# second to list them, so they are read once, and only if something is to be installed.
PIP_SETTINGS = $(shell $(BIN)/pip config list | sed -n \
	"s/^[^.]*\.index-url='\(.*\)'$$/UV_DEFAULT_INDEX=\1/p; s/^[^.]*\.cert='\(.*\)'$$/SSL_CERT_FILE=\1/p")
OWN_SETTINGS := $(if $(UV_DEFAULT_INDEX),UV_DEFAULT_INDEX=%) $(if $(SSL_CERT_FILE),SSL_CERT_FILE=%)
UV = $(eval UV := $(filter-out $(OWN_SETTINGS),$(PIP_SETTINGS)) $(BIN)/uv)$(UV)

# Without a writable home, uv keeps its cache in the clone.
CACHE_HOME := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
ifneq ($(shell mkdir -p "$(CACHE_HOME)/uv" 2>/dev/null && test -w "$(CACHE_HOME)/uv" && echo yes),yes)
export UV_CACHE_DIR := .local/uv
endif

# If PYTHON is set on the command line or in the environment, the virtual environment must have that Python.
VENV_STATE := $(shell sh scripts/venv_state.sh $(VENV) $(if $(filter file,$(origin PYTHON)),,$(PYTHON)))
ifneq ($(VENV_STATE),ok)
$(VENV)/uv: always
endif

.PHONY: always
always:

$(VENV)/uv: requirements/uv.txt
	@[ $(VENV_STATE) != foreign ] || \
		{ echo "error: $(VENV) is not from this project: delete it, then make $(MAKECMDGOALS)" >&2; exit 1; }
	@case "$$(pwd -P)" in *:*) \
		echo "error: Python cannot use a virtual environment in a path with a colon: rename $$(pwd -P)" >&2; exit 1; esac
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "error: $(PYTHON) is missing or older than 3.11; choose another: make $(MAKECMDGOALS) PYTHON=python3.13" >&2; exit 1; }
	@echo "Creating $(VENV) ..."
	@$(PYTHON) -m venv --clear $(VENV) || \
		{ echo "error: $(PYTHON) cannot create a virtual environment; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $(VENV)/made-by-make
	@$(if $(filter broken moved other,$(VENV_STATE)),rm -rf $(TOOLS) .venv-bench)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

# In the local run, as on Lambda, a function can import only the packages of the layer.
$(VENV)/local: $(VENV)/uv requirements/local.txt layers/common/requirements.txt
	@echo "Installing the packages of the local run ..."
	@$(INSTALL) --python $(BIN)/python -r requirements/local.txt
	@rm -rf .local/layer
	@$(INSTALL) --python $(BIN)/python --no-deps --target .local/layer/python -r layers/common/requirements.txt
	@touch $@

# Python 3.13, because Lambda runs it and the benchmark measures its bytecode.
.venv-bench/done: $(VENV)/uv requirements/bench.txt
	@echo "Installing the packages of the benchmark ..."
	@python3.13 -m venv --clear .venv-bench || { echo "error: make bench needs python3.13 on PATH" >&2; exit 1; }
	@$(INSTALL) --python .venv-bench/bin/python -r requirements/bench.txt
	@touch $@

$(VENV)/dev: $(VENV)/local requirements/dev.txt
	@echo "Installing the packages of the tests and checks ..."
	@$(INSTALL) --python $(BIN)/python -r requirements/dev.txt
	@touch $@

# Each of these tools has an environment of its own, because they pin versions that conflict with the project's.
$(TOOLS)/%/done: requirements/%.txt | $(VENV)/uv
	@echo "Installing $* ..."
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(TOOLS)/$*
	@$(INSTALL) --python $(TOOLS)/$*/bin/python -r $<
	@touch $@
