# `make` alone lists the targets. Set-up (scripts/setup) runs inside each of them and does nothing the second time.
SHELL := /bin/bash
export PKG_CONFIG_PATH := $(CURDIR)/.deps/pkgconfig:$(PKG_CONFIG_PATH)

LIBDIR = $(shell sed -n 's/^libdir=//p' .deps/pkgconfig/libtorch.pc)
# One optimised build serves programs and tests alike. The run path lets executables find libtorch where it is.
SWIFT_FLAGS = -c release -Xswiftc -enable-testing -Xlinker -rpath -Xlinker $(LIBDIR)

.PHONY: help setup build test lint consumer clean

help: ## List the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: ## Check the tools, find or install libtorch
	@./scripts/setup

build: setup ## Build the libraries
	swift build $(SWIFT_FLAGS)

test: setup ## Build and run the tests
	swift test $(SWIFT_FLAGS)

lint: ## Check the formatting
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Examples

consumer: build ## Build and run an application that depends on this package by version
	@./scripts/check-consumer

clean: ## Remove what builds made
	rm -rf .build
