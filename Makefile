# The two commands of the README are `make demo` and `make test`; both set everything up first.
PYTHON := .venv/bin/python
# Two test processes, each on one thread: two cores are busy and no more.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
JOBS ?= 2

.PHONY: help setup setup-cpp demo test test-long test-lite tipc lint types format schema clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup:  ## make .venv with everything the suite needs
	@tools/setup.sh

setup-cpp:  ## install what the tests of the C++ core need, where apt may
	@tools/setup_cpp.sh

demo: setup  ## train, export, verify and show a network of each family on synthetic data
	@$(PYTHON) -m mobileseg demo

test: setup setup-cpp lint types  ## lint, types, unit and end-to-end tests
	$(TEST_ENV) $(PYTHON) -m pytest -n $(JOBS) -m "not long" -rs

test-long: setup  ## the tests that take minutes: every network on every engine and size
	$(TEST_ENV) $(PYTHON) -m pytest -n $(JOBS) -m long -rs

test-lite: setup setup-cpp  ## the C++ core with a real Paddle Lite: make test-lite PADDLE_LITE_DIR=<unpacked release>
	@test -n "$(PADDLE_LITE_DIR)" || { echo "usage: make test-lite PADDLE_LITE_DIR=<unpacked release of Paddle Lite>"; exit 2; }
	$(TEST_ENV) PADDLE_LITE_DIR="$(PADDLE_LITE_DIR)" $(PYTHON) -m pytest tests/deploy/test_lite_core.py tests/deploy/test_lite_real.py -rs

tipc: setup  ## every network from training to every engine, on synthetic data
	$(TEST_ENV) $(PYTHON) test_tipc/run_chains.py

lint: setup
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

types: setup
	@$(PYTHON) -m mypy

schema: setup  ## write configs/schema.json, by which editors check configurations
	@$(PYTHON) -m mobileseg.config.jsonschema > configs/schema.json.new
	@mv configs/schema.json.new configs/schema.json

format: setup  ## rewrite the code in the suite's format
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

clean:  ## remove what builds and tests leave behind
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
