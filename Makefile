# The one door to the project. `make` alone lists what there is.

SHELL := bash
.DEFAULT_GOAL := help
.PHONY: help run demo test test-swift check fmt bench count build clean

export CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
PROXY := $(TARGET)/release/llm-proxy
PYTHON := .venv/ready
NODE_MODULES := tests/sdk/node/node_modules/.package-lock.json
SDK := tests/sdk
BROWSER := tests/browser
BROWSER_MODULES := $(BROWSER)/node_modules/.package-lock.json

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  ARGS=... goes on to the program: make run ARGS='--port 9000'; make bench ARGS=--quick"

run: build ## build and run the proxy
	@exec $(PROXY) serve $(ARGS)

demo: build ## see it rotate, without keys or network
	@exec $(PROXY) demo $(ARGS)

test: $(PYTHON) $(NODE_MODULES) $(BROWSER_MODULES) ## all tests but the slow one below
	@scripts/test.sh

test-swift: build ## the Swift file for Mac apps, with a compiler that is fetched once
	@LLM_PROXY=$(abspath $(PROXY)) SIMULATED_UPSTREAM=$(abspath $(TARGET)/release/examples/upstream) \
	  tests/swift/run.sh

check: ## formatting, lints, documentation, licences
	@scripts/check.sh

fmt: ## format the Rust code
	@scripts/need.sh rustfmt
	@$(CARGO) fmt --all

bench: build ## compare with a direct call, nginx and HAProxy; prints one table
	@scripts/need.sh python3 wrk haproxy
	@$(CARGO) build --quiet --release --locked -p simulated --example pace
	@scripts/nginx.sh $(TARGET)/bench
	@exec python3 bench/run.py --binaries $(TARGET) $(ARGS)

count: build ## count the instructions of a request; more than bench/bounds.json allows fails
	@scripts/need.sh python3 valgrind
	@exec python3 bench/instructions.py --binaries $(TARGET) $(ARGS)

# One invocation for the proxy and for the simulated upstream, so that nothing is built twice.
build: ## build the release binary
	@scripts/need.sh cargo cc
	@$(CARGO) build --quiet --release --locked -p llm-proxy --bin llm-proxy -p simulated --example upstream

clean: ## remove all that the other targets made here
	@$(CARGO) clean
	@rm -rf .venv $(SDK)/node/node_modules $(BROWSER)/node_modules
	@find $(SDK) bench -name __pycache__ -prune -exec rm -rf {} +

$(PYTHON): $(SDK)/requirements.txt $(SDK)/requirements-llama.txt
	@scripts/need.sh python3
	@scripts/venv.sh

$(BROWSER_MODULES): $(BROWSER)/package-lock.json
	@scripts/need.sh node chromium
	@cd $(BROWSER) && npm ci --silent --no-audit --no-fund && touch node_modules/.package-lock.json

$(NODE_MODULES): $(SDK)/node/package-lock.json
	@scripts/need.sh node
	@cd $(SDK)/node && npm ci --silent --no-audit --no-fund && touch node_modules/.package-lock.json
