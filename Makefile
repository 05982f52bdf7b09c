# The two commands of the README are `make demo` and `make test`; both set everything up first.
PYTHON := .venv/bin/python
CONVERTER := .venv-converter/bin/python
# What has everything, Paddle Lite and the converters too: the converter environment, where .venv has a newer Paddle.
WHOLE = $(if $(wildcard $(CONVERTER)),$(CONVERTER),$(PYTHON))
# Two test processes, each on one thread: two cores are busy and no more.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
JOBS ?= 2

.PHONY: help setup setup-converter setup-cpp demo test test-long test-lite tipc lint types format schema clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup:  ## make .venv, and .venv-converter where .venv has a Paddle that exports nothing
	@tools/setup.sh

setup-converter:  ## make or renew .venv-converter: Paddle 2.6 on Python 3.10, for export, compress and Paddle Lite
	@tools/setup.sh converter

setup-cpp:  ## install what the tests of the C++ core need, where apt may
	@tools/setup_cpp.sh

demo: setup  ## train, export, verify and show a network of each family on synthetic data
	@$(PYTHON) -m mobileseg demo

test: setup setup-cpp lint types  ## lint, types, all tests with Paddle 2.6, those of both Paddles with .venv's own
	@$(WHOLE) tools/environment.py "all tests on"
	$(TEST_ENV) $(WHOLE) -m pytest -n $(JOBS) -m "not long" -rs
	@if [ $(WHOLE) != $(PYTHON) ]; then $(PYTHON) tools/environment.py "tests of both on"; fi
	@if [ $(WHOLE) != $(PYTHON) ]; then $(TEST_ENV) $(PYTHON) -m pytest -n $(JOBS) -m "both and not long" -rs; fi

test-both: setup  ## of the tests that must hold on both Paddles, those that take minutes too, with .venv's own
	$(TEST_ENV) $(PYTHON) -m pytest -n $(JOBS) -m both -rs

test-long: setup  ## the tests that take minutes: every network on every engine and size
	$(TEST_ENV) $(WHOLE) -m pytest -n $(JOBS) -m long -rs

test-lite: setup setup-cpp  ## the C++ core with a real Paddle Lite: make test-lite PADDLE_LITE_DIR=<unpacked release>
	@test -n "$(PADDLE_LITE_DIR)" || { echo "usage: make test-lite PADDLE_LITE_DIR=<unpacked release of Paddle Lite>"; exit 2; }
	$(TEST_ENV) PADDLE_LITE_DIR="$(PADDLE_LITE_DIR)" $(WHOLE) -m pytest tests/deploy/test_lite_core.py tests/deploy/test_lite_real.py -rs

tipc: setup  ## every network from training to every engine, on synthetic data
	$(TEST_ENV) $(WHOLE) test_tipc/run_chains.py

lint: setup
	@$(WHOLE) -m ruff check .
	@$(WHOLE) -m ruff format --check .

types: setup
	@$(WHOLE) -m mypy

schema: setup  ## write configs/schema.json, by which editors check configurations
	@$(WHOLE) -m mobileseg.config.jsonschema > configs/schema.json.new
	@mv configs/schema.json.new configs/schema.json

format: setup  ## rewrite the code in the suite's format
	@$(WHOLE) -m ruff check --fix .
	@$(WHOLE) -m ruff format .

clean:  ## remove what builds and tests leave behind
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
