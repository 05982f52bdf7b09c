# The two commands of the README are `make demo` and `make test`; both set everything up first.
PYTHON := .venv/bin/python
# Two test processes, each on one thread: two cores are busy and no more.
TEST_ENV := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
JOBS ?= 2

.PHONY: help setup demo test test-long tipc lint types format schema clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

setup:  ## make .venv with everything the suite needs
	@tools/setup.sh

demo: setup  ## train, evaluate, export, verify and draw a MobileSeg network on generated data
	@$(PYTHON) -m mobileseg demo

test: setup lint types  ## lint, types, unit and end-to-end tests
	$(TEST_ENV) $(PYTHON) -m pytest -n $(JOBS) -m "not long" -rs

test-long: setup  ## the tests that take minutes: every network on every engine and size
	$(TEST_ENV) $(PYTHON) -m pytest -n $(JOBS) -m long -rs

tipc: setup  ## every network from training to every engine, on drawn data
	$(TEST_ENV) $(PYTHON) test_tipc/run_chains.py

lint: setup
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .

types: setup
	@$(PYTHON) -m mypy

format: setup  ## rewrite the code in the suite's format
	@$(PYTHON) -m ruff check --fix .
	@$(PYTHON) -m ruff format .

clean:  ## remove what builds and tests leave behind
	rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
