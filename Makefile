# Everything a newcomer needs: `make demo` and `make test`.  Both install what is missing and say so.

BIN := .venv/bin
# Test processes side by side
JOBS ?= 2

.PHONY: help demo up test test-fast check lint docs bench chaos setup

help:
	@echo 'make demo       set up, start an instance, run a real job on a real virtual machine, show the result'
	@echo 'make demo KEEP=1    ... and leave the instance running'
	@echo 'make up         start an instance for daily use (data in ./.lava), stop it with Ctrl-C'
	@echo 'make test       set up, run every test'
	@echo 'make test-fast  run the tests that need no virtual machine, browser or database server'
	@echo 'make check      format, lint, types, layers'
	@echo 'make bench      run every benchmark, each beside its limit'
	@echo 'make chaos      break a whole instance at random and count every line; CHAOS_KILLS=200 CHAOS_JOBS=20 CHAOS_SEED=...'
	@echo 'make docs       build the documentation into ./site'

demo:
	@tools/setup demo
	@$(BIN)/lava demo $(if $(KEEP),--keep)

up:
	@tools/setup demo
	@$(BIN)/lava up --data-dir .lava

setup:
	@tools/setup test

test: setup
	$(BIN)/pytest -n $(JOBS) --dist loadgroup

test-fast: setup
	$(BIN)/pytest -n $(JOBS) --dist loadgroup -m 'not slow'

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/console.py
	$(BIN)/python benchmarks/job_overhead.py
	$(BIN)/python benchmarks/submit_to_start.py
	$(BIN)/python benchmarks/link.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/memory.py

chaos: setup
	$(BIN)/python tests/chaos/run.py

docs: setup
	$(BIN)/mkdocs build --strict
