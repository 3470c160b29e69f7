# `make` alone lists the targets. Set-up (scripts/setup) runs inside each of them and does nothing the second time.
SHELL := /bin/bash
export PKG_CONFIG_PATH := $(CURDIR)/.deps/pkgconfig:$(PKG_CONFIG_PATH)

LIBDIR = $(shell sed -n 's/^libdir=//p' .deps/pkgconfig/libtorch.pc)
# Real data beside the repository, which some checks use where it is there.
SHARED = $(wildcard $(abspath ../shared))
# One optimised build serves programs and tests alike, without debug information, which takes time and a hundred megabytes.
# The run paths let executables find libtorch where it is; once installed, in PREFIX/lib/ettin first, which is the user's to
# fill, and Swift's own libraries in the folder below.
SWIFT_FLAGS = -c release -Xswiftc -enable-testing -debug-info-format none \
    -Xlinker -rpath -Xlinker '$$ORIGIN/../lib/ettin' -Xlinker -rpath -Xlinker '$$ORIGIN/../lib/ettin/swift' \
    -Xlinker -rpath -Xlinker $(LIBDIR)

# Where `make install` puts the command; DESTDIR goes before it, for packages.
PREFIX ?= /usr/local
DESTDIR ?=

# mosaicml-streaming needs older libraries than the other originals, so its checks have an environment of their own.
CORPUS_CHECKS = $(wildcard Interop/test_corpus.py Interop/test_order.py Interop/test_streaming.py \
    Interop/test_parquet.py Interop/test_pipeline.py)
# PyLate pins older libraries too; it is installed without its indexes and what else no check uses.
PYLATE_CHECKS = $(wildcard Interop/test_descendants_pylate.py Interop/test_descendants_v5.py \
    Interop/test_finetune_v5.py Interop/test_finetune_colbert.py)
INTEROP = HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive ETTIN_BIN_DIR=$(CURDIR)/.build/release ETTIN_SHARED=$(SHARED) \
    PYTEST_ADDOPTS="-q -p no:cacheprovider -W ignore"
# The checks that a marker expression chooses, in every environment.
define ORIGINALS
@./scripts/setup-interop interop Interop/requirements.txt
@./scripts/setup-interop interop-corpus Interop/requirements-corpus.txt
@./scripts/setup-interop interop-pylate Interop/requirements-pylate.txt --no-deps
$(INTEROP) .deps/interop/bin/python -m pytest -m $(1) $(filter-out $(CORPUS_CHECKS) $(PYLATE_CHECKS),$(wildcard Interop/test_*.py))
$(INTEROP) .deps/interop-corpus/bin/python -m pytest -m $(1) $(CORPUS_CHECKS)
$(INTEROP) .deps/interop-pylate/bin/python -m pytest -m $(1) $(PYLATE_CHECKS)
endef

.PHONY: help setup build demo test interop interop-slow compare consumer server tsan api docs fuzz lint install check-install uninstall clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: ## Check the tools, find or install libtorch
	@./scripts/setup

build: setup ## Build the command and the libraries
	swift build $(SWIFT_FLAGS)

demo: build ## Train a small pair and run every command on it
	@./scripts/demo

# The flag for testable imports is in SWIFT_FLAGS: given once more by `swift test` itself, it would make every module's
# command another one, so that `make build` and `make test` would each compile everything again.
# Tests run side by side; OpenMP threads that spin while they wait would take each other's processors.
test: setup ## Build and run the tests; TESTS=NAME filters by name
	OMP_WAIT_POLICY=passive swift test --disable-testable-imports $(SWIFT_FLAGS) $(if $(TESTS),--filter $(TESTS))

interop: build ## Compare with the original Python libraries
	$(call ORIGINALS,"not slow")

interop-slow: build ## Run the longer comparisons, with every parameter set
	$(call ORIGINALS,slow)

compare: build ## Benchmark models against their peers, and print the ratios; ROWS='rerank-*' for some
	@./Benchmarks/compare/run $(if $(ROWS),--rows '$(ROWS)')

fuzz: setup ## Fuzz the readers; RUNS=1000000 READER=mds SEED=1
	swift build $(SWIFT_FLAGS) --product ettin-fuzz
	.build/release/ettin-fuzz $(or $(READER),all) --runs $(or $(RUNS),1000000) --seed $(or $(SEED),1)

lint: ## Check the formatting
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Examples Interop/Probe Fuzz

api: build ## Compare the public declarations with the lists in API/
	@./scripts/check-api

docs: build ## Build the documentation
	@./scripts/build-docs

consumer: build ## Build and run applications that depend on this package by version
	@./scripts/check-consumer

server: build ## The same, with an HTTP server among them
	@./scripts/check-consumer --server

tsan: build ## Run shared models under Thread Sanitizer
	@./scripts/check-threads

# Builds nothing, so that `sudo make install` needs no toolchain.
install: ## Install what `make` has built, completions and manual; PREFIX=/usr/local, DESTDIR=
	@./scripts/install .build/release/ettin "$(PREFIX)" "$(DESTDIR)"

check-install: build ## Install to a temporary folder, try everything there, uninstall
	@./scripts/check-install

uninstall: ## Remove what `make install` has put there
	@./scripts/install --remove "$(PREFIX)" "$(DESTDIR)"

clean: ## Remove what builds made
	rm -rf .build
