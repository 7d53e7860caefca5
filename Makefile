# `make help` tells what there is. docs/building.md tells how the FFmpeg libraries come in.

PREFIX      ?= /usr/local
FUZZTIME    ?= 30s
ARGS        ?=
PACKAGES    ?= ./...
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Where `go` finds the FFmpeg libraries: the one place that knows is scripts/libav.sh.
WITH_LIBAV := . ./scripts/env.sh &&

export FUZZTIME

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what a build needs and build the FFmpeg libraries, once
	@scripts/deps.sh
	@scripts/libav.sh build >/dev/null

.PHONY: build
build: setup ## Build bin/mp3lathe
	$(WITH_LIBAV) go build -trimpath -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/mp3lathe ./cmd/mp3lathe

.PHONY: demo
demo: build ## Convert the files in testdata into build/demo
	@scripts/demo.sh

.PHONY: test
test: ## Run all tests under the race detector (ARGS='-run Name -v', PACKAGES=./transcode)
	@scripts/deps.sh --test
	@scripts/libav.sh build >/dev/null
	$(WITH_LIBAV) go vet $(PACKAGES)
	$(WITH_LIBAV) go test -race $(ARGS) $(PACKAGES)

.PHONY: lint
lint: setup ## Check the form of the code: gofmt, go vet, staticcheck, the scripts' syntax
	@unformatted=$$(gofmt -l .) && [ -z "$$unformatted" ] || { echo "run gofmt -w on:" $$unformatted >&2; exit 1; }
	@for script in scripts/*.sh scripts/pkg-config .ci/run; do bash -n "$$script" || exit 1; done
	$(WITH_LIBAV) go vet ./...
	$(WITH_LIBAV) go run $(STATICCHECK) ./...

.PHONY: fuzz
fuzz: setup ## Run every fuzz target for FUZZTIME (30s) each
	@$(WITH_LIBAV) scripts/fuzz.sh

.PHONY: bench
bench: build ## Measure beside the ffmpeg command line (ARGS: see bench/README.md)
	@scripts/deps.sh --test
	@$(WITH_LIBAV) bench/run.sh $(ARGS)

.PHONY: fixtures
fixtures: ## Make the test files anew (scripts/fixtures.sh)
	@scripts/deps.sh --test
	@scripts/fixtures.sh

.PHONY: env
env: setup ## Print the lines that let a plain `go build` find the FFmpeg libraries
	@scripts/libav.sh env

.PHONY: install
install: ## Install bin/mp3lathe into PREFIX/bin (/usr/local/bin); build it first
	@[ -x bin/mp3lathe ] || { echo "there is no bin/mp3lathe yet; run: make build" >&2; exit 1; }
	@install -d '$(DESTDIR)$(PREFIX)/bin'
	@install -m 755 bin/mp3lathe '$(DESTDIR)$(PREFIX)/bin/mp3lathe'

.PHONY: clean
clean: ## Remove what was built in this folder
	@rm -rf bin build

.PHONY: distclean
distclean: clean ## Also remove the cache with the FFmpeg libraries and their source
	@rm -f .env
	@scripts/libav.sh clean
