# Everything a newcomer or CI does, by name. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

TOOLS := $(CURDIR)/.tools
DATA  ?= $(CURDIR)/.data
# nextest when it is there, cargo's own runner else: a fresh machine has only Rust.
NEXTEST := $(shell command -v cargo-nextest >/dev/null 2>&1 && echo yes)
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-10s %s\n", $$1, $$2}'

.PHONY: deps
deps: ## Install what building and testing need (packages by name; asks nothing)
	@hack/deps "$(TOOLS)"
	@hack/clients "$(TOOLS)"

.PHONY: build
build: ## Build target/release/berth
	@hack/deps "$(TOOLS)"
	cargo build --release --locked -p berth

.PHONY: up
up: build ## Build and start a whole cluster on this machine (Ctrl-C stops it, tasks keep running)
	@target/release/berth up

.PHONY: down
down: ## Stop the cluster of `make up` and remove all of it
	@target/release/berth down --purge

.PHONY: test
test: deps unit e2e ## All tests: pure ones, then real processes

# Always the whole workspace, filtered at run time: another selection of packages would unify features differently
# and build the dependencies once more.
.PHONY: debug
debug:
	cargo build --locked --workspace --all-targets

.PHONY: unit
unit: debug ## The fast, deterministic tests
ifeq ($(NEXTEST),yes)
	cargo nextest run --locked --workspace -E 'not package(berth-e2e)'
else
	cargo test --locked --workspace --exclude berth-e2e --no-fail-fast
endif

.PHONY: e2e
e2e: debug ## User stories with real processes, containers and kubectl
ifeq ($(NEXTEST),yes)
	BERTH_BIN=$(CURDIR)/target/debug/berth BERTH_TOOLS=$(TOOLS) cargo nextest run --locked --workspace -E 'package(berth-e2e)'
else
	BERTH_BIN=$(CURDIR)/target/debug/berth BERTH_TOOLS=$(TOOLS) cargo test --locked -p berth-e2e --no-fail-fast -- --test-threads 2
endif

.PHONY: nightly
nightly: deps debug ## The long fault runs: 50 seeds of kill -9 during rollouts
	BERTH_SEEDS=50 BERTH_BIN=$(CURDIR)/target/debug/berth BERTH_TOOLS=$(TOOLS) cargo test --locked -p berth-e2e --test stories -- chaos --test-threads 1 --nocapture

.PHONY: bench
bench: build ## Print speed as ratios against a yardstick in the same run
	cargo build --release --locked -p berth-e2e --bin berth-bench
	hack/crun-ready
	BERTH_BIN=$(CURDIR)/target/release/berth target/release/berth-bench

# One target for long, by coverage: TARGET is a folder of fuzz/corpus, SECONDS_MAX how long.
TARGET  ?= json_body
SECONDS_MAX ?= 60
.PHONY: fuzz
fuzz: ## Fuzz a decoder: make fuzz TARGET=json_body (cargo-fuzz, else mutations without it)
	@if command -v cargo-fuzz >/dev/null; then \
	  mkdir -p fuzz/findings/$(TARGET); \
	  BERTH_FUZZ_TARGET=$(TARGET) cargo fuzz run --fuzz-dir fuzz/libfuzzer decoders fuzz/findings/$(TARGET) fuzz/corpus/$(TARGET) -- -max_total_time=$(SECONDS_MAX); \
	else \
	  echo "cargo-fuzz is not installed (cargo install --locked cargo-fuzz): blind mutations instead"; \
	  cargo run --locked -p berth-fuzz --example hunt -- $(TARGET) 20000; \
	fi

.PHONY: lint
lint: ## Formatting and clippy, warnings as failures
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: crds
crds: ## Renew manifests/crds from the types
	UPDATE_GOLDEN=1 cargo test --locked -p berth-e2e --test golden
