# `make` alone lists the targets. Set-up (scripts/setup) runs inside each of them and does nothing the second time.
SHELL := /bin/bash
export PKG_CONFIG_PATH := $(CURDIR)/.deps/pkgconfig:$(PKG_CONFIG_PATH)

LIBDIR = $(shell sed -n 's/^libdir=//p' .deps/pkgconfig/libtorch.pc)
# Real data beside the repository, which some checks use where it is there.
SHARED = $(wildcard $(abspath ../shared))
# One optimised build serves programs and tests alike. The run path lets executables find libtorch where it is.
SWIFT_FLAGS = -c release -Xswiftc -enable-testing -Xlinker -rpath -Xlinker $(LIBDIR)

.PHONY: help setup build test interop consumer lint clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: ## Check the tools, find or install libtorch
	@./scripts/setup

build: setup ## Build the libraries
	swift build $(SWIFT_FLAGS)

test: setup ## Build and run the tests
	swift test $(SWIFT_FLAGS)

interop: build ## Compare with the original Python libraries
	@./scripts/setup-interop
	HF_HUB_OFFLINE=1 ETTIN_BIN_DIR=$(CURDIR)/.build/release ETTIN_SHARED=$(SHARED) \
	    .deps/interop/bin/python -m pytest Interop -q -p no:cacheprovider

lint: ## Check the formatting
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Examples

consumer: build ## Build and run an application that depends on this package by version
	@./scripts/check-consumer

clean: ## Remove what builds made
	rm -rf .build
