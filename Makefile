# `make demo` and `make test` are the two commands for a person; the rest is in `make help`.
ifndef PYTHON
PYTHON := $(shell for v in "" .13 .12 .11; do \
	command -v python3$$v >/dev/null && python3$$v -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	&& echo python3$$v && exit; done; echo python3)
endif
SETUP = $(PYTHON) scripts/setup.py
BIN = .venv/bin

# The demo's choices, also from the command line: make demo CHAIN=ganache CHEAT=0 KEEP=1 STORE=kubo
CHAIN ?= anvil
CHEAT ?= 1
KEEP ?= 0
export CHAIN CHEAT KEEP
ifdef STORE
export STORE
endif

.PHONY: help demo setup setup-dev setup-brownie setup-benchmarks setup-all docs check test test-unit test-contracts test-integration gas campaign soak faults clean

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "%-17s %s\n", $$1, $$2}' Makefile

demo: ## install what is missing, then train, cheat, convict and pay on a development chain (CHAIN, CHEAT, KEEP, STORE)
	@$(SETUP) node run kernels
	@$(BIN)/steelyard demo

setup: ## install what the program needs; offline and instant when nothing is missing
	@$(SETUP) node run kernels

setup-dev: ## ... and the tools of `make check`
	@$(SETUP) node dev kernels

setup-brownie: ## ... and Brownie, in an environment of its own
	@$(SETUP) node brownie

setup-benchmarks: ## ... and what benchmarks/ compares with, Flower among it
	@$(SETUP) node run kernels benchmarks

setup-all: ## ... and Slither and, where Go is at hand, geth: all that `make test` needs
	@$(SETUP) node dev kernels brownie slither geth foreign

docs: setup-dev ## write docs/api.md from the docstrings of the public API
	@$(BIN)/python scripts/build_api_docs.py

check: setup-dev ## format, lint, types, docs/api.md: seconds
	@scripts/check

test: setup-all ## check, Slither, every test on every chain, the gas table, both demos
	@$(BIN)/python scripts/run_tests.py

test-unit: setup-dev ## the part of it that needs no chain and no network
	@$(BIN)/python scripts/run_tests.py unit

test-contracts: setup-all ## the part for contracts: forge, gas table, Slither, coverage, Brownie
	@$(BIN)/python scripts/run_tests.py contracts

test-integration: setup-all ## the part with chains, stores, whole jobs and the demo; what measures time, last
	@$(BIN)/python scripts/run_tests.py integration

gas: setup-dev ## measure the worst case of each function and write docs/gas.md
	@$(BIN)/python scripts/gas.py

campaign: setup-dev ## fuzz tests and invariants of the contracts with the many runs that CI gives them
	@FOUNDRY_PROFILE=ci $(BIN)/python scripts/run_tests.py forge

soak: setup-dev ## 200 seeds of kill -9 at every step, and its summary
	@$(BIN)/python scripts/soak.py

faults: setup-dev ## every fault on three machines, and its table (STORE=kubo: with IPFS daemons)
	@$(BIN)/python scripts/faults.py --store $(or $(STORE),embedded)

clean: ## remove what was built; the environments and packages stay
	rm -rf build dist .cache/forge .mypy_cache .ruff_cache .pytest_cache .hypothesis report.json lcov.info
