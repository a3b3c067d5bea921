# What can be done here. `make` alone says it.

GO      ?= go
TOOLS   := $(CURDIR)/bin/tools
VERSION ?= $(shell git describe --tags --always 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)

STATICCHECK  := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCILINT := github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

.PHONY: help build demo test check lint race properties soak bench fuzz audit-graphql conformance parts clean
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /	/' | expand -t 15

build: ## bin/rollcall, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o bin/rollcall ./cmd/rollcall

demo: build ## a server, a make-believe Apple and fifty devices with some weeks of history; Ctrl-C ends it
	bin/rollcall demo

test: build ## every test
	@command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || \
		echo "PostgreSQL is not installed: what servers share in it is NOT tested (apt-get install postgresql)"
	$(GO) test -timeout 20m ./...

lint: $(TOOLS)/staticcheck ## gofmt, vet, staticcheck, golangci-lint (if it can be had)
	@bad=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$bad" || { echo "not gofmt'ed: $$bad"; exit 1; }
	$(GO) vet ./...
	$(TOOLS)/staticcheck ./...
	@if [ -x $(TOOLS)/golangci-lint ] || GOBIN=$(TOOLS) $(GO) install $(GOLANGCILINT) 2>$(TOOLS)/golangci-lint.err; then \
		$(TOOLS)/golangci-lint run ./...; \
	else echo "golangci-lint could not be installed and was NOT run; see $(TOOLS)/golangci-lint.err"; fi

RACED ?= ./...
race: build ## every test, with the race detector
	$(GO) test -race -timeout 20m $(RACED)

properties: ## ten thousand random lives of a device, instead of the hundred of every test run
	$(GO) test ./domain/device -run 'ALifeLosesNoCommand|ARepeatedConnect' -rapid.checks=10000

SOAK ?= 10000
soak: ## as many device-days with faults as SOAK says (10,000), for each of four seeds; and 500 kills of a server that issues certificates; some fifteen minutes
	ROLLCALL_DEVICE_DAYS=$(SOAK) $(GO) test -count=1 -v -timeout 6h ./tests -run '^TestDeviceDays$$'
	ROLLCALL_KILLS=500 $(GO) test -count=1 -v -timeout 1h ./tests -run '^TestSIGKILLWhileCertificatesAreIssued$$'

check: lint race ## what must be green before a commit (the floor plan is one of the tests)

bench: build ## figures: the server under load, then the log alone, in one table (JSON=-json for programs); some five minutes
	@$(GO) run ./tests/bench -binary bin/rollcall $(JSON)
	@test -n "$(JSON)" || $(GO) test -run '^$$' -bench 'Rebuild|DeviceAsOf' -benchtime 1x ./tests/bench

parts: ## figures of parts alone: appends, folds, codecs, property lists
	$(GO) test -run '^$$' -bench . -benchmem ./eventstore/... ./projections/... ./handlers/plist/... ./handlers/mdm/

FUZZTIME ?= 20s
fuzz: ## every fuzz target for FUZZTIME each
	@for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "== $$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x $$pkg || exit 1; \
		done; \
	done

audit-graphql: build ## the GraphQL-over-HTTP audit of the JavaScript reference implementation, against a served Rollcall; wants node
	@if command -v npm >/dev/null; then cd tests/audit-graphql && npm ci --silent && node audit.mjs $(CURDIR)/bin/rollcall; \
	else echo "node and npm are not here: the GraphQL-over-HTTP audit was NOT run"; fi

conformance: ## the make-believe EventStoreDB, held to the official JavaScript client; wants node
	@if command -v npm >/dev/null; then (cd eventstore/esdb/esdbtest/conformance && npm ci --ignore-scripts --no-audit --no-fund --silent) && \
		ROLLCALL_CONFORMANCE=1 $(GO) test -count=1 -v -run '^TestConformance$$' ./eventstore/esdb/esdbtest; \
	else echo "node and npm are not here: the make-believe EventStoreDB was NOT held to the JavaScript client"; fi

clean: ## forget what was built
	rm -rf bin

$(TOOLS)/staticcheck:
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install $(STATICCHECK)
