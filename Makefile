# The verbs. Each is one line of something you could type; `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help deps build run cluster test proof sim fuzz bench chaos mutants tidy format conformance java
.PHONY: beside-kafka client-tests clean

DATA ?= ./data
SCENARIO ?= all
SEEDS ?= 200
TARGET ?= record_batch
TIME ?= 60
ARGS ?=
SUITES ?=

# Says nothing unless it fails.
configure = mkdir -p build && { cmake --preset $(1) >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }; }

help:  ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-13s %s\n", $$1, $$2}'

deps:  ## Install the packages that are missing (Debian 12, Ubuntu 24.04)
	@.ci/deps

build: deps  ## Build build/release/chronik-server, chronik-sim and chronik-bench
	@$(call configure,release)
	@cmake --build build/release --target programs

run:  ## Build the server and start it on 127.0.0.1:9092 with its data in ./data  (DATA=./data ARGS=)
	@.ci/deps build
	@$(call configure,release)
	@cmake --build build/release --target chronik-server
	@exec build/release/chronik-server start --data-dir $(DATA) $(ARGS)

cluster: deps  ## Start three nodes on 127.0.0.1:9092 to 9094 with their data in ./data/cluster  (DATA=./data)
	@$(call configure,release)
	@cmake --build build/release --target chronik-server
	@exec .ci/cluster build/release/chronik-server $(DATA)/cluster

test: deps  ## Build and run every test; the last line is: N passed, N failed, N skipped
	@.ci/test

proof: build  ## The main job on real input: 1 GB of real records, clients, kills, every byte compared
	@tests/proof/run

sim: build  ## Run simulated clusters  (SCENARIO=all SEEDS=200)
	@build/release/chronik-sim run --scenario $(SCENARIO) --seeds $(SEEDS) $(ARGS)

# A broker lives on between two inputs: nothing of it is a leak. Replaying the corpus ends it, and looks for leaks then.
fuzz_flags_connection = -detect_leaks=0 -max_len=2048
fuzz_flags_request = -max_len=2048
fuzz: deps  ## Fuzz one target  (TARGET=record_batch|request|connection TIME=60 ARGS=)
	@$(call configure,fuzz)
	@cmake --build build/fuzz --target $(TARGET)_fuzz
	@mkdir -p build/fuzz/corpus/$(TARGET) && \
	  build/fuzz/$(TARGET)_fuzz -max_total_time=$(TIME) -entropic=0 -artifact_prefix=build/fuzz/ \
	  $(fuzz_flags_$(TARGET)) $(ARGS) build/fuzz/corpus/$(TARGET) fuzz/corpus/$(TARGET)

bench: build  ## Measure a running server  (ARGS="-c 128 -s 256 --acks 1 -d 30s")
	@build/release/chronik-bench $(ARGS)

chaos: build  ## Strike three real nodes under producers: kills, then cuts, each for half of the time  (TIME=60: seconds, or 30m)
	@cmake --build build/release --target cut_links
	@for strikes in cluster cut; do \
	  CHRONIK_BUILD=build/release CHRONIK_CHAOS_TIME=$(TIME) CHRONIK_CHAOS_HALVED=1 CHRONIK_CHAOS_SEED=$$(date +%s) \
	  python3 -B tests/support/run_python.py tests/client/$${strikes}_test.py || exit 1; done

mutants: deps  ## Plant every bug of tests/mutants/ in turn; each must be caught by its checker
	@tests/mutants/run

tidy: deps  ## clang-tidy on the files that changed  (ARGS=--all for every file)
	@.ci/tidy $(ARGS)

format: deps  ## Format every source file
	@git ls-files -co --exclude-standard '*.h' '*.cc' | xargs clang-format-14 -i

conformance: deps  ## Compare our messages with Kafka's own description of them
	@tests/conformance/run

java: build  ## Kafka's own Java clients and tools against a broker (fetches them with Maven)
	@tests/client/java

beside-kafka: build  ## The same 700 operations against Apache Kafka and Chronik, every answer compared (fetches Kafka with Maven)
	@python3 -B tests/beside/run.py $(ARGS)

client-tests: build  ## Suites of real clients, fetched, against one node and three  (SUITES="librdkafka sarama" ARGS=)
	@python3 -B tests/clients/run.py $(ARGS) $(SUITES)

clean:  ## Remove what was built
	@rm -rf build
