# make up [NODES=n] · make down · make check [TEST=file] · make test · make bench [BENCH=name] · make clients
# Everything else is a step of one of these.

NODES ?= 1
ARCH := $(shell uname -m | sed 's/x86_64/x64/;s/aarch64/arm64/')
NODE := node_modules/node-linux-$(ARCH)/bin/node
BIN := node_modules/.bin
export NODE_COMPILE_CACHE := $(CURDIR)/node_modules/.cache/coracle

# What the product runs on, then what builds it; npm and kubectl only where the machine has none.
PACKAGES := runc conmon nftables iproute2 util-linux busybox-static gcc g++ libc6-dev ca-certificates \
  $(if $(shell command -v npm),,nodejs npm) $(if $(shell command -v kubectl),,kubernetes-client)
HOUSE := api control agent native cli images
TEST_PACKAGES := docker-registry openssl conntrack iptables dnsutils curl python3-kubernetes containernetworking-plugins btrfs-progs
# What the benchmarks measure with, and against.
BENCH_PACKAGES := iperf3 sockperf wrk haproxy dnsperf unbound dnsmasq-base
# The other platform's compiler and what runs its programs, for the addon's tests.
OTHER := $(if $(filter arm64,$(ARCH)),x64,arm64)
# A virtual machine for what this machine's kernel may not have.
VM_PACKAGES := $(if $(filter x64,$(ARCH)),qemu-system-x86 cpio)
CROSS_PACKAGES := qemu-user-static $(if $(filter arm64,$(OTHER)),g++-aarch64-linux-gnu,g++-x86-64-linux-gnu)

.PHONY: up down check test bench clients deps packages test-packages bench-packages cross-packages vm-packages addon images format .coracle/debian-kubectl .coracle/debian-etcd .coracle/debian-kernel

up: deps images
	@$(NODE) test/cluster/up.ts --nodes=$(NODES)

down:
	@if [ -x $(NODE) ]; then $(NODE) test/cluster/down.ts; fi

# Types, lint, format, dead code, and the unit tests: everything that needs neither cluster nor kubectl. Of one file with TEST=.
# Four files at a time on two cores: half of the time they wait for a kernel, a container or a probe.
check: deps test-packages
ifdef TEST
	@$(NODE) --test --test-reporter=spec $(TEST)
else
	@$(NODE) $(BIN)/tsc -p .
	@$(NODE) $(BIN)/oxlint --type-aware --deny-warnings
	@$(NODE) $(BIN)/biome check --error-on-warnings .
	@$(NODE) $(BIN)/knip --no-progress
	@$(NODE) --test --test-reporter=dot --test-concurrency=4 --test-timeout=60000 $$(find $(HOUSE) -name '*.test.ts' ! -name '*.kubectl.test.ts')
endif

# The oldest client that must work: Debian's own, beside whichever the machine has.
.coracle/debian-kubectl: packages
	@[ -x $@/usr/bin/kubectl ] || { mkdir -p $@ && cd $@ && apt-get download -qq -o APT::Sandbox::User=root kubernetes-client && dpkg -x kubernetes-client_*.deb . && rm kubernetes-client_*.deb; }

# Debian's kernel for virtual machines, with every part of nf_tables; unpacked, not installed.
.coracle/debian-kernel: packages
	@[ "$(ARCH)" != x64 ] || [ -d $@/boot ] || { mkdir -p $@ && cd $@ && { apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1 || apt-get update -qq; } && \
	  apt-get download -qq -o APT::Sandbox::User=root $$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image\)/\1/p') && \
	  dpkg -x linux-image-*.deb . && rm linux-image-*.deb; }

# Whole clusters, one test file at a time: they share the machine.
test: check images .coracle/debian-kubectl .coracle/debian-kernel cross-packages vm-packages .coracle/node-$(OTHER)
	@$(NODE) --test --test-reporter=spec --test-concurrency=1 --test-timeout=600000 $$(find $(HOUSE) -name '*.kubectl.test.ts') 'test/**/*.test.ts'

# The other platform's Node, to load the addon that is built for it.
.coracle/node-$(OTHER): package.json
	@mkdir -p $@ && echo '{"private":true}' >$@/package.json
	@npm install --prefix $@ --no-save --no-audit --no-fund --loglevel=error --force --os=linux --cpu=$(OTHER) \
	  node-linux-$(OTHER)@$$($(NODE) -p 'require("./package.json").optionalDependencies["node-linux-$(OTHER)"]') >/dev/null
	@touch $@

# What the store is measured against; unpacked, not installed: nothing starts it but the bench.
.coracle/debian-etcd: packages
	@[ -x $@/usr/bin/etcd ] || { mkdir -p $@ && cd $@ && apt-get download -qq -o APT::Sandbox::User=root etcd-server && dpkg -x etcd-server_*.deb . && rm etcd-server_*.deb; }

bench: deps bench-packages images .coracle/debian-etcd
	@$(NODE) test/bench/run.ts $(BENCH)

# Programs of others in Go, which meet the API as their users do; nothing else here needs Go. Each is built once
# for its version (a mark beside it says which), two packages at a time: compiling Helm and k9s is most of it.
CLIENTS := .coracle/clients
GO_CLIENTS := helm3=helm.sh/helm/v3/cmd/helm@v3.22.0 helm4=helm.sh/helm/v4/cmd/helm@v4.3.1 \
  stern=github.com/stern/stern@v1.33.0 k9s=github.com/derailed/k9s@v0.50.16
GO_BUILD := -p 2 -buildvcs=false -ldflags='-s -w'

clients: deps images test-packages $(CLIENTS)
	@$(NODE) --test --test-reporter=spec --test-concurrency=1 --test-timeout=300000 test/clients/*.clients.ts

.PHONY: $(CLIENTS)
$(CLIENTS):
	@command -v go >/dev/null || { echo "make clients: it builds programs in Go, and there is no go here" >&2; exit 1; }
	@mkdir -p $@
	@cd test/clients && go build $(GO_BUILD) -o $(CURDIR)/$@/ ./informer ./operator
	@for each in $(GO_CLIENTS); do name=$${each%%=*}; from=$${each#*=}; \
	  [ "$$(cat $@/$$name.version 2>/dev/null)" = $$from ] && continue; echo "building $$from"; \
	  GOBIN=$(CURDIR)/$@/bin-$$name go install $(GO_BUILD) $$from && mv $@/bin-$$name/* $@/$$name && rmdir $@/bin-$$name && echo $$from >$@/$$name.version || exit 1; \
	done

deps: packages node_modules/.installed addon

packages:
	@$(call install,$(PACKAGES))

test-packages:
	@$(call install,$(TEST_PACKAGES))

vm-packages:
	@$(call install,$(VM_PACKAGES))

bench-packages:
	@$(call install,$(BENCH_PACKAGES))

# Not `npm ci`: it refuses a lock without the optional packages of platforms that a registry does not carry.
node_modules/.installed: package.json package-lock.json native/package.json api/types/generate.ts api/schema/fields.json api/schema/openapi/generate-docs.ts api/schema/openapi/own-words.ts
	@npm install --no-save --no-audit --no-fund --loglevel=error >/dev/null
	@$(NODE) api/types/generate.ts
	@$(NODE) api/schema/openapi/generate-docs.ts
	@touch $@

cross-packages:
	@$(call install,$(CROSS_PACKAGES))

addon: node_modules/.installed
	@$(MAKE) -s -C native

images: deps
	@$(NODE) images/build.ts

format: deps
	@$(NODE) $(BIN)/biome check --write .

# Asks dpkg, which takes milliseconds, and apt only for what is missing.
install = missing=$$(for p in $(1); do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q ' installed' || echo $$p; done); \
  [ -z "$$missing" ] || { echo "installing" $$missing; \
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } >/tmp/coracle-apt.$$$$ 2>&1 \
    || { cat /tmp/coracle-apt.$$$$ >&2; rm -f /tmp/coracle-apt.$$$$; exit 1; }; rm -f /tmp/coracle-apt.$$$$; }
