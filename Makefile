# make up [NODES=n] · make down · make check · make test · make bench [BENCH=name]
# Everything else is a step of one of these.

NODES ?= 1
ARCH := $(shell uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')
NODE := node_modules/node-linux-$(ARCH)/bin/node
BIN := node_modules/.bin

.PHONY: up down check test bench addon deps format

deps: node_modules/.installed addon

node_modules/.installed: package.json package-lock.json api/types/generate.ts api/schema/fields.json
	@if [ ! -x $(NODE) ] || [ package-lock.json -nt $@ ]; then npm ci --no-fund --no-audit --loglevel=error; fi
	@$(NODE) api/types/generate.ts
	@touch $@

addon: node_modules/.installed
	@$(MAKE) -s -C native

# Types, lint, format, dead code, and the unit tests: everything that needs no cluster.
check: deps
	@$(NODE) $(BIN)/tsc -p .
	@$(NODE) $(BIN)/oxlint --type-aware --deny-warnings
	@$(NODE) $(BIN)/biome check --error-on-warnings .
	@$(NODE) $(BIN)/knip --no-progress
	@$(NODE) --test --test-reporter=dot 'api/**/*.test.ts' 'control/**/*.test.ts' 'agent/**/*.test.ts' 'native/**/*.test.ts' 'cli/**/*.test.ts'

format:
	@$(NODE) $(BIN)/biome check --write .
