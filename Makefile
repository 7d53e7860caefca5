# `make help` tells what there is. docs/building.md tells how the FFmpeg libraries come in.

PREFIX      ?= /usr/local
FUZZTIME    ?= 5m
ARGS        ?=
SOAK        ?= 2000
ROUNDS      ?= 200
SEED        ?=
PACKAGES    ?= ./...
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
VERSION     := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Where `go` finds the FFmpeg libraries: the one place that knows is scripts/libav.sh.
WITH_LIBAV := . ./scripts/env.sh &&

BUILDFLAGS := -trimpath -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION)'

export FUZZTIME SEED INPUT

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what a build needs and build the FFmpeg libraries, once
	@scripts/deps.sh
	@scripts/libav.sh build >/dev/null

.PHONY: build
build: bin/mp3lathe ## Build the command, the four services and the page of the queues into bin
	$(WITH_LIBAV) go build $(BUILDFLAGS) -o bin/mp3lathe-worker ./cmd/worker
	CGO_ENABLED=0 go build $(BUILDFLAGS) -o bin/mp3lathe-gateway ./cmd/gateway
	CGO_ENABLED=0 go build $(BUILDFLAGS) -o bin/mp3lathe-auth ./cmd/auth
	CGO_ENABLED=0 go build $(BUILDFLAGS) -o bin/mp3lathe-notifier ./cmd/notifier
	CGO_ENABLED=0 go build $(BUILDFLAGS) -o bin/mp3lathe-queues ./cmd/queues

# What the demo and a single machine need, without the services that a fleet is made of.
bin/mp3lathe: setup
	$(WITH_LIBAV) go build $(BUILDFLAGS) -o bin/mp3lathe ./cmd/mp3lathe
.PHONY: bin/mp3lathe

# The images that scripts/rootfs.sh knows, or some of them: make images IMAGES=worker
IMAGES ?= $(shell scripts/rootfs.sh images)
GO_IMAGE ?= docker.io/library/golang:1.26-trixie

.PHONY: rootfs
rootfs: setup ## Lay the root file systems of the images into build/rootfs, and tell their sizes (no container engine is needed)
	@for image in $(IMAGES); do VERSION='$(VERSION)' scripts/rootfs.sh build $$image build/rootfs/$$image || exit 1; done
	@scripts/rootfs.sh size $(IMAGES:%=build/rootfs/%)

.PHONY: images
images: ## Build the images mp3lathe-gateway and so on with Docker, on a base that is pinned by its digest (GO_DIGEST=sha256:... for an earlier one)
	@GO_IMAGE='$(GO_IMAGE)' GO_DIGEST='$(GO_DIGEST)' VERSION='$(VERSION)' scripts/images.sh $(IMAGES)

.PHONY: demo
demo: bin/mp3lathe ## Start the whole system, convert a video through its API, go on until Ctrl-C
	@scripts/deps.sh --demo
	@exec scripts/demo.sh

.PHONY: run
run: bin/mp3lathe ## Start the whole system (ARGS='--listen :8080'); Ctrl-C stops it
	@exec bin/mp3lathe serve $(ARGS)

.PHONY: test-setup
test-setup: ## Install and build what the tests need: servers, judges, the FFmpeg libraries
	@scripts/deps.sh --test
	@scripts/libav.sh build >/dev/null
	@scripts/versitygw.sh build >/dev/null
	@scripts/ferretdb.sh build >/dev/null
	@scripts/oidc-provider.sh build >/dev/null
	@scripts/prometheus.sh build >/dev/null

.PHONY: test
test: test-setup ## Run all tests, most under the race detector (ARGS='-run Name -v', PACKAGES=./transcode)
	$(WITH_LIBAV) go vet $(PACKAGES)
	$(WITH_LIBAV) scripts/test.sh '$(PACKAGES)' $(ARGS)

# A module of its own: deploy/test/go.mod tells why.
.PHONY: test-deploy
test-deploy: test-setup ## Run the images in containers, and check all that is in deploy (ARGS='-run Name -v')
	@scripts/deps.sh --deploy
	$(WITH_LIBAV) cd deploy/test && go vet ./... && go test -vet=off -timeout 20m $(ARGS) ./...

.PHONY: lint
lint: setup ## Check the form of the code: gofmt, go vet, staticcheck, the scripts' syntax
	@unformatted=$$(gofmt -l .) && [ -z "$$unformatted" ] || { echo "run gofmt -w on:" $$unformatted >&2; exit 1; }
	@for script in scripts/*.sh deploy/*.sh scripts/pkg-config .ci/run; do bash -n "$$script" || exit 1; done
	$(WITH_LIBAV) go vet ./...
	$(WITH_LIBAV) go run $(STATICCHECK) ./...
	cd scripts/ferretdb && CGO_ENABLED=0 go vet -trimpath ./...
	cd scripts/oidc-provider && CGO_ENABLED=0 go vet -trimpath ./...

.PHONY: fuzz
fuzz: ## Run mutants and the fuzz targets under sanitizers, FUZZTIME (5m) in all (SEED=n, INPUT=file)
	@scripts/deps.sh
	@scripts/fuzz.sh

# What CI runs: the same mutants each time. Two minutes, building included.
.PHONY: fuzz-smoke
fuzz-smoke: ## Run some mutants under sanitizers, two minutes
	@scripts/deps.sh
	@SEED=1 scripts/fuzz.sh mutants -for 75s testdata

.PHONY: soak
soak: test-setup ## Run SOAK (2000) jobs through one process, every tenth hostile; see what grows or is left
	$(WITH_LIBAV) MP3LATHE_SOAK=$(SOAK) go test ./internal/e2e -run '^TestSoak$$' -count 1 -v -timeout 2h

.PHONY: chaos
chaos: test-setup ## Let parts of a fleet die for ROUNDS (200) rounds, and see whether it keeps its word (SEED=n repeats)
	$(WITH_LIBAV) MP3LATHE_CHAOS_ROUNDS=$(ROUNDS) MP3LATHE_CHAOS_SEED=$(SEED) go test ./internal/e2e -run '^TestChaos$$' -count 1 -v -timeout 6h

.PHONY: bench
bench: bin/mp3lathe ## Measure beside ffmpeg and lame, half an hour (ARGS: see bench/README.md)
	@scripts/deps.sh --test
	@$(WITH_LIBAV) bench/run.sh $(ARGS)

.PHONY: bench-smoke
bench-smoke: ## See that the bench works, in less than a minute
	@$(MAKE) --no-print-directory bench ARGS='-quick -out build/bench-smoke'

.PHONY: bench-go
bench-go: setup ## Run the Go benchmarks of the hot parts, for benchstat (ARGS='-bench Stage -count 10')
	@scripts/deps.sh --test
	@$(WITH_LIBAV) go test -run '^$$' -bench . -benchmem $(ARGS) ./transcode/...

.PHONY: bench-system
bench-system: bin/mp3lathe ## Measure what the service adds to the bare conversion (ARGS: see bench/README.md)
	@scripts/deps.sh --test
	@go run ./bench/system $(ARGS)

.PHONY: bench-uploads
bench-uploads: ## Measure the memory of a gateway under large uploads (ARGS: see bench/README.md)
	@scripts/versitygw.sh build >/dev/null
	CGO_ENABLED=0 go build $(BUILDFLAGS) -o bin/mp3lathe-gateway ./cmd/gateway
	@CGO_ENABLED=0 go run ./bench/uploads $(ARGS)

.PHONY: bench-scale
bench-scale: setup ## Measure a queue of a million jobs beside an empty one, half an hour (ARGS='-rows 2000': a look at whether it works)
	@scripts/deps.sh --test
	@$(WITH_LIBAV) go run ./bench/scale $(ARGS)

.PHONY: bench-quality
bench-quality: setup ## Measure what splices cost in quality (MP3LATHE_CORPUS=folder: of real sound too)
	@scripts/deps.sh --test
	@$(WITH_LIBAV) go test ./transcode -run '^$$' -bench '^BenchmarkQuality$$' -benchtime 1x

.PHONY: docs
docs: setup ## Write anew what is in docs because of the code: the tables of settings, and of capacity
	@$(WITH_LIBAV) go test ./cmd/mp3lathe -run '^TestSettingsReference$$' -count 1 -update
	@go test ./bench/capacity -run '^TestTables$$' -count 1 -update

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
distclean: clean ## Also remove the cache with the FFmpeg libraries, their source and the servers of the tests
	@rm -f .env
	@scripts/versitygw.sh clean
	@scripts/ferretdb.sh clean
	@scripts/oidc-provider.sh clean
	@scripts/prometheus.sh clean
	@scripts/libav.sh clean
