# One verb each. Every verb makes .venv and installs what it needs first, and only then: a machine with make and
# Python >= 3.11 is enough. PYTHON=/path/to/python3 chooses another Python for a new .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
PY := .venv/bin/python
PACKAGES := market strategies risk brokers backtest tradingbot manage.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1
unexport PYTHONDONTWRITEBYTECODE  # a dozen processes load the same modules at every start: compile them once

PYTHON ?=
SPEED ?= 30
DAY ?=
NAME ?=
CORE ?=
KILLS ?=
MINUTES ?=
SEED ?=
ARGS ?=

.PHONY: help demo run test coverage check fmt laws parity chaos soak matrix bench lock venv main dev

help: ## what there is
	@echo "make demo    a whole trading day on the simulated venue  (SPEED=30, DAY=2026-11-18)"
	@echo "make run     all processes in real time with your .env; paper trading unless told otherwise"
	@echo "make test    the whole suite on real servers             (ARGS='-k name' passes on to pytest)"
	@echo "make coverage the same, with the lines that no test runs"
	@echo "make check   lint, format, types, import directions, missing migrations"
	@echo "make fmt     format and sort"
	@echo "make laws    10,000 random sequences of trades: the floor never falls, nothing admitted can reach a limit"
	@echo "make parity  a month of every strategy, live at the simulated venue and in the backtest: to the cent"
	@echo "make chaos   the order path through kills, lost answers, outages  (KILLS=60 SEED=1: random days instead)"
	@echo "                                                          (CORE=1: the scenarios that every change has to pass)"
	@echo "make soak    pair after pair while hubs drop, tokens end, the venue is busy; memory stays flat (MINUTES=30)"
	@echo "make matrix  what restarts survive, in minutes: the gate for the pins of celery, kombu and redis"
	@echo "make bench   benchmarks                                  (NAME=order_path for one)"
	@echo "make lock    requirements/*.txt from requirements/*.in"

demo: main
	@exec $(PY) manage.py demo --speed $(SPEED) $(if $(DAY),--day $(DAY))

run: main
	@exec $(PY) manage.py up

test: dev
	@exec $(PY) -m pytest -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

coverage: dev
	@exec $(PY) -m pytest -n auto --maxprocesses 4 --dist loadgroup --cov --cov-report=term $(ARGS)

check: dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy $(PACKAGES)
	$(PY) .venv/bin/lint-imports
	$(PY) -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run  # needs no database

fmt: dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

laws: dev
	@exec $(PY) -m pytest tests/risk/test_ten_thousand.py -m laws -q -n 2 $(ARGS)

parity: dev
	@exec $(PY) -m pytest tests/backtest/test_parity.py -m parity -n auto --maxprocesses 4 --dist loadgroup $(ARGS)

chaos: dev
	@exec env KILLS=$(KILLS) SEED=$(SEED) $(PY) -m pytest $(if $(KILLS),tests/chaos/test_days.py,tests/chaos) -m "chaos$(if $(CORE), and core)" \
	    -q -n 6 --dist load --timeout 300 -o timeout_func_only=true $(ARGS)

soak: dev
	@exec env MINUTES=$(or $(MINUTES),30) SEED=$(SEED) $(PY) -m pytest tests/chaos/test_soak.py -m chaos -q -s -p no:cacheprovider \
	    --timeout 0 $(ARGS)

matrix: dev
	@exec $(PY) -m pytest tests/matrix -m matrix -q $(ARGS)

bench: dev
	@exec $(PY) -m benchmarks $(NAME)

lock: dev
	$(PY) -m uv pip compile -q --universal --no-strip-extras --python-version 3.11 --generate-hashes requirements/main.in -o requirements/main.txt
	$(PY) -m uv pip compile -q --universal --no-strip-extras --python-version 3.11 --generate-hashes requirements/dev.in -o requirements/dev.txt

main: venv
	$(call install,main)

dev: venv
	$(call install,dev)

# .venv/<lock>.txt is the lock as it was installed; pip runs when it differs from the one of the tree.
define install
	@cmp -s requirements/$(1).txt .venv/$(1).txt || { \
	    echo "installing requirements/$(1).txt into .venv"; \
	    $(PY) -m pip install -q --require-hashes -r requirements/$(1).txt && cp requirements/$(1).txt .venv/$(1).txt; }
endef

venv:
	@$(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && exit 0; \
	for name in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
	    "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && python="$$name" && break; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "$(or $(PYTHON),python3) is not Python 3.11 or newer: install one, or name it: make PYTHON=/path/to/python3" >&2; \
	    exit 1; \
	fi; \
	version=$$("$$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	if ! "$$python" -c 'import ensurepip, venv' 2>/dev/null; then \
	    echo "$$python cannot make a virtual environment: install its package python$$version-venv" \
	        "(Debian, Ubuntu: apt install python$$version-venv)" >&2; \
	    exit 1; \
	fi; \
	echo "making .venv with Python $$version"; \
	rm -rf .venv && "$$python" -m venv .venv
