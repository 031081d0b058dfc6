# The commands of the project. Each makes the environment that it needs; a second call finds it ready.
#   make demo [PYTHON=python3.12]     train the shipped data set and name the report
#   make test [TESTS=tests/data]      all tests       make check    format, lint, types, imports, contracts
#   make build                        the compiled library into src/, for work on the kernels
#   make kernel-test                  kernel tests under the sanitizers
#   make bench-peers                  an environment with all peers              make bench    speed against the peers
#   make real-networks                trained networks of Python packages, before and after
#   make arm-test                     kernel tests on ARM, under emulation, and their values against this processor's
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

SUPPORTED := import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))
CANDIDATES := python3 python3.13 python3.12 python3.11 python3.10
PYTHON ?= $(shell for each in $(CANDIDATES); do $$each -c '$(SUPPORTED)' 2>/dev/null && echo $$each && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
CXX_FOUND = $(firstword $(foreach each,$(if $(filter default undefined,$(origin CXX)),c++ g++ clang++,$(CXX)),$(shell command -v $(each))))
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(shell find src kernels/include kernels/src -type f \
             ! -name '*.so' ! -name '*.dylib' ! -name '*.pyc' ! -name '*.part' 2>/dev/null)
KERNELS := $(shell find kernels -name '*.cpp' -o -name '*.h')
CMAKE = $(shell command -v cmake || echo $(BIN)/cmake)
JOBS ?= 4
TESTS ?=
PEERS ?= .venv/peers
BENCH_PYTHON = $(if $(wildcard $(PEERS)/bench.stamp),$(PEERS),$(VENV))/bin/python
BENCH ?=
RESULTS ?= benchmarks/results
OUT ?= gatework-demo

NETWORKS ?= build/networks

.PHONY: help demo test check format-check lint types imports contracts format bench bench-peers real-networks build kernel-test arm-test broken-test tools clean

help:
	@sed -n '2,8s/^# *//p' Makefile

demo: $(VENV)/train.stamp
	@$(BIN)/gatework demo --out $(OUT)

test: $(VENV)/test.stamp
	@$(BIN)/python -m pytest $(TESTS)

check:
	@$(MAKE) --no-print-directory --keep-going format-check lint types imports contracts

format-check: $(VENV)/dev.stamp
	$(BIN)/ruff format --check --quiet .
	$(BIN)/clang-format --dry-run --Werror $(KERNELS)

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .

types: $(VENV)/dev.stamp
	$(BIN)/pyright

imports: $(VENV)/dev.stamp
	PYTHONPATH=src $(BIN)/lint-imports --no-logo --no-cache

contracts: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -q -m "not slow" tests/contracts

format: $(VENV)/dev.stamp
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	$(BIN)/clang-format -i $(KERNELS)

# The peers are large and have their own versions of much, so they live apart. Without them `make bench` says who is absent.
bench-peers:
	@$(MAKE) --no-print-directory VENV=$(PEERS) $(PEERS)/bench.stamp

# What was broken off goes on with BENCH=--resume; BENCH=--quick RESULTS=build/bench only shows that everything works.
bench: $(if $(wildcard $(PEERS)/bench.stamp),bench-peers,$(VENV)/test.stamp)
	@for each in lstm options growth overhead; do \
	  $(BENCH_PYTHON) -m benchmarks.$$each --out $(RESULTS)/$$each.json $(BENCH) || exit 1; \
	done
	$(if $(filter benchmarks/results,$(RESULTS)),$(BENCH_PYTHON) -m benchmarks.page)

# The packages alone: what they need beside their networks (sound files, corpora) is large, and not read.
real-networks: $(VENV)/test.stamp
	@test -e $(NETWORKS)/ready || { $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps \
	  -c constraints.txt --target $(NETWORKS) g2p-en Resemblyzer silero-vad && touch $(NETWORKS)/ready; }
	@PYTHONPATH=$(NETWORKS):. $(BIN)/python -m benchmarks.real_networks

build: | $(if $(wildcard $(CMAKE)),,$(VENV)/dev.stamp)
	$(CMAKE) -S . -B build/develop -DCMAKE_BUILD_TYPE=Release
	$(CMAKE) --build build/develop --parallel 4
	$(CMAKE) --install build/develop --prefix src

kernel-test: | $(if $(wildcard $(CMAKE)),,$(VENV)/dev.stamp)
	@for sanitizer in address thread; do \
	  $(CMAKE) -S . -B build/$$sanitizer -DGATEWORK_SANITIZE=$$sanitizer -DGATEWORK_BUILD_TESTS=ON && \
	  $(CMAKE) --build build/$$sanitizer --parallel 4 && \
	  $(dir $(CMAKE))ctest --test-dir build/$$sanitizer --output-on-failure || exit 1; \
	done

# The NEON build from a cross compiler, its tests under user-mode emulation, and its numbers against those of this processor.
# Without test_team: the emulator aborts in any child of a program with threads that starts threads itself.
arm-test: | $(if $(wildcard $(CMAKE)),,$(VENV)/dev.stamp)
	@for tool in aarch64-linux-gnu-g++ qemu-aarch64; do \
	  command -v $$tool >/dev/null || { echo "arm-test: skipped, $$tool is missing;" \
	    "Debian, Ubuntu: sudo apt install g++-aarch64-linux-gnu qemu-user"; exit 0; }; \
	done; \
	set -e; \
	$(CMAKE) -S . -B build/host -DGATEWORK_BUILD_TESTS=ON; \
	$(CMAKE) --build build/host --parallel $(JOBS) --target values; \
	env -u CXX -u CXXFLAGS -u LDFLAGS $(CMAKE) -S . -B build/aarch64 -DGATEWORK_BUILD_TESTS=ON \
	  --toolchain kernels/aarch64.cmake; \
	$(CMAKE) --build build/aarch64 --parallel $(JOBS); \
	$(dir $(CMAKE))ctest --test-dir build/aarch64 --exclude-regex '^test_team$$' --output-on-failure; \
	for isa in baseline avx2; do \
	  rm -f build/aarch64/values-$$isa.bin; \
	  build/host/values write build/aarch64/values-$$isa.bin $$isa; \
	  test ! -e build/aarch64/values-$$isa.bin || \
	    qemu-aarch64 -L /usr/aarch64-linux-gnu build/aarch64/values compare build/aarch64/values-$$isa.bin; \
	done

# A library whose backward pass is wrong on purpose: calls without gradients pass on it, the gradient tests have to fail.
BROKEN := GATEWORK_LIBRARY=$$(echo build/broken/libgatework.[sd][oy]*) $(BIN)/python -m pytest -q -p no:cacheprovider tests/native
broken-test: $(VENV)/test.stamp | $(if $(wildcard $(CMAKE)),,$(VENV)/dev.stamp)
	$(CMAKE) -S . -B build/broken -DGATEWORK_BROKEN=ON
	$(CMAKE) --build build/broken --parallel 4
	$(BROKEN)/test_streams.py -k step_by_step
	@$(BROKEN)/test_lstm_reference.py --maxfail=1 >build/broken/tests.txt; status=$$?; tail -3 build/broken/tests.txt; \
	  test $$status -eq 1 || { echo "gatework: the tests did not see a wrong gradient (pytest: $$status)" >&2; exit 1; }
	@echo "The tests see a wrong gradient."

# One environment for all commands; the larger set of packages contains the smaller ones.
$(VENV)/%.stamp: $(SOURCES) | tools
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv $(VENV) >/dev/null || { \
	  echo "gatework: $(PYTHON) cannot make an environment; on Debian or Ubuntu: sudo apt install python3-venv" >&2; \
	  exit 1; }
	@echo "Installing gatework and what it needs into $(VENV); the first time takes a few minutes."
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt ".[$*]"
	@touch $(if $(filter dev,$*),$(VENV)/test.stamp) $(if $(filter dev test,$*),$(VENV)/train.stamp) $@

# What cannot be installed for the user is named in one line.
tools:
	@test -n "$(PYTHON)" || { echo "gatework: no Python 3.10 to 3.13 found (looked for $(CANDIDATES));" \
	  "name one: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@command -v "$(PYTHON)" >/dev/null || { echo "gatework: PYTHON=$(PYTHON) does not exist" >&2; exit 1; }
	@$(PYTHON) -c '$(SUPPORTED)' || { echo "gatework: needs Python 3.10 to 3.13, but $(PYTHON) is" \
	  "$$($(PYTHON) -V 2>&1); name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test ! -x $(BIN)/python || test "$(origin PYTHON)" = file || \
	  test "$$($(BIN)/python -V)" = "$$($(PYTHON) -V)" || { echo "gatework: $(VENV) holds" \
	  "$$($(BIN)/python -V), not $$($(PYTHON) -V); remove it first: rm -r $(VENV)" >&2; exit 1; }
	@test -n "$(CXX_FOUND)" || { echo "gatework: no C++ compiler found (looked for" \
	  "$(if $(filter default undefined,$(origin CXX)),c++ g++ clang++,$(CXX)));" \
	  "Debian, Ubuntu: sudo apt install g++; macOS: xcode-select --install" >&2; exit 1; }
	@echo 'int main() { return 0; }' | $(CXX_FOUND) -std=c++17 -x c++ -fsyntax-only - 2>/dev/null || { \
	  echo "gatework: $(CXX_FOUND) does not compile C++17; name another: make $(MAKECMDGOALS) CXX=g++" >&2; exit 1; }

clean:
	rm -rf build src/gatework/native/libgatework.*
