# `make` alone lists the targets. Set-up (scripts/setup) runs inside each of them and does nothing the second time.
SHELL := /bin/bash
export PKG_CONFIG_PATH := $(CURDIR)/.deps/pkgconfig:$(PKG_CONFIG_PATH)

LIBDIR = $(shell sed -n 's/^libdir=//p' .deps/pkgconfig/libtorch.pc)
# Real data beside the repository, which some checks use where it is there.
SHARED = $(wildcard $(abspath ../shared))
# One optimised build serves programs and tests alike. The run path lets executables find libtorch where it is.
SWIFT_FLAGS = -c release -Xswiftc -enable-testing -Xlinker -rpath -Xlinker $(LIBDIR)

# mosaicml-streaming needs older libraries than the other originals, so its checks have an environment of their own.
CORPUS_CHECKS = $(wildcard Interop/test_corpus.py Interop/test_order.py Interop/test_parquet.py \
    Interop/test_pipeline.py)
INTEROP = HF_HUB_OFFLINE=1 OMP_WAIT_POLICY=passive ETTIN_BIN_DIR=$(CURDIR)/.build/release ETTIN_SHARED=$(SHARED) \
    PYTEST_ADDOPTS="-q -p no:cacheprovider -W ignore"
# The checks that a marker expression chooses, in both environments.
define ORIGINALS
@./scripts/setup-interop interop Interop/requirements.txt
@./scripts/setup-interop interop-corpus Interop/requirements-corpus.txt
$(INTEROP) .deps/interop/bin/python -m pytest -m $(1) $(filter-out $(CORPUS_CHECKS),$(wildcard Interop/test_*.py))
$(INTEROP) .deps/interop-corpus/bin/python -m pytest -m $(1) $(CORPUS_CHECKS)
endef

.PHONY: help setup build demo test interop interop-slow compare consumer api docs lint clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: ## Check the tools, find or install libtorch
	@./scripts/setup

build: setup ## Build the command and the libraries
	swift build $(SWIFT_FLAGS)

demo: build ## Make a pair of models and try every command on it
	@./scripts/demo

# The flag for testable imports is in SWIFT_FLAGS: given once more by `swift test` itself, it would make every module's
# command another one, so that `make build` and `make test` would each compile everything again.
# Tests run side by side; OpenMP threads that spin while they wait would take each other's processors.
test: setup ## Build and run the tests; TESTS=LossCurveTests runs those of one name
	OMP_WAIT_POLICY=passive swift test --disable-testable-imports $(SWIFT_FLAGS) $(if $(TESTS),--filter $(TESTS))

interop: build ## Compare with the original Python libraries
	$(call ORIGINALS,"not slow")

interop-slow: build ## Compare what takes long, and every set of parameters
	$(call ORIGINALS,slow)

compare: build ## Run our models and the peers' in turn, and print the ratios
	@./Benchmarks/compare/run

lint: ## Check the formatting
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Examples Interop/Probe

api: build ## Compare the public declarations with the lists in API/
	@./scripts/check-api

docs: build ## Build the documentation of the libraries
	@./scripts/build-docs

consumer: build ## Build and run an application that depends on this package by version
	@./scripts/check-consumer

clean: ## Remove what builds made
	rm -rf .build
