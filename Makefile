# make help lists what there is. Everything it needs besides Go, git, make and a C
# compiler is built on first use and cached.

GO       ?= go
BIN      := bin
REFLOAT  := $(BIN)/refloat
CASES    ?= ../shared/cases
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The same compiler flags everywhere, so that building the programs of the sandbox, the
# product and its tests share one cache.
export GOFLAGS += -trimpath
# kustomize imports the standard library's plugin package, which with cgo makes every
# link slow and every program big, and could load code. Only the race detector needs C.
export CGO_ENABLED = 0

.DEFAULT_GOAL := help
.PHONY: help build assets demo test test-unit test-e2e test-alerts chaos chaos-bugs race bench lint vet generate check-generate vuln clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-16s %s\n", $$1, $$2}'

build: ## Build the refloat command into bin/
	@test -x $(REFLOAT) || echo "Building refloat; with an empty compiler cache this takes about five minutes on two cores"
	@$(GO) build -ldflags "-s -w -X main.version=$(VERSION)" -o $(REFLOAT) ./cmd/refloat

assets: build ## Build (first time) and cache Kubernetes, Cluster API and kwok
	@$(REFLOAT) sandbox assets

demo: build ## Drill a real repository on a real control plane and print the recovery time
	@CASES="$(CASES)" REFLOAT="$(REFLOAT)" sh hack/demo.sh

test: assets test-unit test-e2e test-alerts ## Run every test

test-unit: ## Run the tests that need no more than this machine's own control planes
	CASES="$(abspath $(CASES))" $(GO) test -timeout 20m $$($(GO) list ./... | grep -v /e2e)

test-e2e: ## Rebuild, verify, break and tear down real clusters
	CASES="$(abspath $(CASES))" $(GO) test -timeout 30m -count=1 ./e2e/...

test-alerts: ## Check and test the alerts that deploy/alerts ships
	@$(GO) build -C hack/promtool -tags remove_all_sd -o ../../$(BIN)/promtool github.com/prometheus/prometheus/cmd/promtool
	$(BIN)/promtool check rules deploy/alerts/refloat.rules.yaml
	$(BIN)/promtool test rules deploy/alerts/refloat.test.yaml

chaos: assets ## Let things go wrong at every write: FULL=1 for all points, POINT=Rebuild:kill-after:17 for one
	@$(if $(POINT)$(FAULTS),true,$(MAKE) --no-print-directory chaos-bugs)
	@$(GO) build -ldflags "-s -w" -o $(BIN)/chaos ./internal/chaos/cmd
	@$(BIN)/chaos $(if $(FULL),-full) $(if $(POINT),-point $(POINT)) $(if $(FAULTS),-faults $(FAULTS)) $(if $(LANES),-lanes $(LANES))

chaos-bugs: assets ## Seed deliberate bugs and show that the fault harness catches each
	@$(GO) build -ldflags "-s -w" -o $(BIN)/chaos ./internal/chaos/cmd
	@$(BIN)/chaos -bugs $(if $(LANES),-lanes $(LANES))

race: ## Run the concurrent packages under the race detector
	CGO_ENABLED=1 $(GO) test -race -timeout 30m ./manifests/apply/... ./manifests/cluster/... ./manifests/health/... ./manifests/order/... \
		./manifests/source/... ./manifests/verify/... ./recovery/... ./providers/capi/... ./schedules ./schedules/controller

bench: build assets ## Print apply, overhead and memory figures, one "name value unit" a line
	@$(GO) -C bench run .

lint: ## Run golangci-lint with the architecture rules
	$(GO) build -C hack/lint -o ../../$(BIN)/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	$(BIN)/golangci-lint run ./...

vet: ## Run go vet
	$(GO) vet ./...
	$(GO) -C providers/local/assets/kubernetes vet .
	$(GO) -C bench vet .

generate: ## Regenerate deepcopy code, CRDs and embedded recipes
	$(GO) generate ./...

check-generate: ## Fail when generated code is not current
	@before=$$(git status --porcelain; git diff | cksum); $(MAKE) --no-print-directory generate; \
	after=$$(git status --porcelain; git diff | cksum); \
	[ "$$before" = "$$after" ] || { git status --short; echo "generated code is not current: run 'make generate' and commit"; exit 1; }

vuln: ## Check for known vulnerabilities, if the database can be reached
	@sh hack/vuln.sh

clean: ## Remove what was built here (the cache of built binaries stays)
	rm -rf $(BIN) out
