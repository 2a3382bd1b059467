# `make` lists what there is. Only Go is needed to build; the UI also needs Node.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
ARCH    ?= $(shell go env GOARCH)
GOBUILD := CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$(VERSION)"

LINTER := bin/golangci-lint-v2.15.0

# Without Node the program is built all the same and says how to get the UI.
ifneq ($(shell command -v npm),)
UI := web/dist/index.html
endif
UI_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print)
CHROMIUM   := $(shell command -v chromium chromium-browser google-chrome | head -n 1)
NPM_INSTALL = PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm --prefix $(1) install --no-audit --no-fund --loglevel=error

skipped = @printf '\n*** SKIPPED: %s\n\n' '$(1)'

.PHONY: help run demo build maictl test oracle test-quick prove prove-guards fleet live lint bench bench-usage bench-backup bench-ui image fmt

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

run: build ## serve on http://localhost:8080 with data in ./data
	bin/mai serve

demo: build ## the same with a simulated OpenRouter: nothing to sign up for, nothing to pay
	bin/mai demo

build: $(UI) ## bin/mai, one static program with the UI inside, and bin/maictl
	$(if $(UI),,$(call skipped,the UI: npm is not installed))
	$(GOBUILD) -o bin/ ./cmd/mai ./cmd/maictl

test: build ## everything that needs no key: Go with -race, UI, browser, a short proof of the books
	go vet ./...
	go test -race -shuffle=on -timeout 20m ./...
	cd edge && go vet ./... && go test ./...
ifdef UI
	npm --prefix web test
else
	$(call skipped,UI tests: npm is not installed)
endif
ifeq ($(wildcard e2e/package.json),)
	$(call skipped,browser tests: there is no e2e folder)
else ifeq ($(UI),)
	$(call skipped,browser tests: npm is not installed)
else ifeq ($(CHROMIUM),)
	$(call skipped,browser tests: no Chromium is installed)
else
	$(call NPM_INSTALL,e2e)
	npm --prefix e2e test
endif
	$(MAKE) --no-print-directory oracle
	go run ./cmd/prove --quick
	$(MAKE) --no-print-directory image
	go test -count=1 -v -timeout 30m ./e2e/fleet -rig short

oracle: ## what others say about the simulator: official clients, OpenRouter's own document where it is at hand
ifdef UI
	$(call NPM_INSTALL,oracle/npm)
endif
	go -C oracle vet .
	go -C oracle test
	go -C oracle/s3 vet .
	go -C oracle/s3 test

test-quick: ## the inner loop, under a minute
	go vet ./...
	go test -short ./...

prove: build ## kill it a hundred times and compare the books entry by entry
	go run ./cmd/prove

prove-guards: build ## take out one guard of the books after another: the proof must notice each
	go run ./cmd/prove --guards

fleet: image ## the provider's stories on machines: servers as containers, Docker in them, an ACME authority
	go test -count=1 -v -timeout 120m ./e2e/fleet -rig full

live: build ## compare the real OpenRouter with the simulator, with your key; asks first, costs a few cents
	bin/mai live-check --record bin/live-records

lint: $(LINTER) ## formatting and static checks
	$(LINTER) run ./...
	cd oracle && $(CURDIR)/$(LINTER) run
ifdef UI
	$(MAKE) --no-print-directory web/node_modules/.installed
	npm --prefix web run lint
	npm --prefix web run typecheck
	npm --prefix web run i18n:check
else
	$(call skipped,UI checks: npm is not installed)
endif

bench: ## what the books cost a request, as ratios to a bare proxy
	go run ./bench

bench-usage: $(UI) ## the usage page on ledgers of 10,000 to 10 million calls: an hour, 14 GB in DATA=bin/ledgers
	$(if $(UI),$(call NPM_INSTALL,e2e))
	go run ./bench usage --data $(or $(DATA),bin/ledgers)

bench-backup: ## what a backup of a 2 GB database costs the settles beside it
	go run ./bench/backup

bench-ui: build ## what the UI costs a browser: streaming, a long chat, Lighthouse
	$(call NPM_INSTALL,e2e)
	$(call NPM_INSTALL,e2e/bench)
	npm --prefix e2e run bench

EDGE_BUILT = $(shell git log -1 --format=$(1) -- edge 2>/dev/null)

image: $(UI) ## bin/mai-production.tar and bin/mai-edge.tar, container images; mai is also loaded into Docker when it runs
	GOOS=linux GOARCH=$(ARCH) $(GOBUILD) -o bin/linux-$(ARCH)/mai ./cmd/mai
	go run ./tools/image -binary bin/linux-$(ARCH)/mai -arch $(ARCH) -version "$(VERSION)" \
		-created "$$(git log -1 --format=%ct 2>/dev/null || echo 0)" -out bin/mai-production.tar
	cd edge && GOOS=linux GOARCH=$(ARCH) CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w" -o ../bin/linux-$(ARCH)/edge .
	go run ./tools/image -program edge -binary bin/linux-$(ARCH)/edge -arch $(ARCH) -version "$(call EDGE_BUILT,%h)" \
		-created "$(or $(call EDGE_BUILT,%ct),0)" -out bin/mai-edge.tar
	if docker info >/dev/null 2>&1; then docker load -i bin/mai-production.tar; else echo "no Docker engine answers: bin/mai-production.tar was not loaded"; fi

maictl: ## bin/maictl-OS-ARCH for Linux and macOS, amd64 and arm64
	for os in linux darwin; do for arch in amd64 arm64; do \
		GOOS=$$os GOARCH=$$arch $(GOBUILD) -o bin/maictl-$$os-$$arch ./cmd/maictl; done; done

fmt: ## format the sources
	gofmt -w $$(git ls-files --cached --others --exclude-standard '*.go')
	$(if $(UI),npm --prefix web run format)

web/node_modules/.installed: web/package.json
	$(call NPM_INSTALL,web)
	touch $@

web/dist/index.html: web/node_modules/.installed $(UI_SOURCES)
	npm --prefix web run build
	touch $@

$(LINTER):
	GOBIN=$(CURDIR)/bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(subst bin/golangci-lint-,,$@)
	mv bin/golangci-lint $@
