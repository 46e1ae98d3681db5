# dirtyscope: make run, make test; see README.md.
#
# V=1 shows every command, WERROR=1 makes warnings errors. Output goes to build/ only.
# CC, CFLAGS, CPPFLAGS and LDFLAGS of the environment are taken.

MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.DEFAULT_GOAL := all

prefix  ?= /usr/local
DESTDIR ?=
# Not ?=: make has a CC of its own, "cc".
ifneq ($(filter default undefined,$(origin CC)),)
  CC := gcc
endif
CLANG   ?= clang
BPFTOOL ?= $(firstword $(wildcard /usr/sbin/bpftool /usr/bin/bpftool) bpftool)
ARGS    ?=

ifeq ($(V),1)
  Q :=
  say = @:
else
  Q := @
  say = @printf '  %-8s %s\n'
endif

B        := build
VERSION  := 0.1.0
# A tree of make dist has no history, and may lie in somebody else's.
REVISION := $(shell cat .revision 2>/dev/null || git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)

FATAL    := $(if $(filter 1,$(WERROR)),-Werror)
WARN     := -Wall -Wextra $(FATAL) -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes \
            -Wno-unused-parameter -Wvla
CFLAGS   ?= -O2 -g
LDFLAGS  ?=
override CPPFLAGS := -I. -I$(B) -D_GNU_SOURCE -DDS_VERSION='"$(VERSION)"' $(CPPFLAGS)
STD      := -std=gnu11
LIBS     := -lbpf -lelf -lz -lmicrohttpd -lgnutls -ljansson -lyaml -lcurl -lmnl -lncursesw -ltinfo -lpthread -lm
BPF_FLAGS := -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_x86 -I. \
             -I/usr/include/$(shell $(CC) -print-multiarch) -Wall -Wextra $(FATAL) -Wno-unused-parameter

# What make dist has put there; make PREBUILT= makes it again.
PREBUILT    := $(wildcard prebuilt)

BPF_SOURCES := $(wildcard bpf/*.bpf.c)
BPF_OBJECTS := $(BPF_SOURCES:%.c=$(B)/%.o)
SKELETON    := $(B)/dirtyscope.skel.h

SOURCES  := $(sort $(shell find agent api dashboards/terminal -name '*.c'))
MAIN     := $(filter %/main.c,$(SOURCES))
LIBRARY  := $(filter-out $(MAIN),$(SOURCES))
OBJECTS  := $(SOURCES:%.c=$(B)/%.o)
ASSETS   := $(wildcard api/*.json)

# The web page: its files and those of uPlot, plain and compressed.
WEB         := $(B)/web
WEB_SOURCES := $(wildcard dashboards/web/*.html dashboards/web/*.css dashboards/web/*.js)
WEB_ASSETS  := $(addprefix $(WEB)/assets/,$(notdir $(WEB_SOURCES)) uplot.js uplot.css)
WEB_OBJECTS := $(WEB_ASSETS:%=%.o) $(WEB_ASSETS:%=%.gz.o)
ASSET_OBJECTS := $(ASSETS:%=$(B)/%.o) $(WEB_OBJECTS)

# Unit tests run under the address and undefined-behaviour sanitizers.
SANITIZE     := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_SOURCES := $(wildcard tests/unit/test_*.c)
UNIT_TESTS   := $(UNIT_SOURCES:%.c=$(B)/%)
# libFuzzer needs clang; its edges are counted in all that is fuzzed.
FUZZ         := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZED_NAMES := yaml_source yaml_tree option_value text json_members \
                rule rule_reader rule_set conditions selector expand kinds rule_fields action action_limit action_track \
                identity_table decode encode record_fields track_fields
FUZZED       := $(foreach f,$(LIBRARY:.c=),$(if $(filter $(FUZZED_NAMES),$(notdir $f)),$f))
FUZZ_OBJECTS := $(FUZZED:%=$(B)/fuzz/%.o) $(filter-out $(FUZZED:%=$(B)/%.o),$(LIBRARY:%.c=$(B)/%.o))
SAN_OBJECTS  := $(LIBRARY:%.c=$(B)/san/%.o)
PLAIN_UNIT   := $(UNIT_SOURCES:tests/unit/%.c=$(B)/tests/plain/%)

BPF_TESTS    := $(patsubst %.c,$(B)/%.o,$(filter-out %.bpf.c tests/bpf/verify.c,$(wildcard tests/bpf/*.c)))

FSCK_OBJECTS  := $(patsubst %.c,$(B)/%.o,$(wildcard tests/fsck/*.c))

VM_PROGRAMS   := $(B)/tests/vm/recorder $(B)/tests/vm/edu $(B)/tests/vm/uring $(B)/tests/fsck/fsck
TEST_PROGRAMS := $(UNIT_TESTS) $(B)/tests/fuzz/fuzz_policies $(B)/tests/fuzz/fuzz_records $(B)/tests/bpf/test_accounting $(B)/tests/bpf/verify $(B)/tests/live/workload $(B)/tests/live/writer $(B)/tests/live/hostile \
                 $(B)/tests/live/pages $(B)/tests/live/inject_phases $(B)/tests/live/broken $(VM_PROGRAMS)

.PHONY: FORCE compilers all run dist test test-vm test-distros test-tsan tests-local packages bench install uninstall clean lint format deps deps-test help

all: $(B)/dirtyscope

help:
	@sed -n 's/^##\? *//p' $(firstword $(MAKEFILE_LIST)) | head -4
	@echo 'Targets: all run test test-vm lint bench install dist clean deps; V=1 shows commands'

# ---- set-up: Debian packages, installed only when missing ----

# Whoever has npm from elsewhere keeps it.
NODE_PACKAGES := $(if $(shell command -v npm),,nodejs npm)
# These made what a tree of make dist has in prebuilt/.
PREBUILDERS := $(NODE_PACKAGES) clang llvm bpftool
PACKAGES := gcc libbpf-dev libelf-dev zlib1g-dev libmicrohttpd-dev libgnutls28-dev \
            libjansson-dev libyaml-dev libcurl4-openssl-dev libmnl-dev libncurses-dev uthash-dev pkg-config
TEST_PACKAGES := chromium fonts-dejavu-core libcmocka-dev liburing-dev libibverbs-dev ibverbs-providers libclang-rt-14-dev clang-format clang-tidy prometheus prometheus-alertmanager python3 python3-jsonschema python3-yaml \
            iproute2 curl openssl slowhttptest libcap2-bin valgrind e2fsprogs btrfs-progs \
            tmux qemu-system-x86 busybox-static cpio xz-utils zstd debian-archive-keyring
BENCH_PACKAGES := fio bpftrace wrk htop prometheus-node-exporter

define install_missing
	@missing=$$(for p in $(1); do \
	  dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || printf '%s ' $$p; done); \
	[ -z "$$missing" ] || { \
	  echo "installing from Debian (needs root): $$missing"; \
	  as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; \
	  $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends \
	    $$missing > $(B)/apt.log 2>&1 || { tail -5 $(B)/apt.log; exit 1; }; }
endef

$(B):
	$(Q)mkdir -p $@

# What is needed to build, one a line, for tests/distros.
packages:
	@printf '%s\n' nodejs npm $(PREBUILDERS) $(PACKAGES)

deps: | $(B)
	$(call install_missing,$(if $(PREBUILT),,$(PREBUILDERS)) $(PACKAGES))
deps-test: deps
	$(call install_missing,$(PREBUILDERS) $(TEST_PACKAGES) $$(tests/bpf/compilers | sed 's/^/clang-/'))
deps-bench: deps-test
	$(call install_missing,$(BENCH_PACKAGES))

# ---- BPF: one object per sensor, linked into one, one skeleton ----

$(B)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(say) BPF $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_FLAGS) -MMD -MP -c $< -o $@

ifdef PREBUILT
$(B)/dirtyscope.bpf.o $(SKELETON): $(B)/%: prebuilt/%
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@
else
$(B)/dirtyscope.bpf.o: $(BPF_OBJECTS)
	$(say) LINK $@
	$(Q)$(BPFTOOL) gen object $@ $^

$(SKELETON): $(B)/dirtyscope.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name dirtyscope > $@
endif

# The same by another compiler: every one that tests/bpf/compilers names must do.
$(B)/clang-%/dirtyscope.bpf.o: FORCE
	$(Q)$(MAKE) -s B=$(B)/clang-$* CLANG=clang-$* $@
compilers: FORCE
	$(Q)for version in $$(tests/bpf/compilers); do $(MAKE) $(B)/clang-$$version/dirtyscope.bpf.o || exit 1; done

# ---- the agent: one binary ----

$(B)/%.o: %.c Makefile
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(CPPFLAGS) $(CFLAGS) $(WARN) -MMD -MP -c $< -o $@

$(B)/san/%.o: %.c Makefile
	$(say) CC-SAN $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(CPPFLAGS) -O1 -g $(SANITIZE) $(WARN) -MMD -MP -c $< -o $@

# Only these include what is generated.
uses = $(foreach d,$(B) $(B)/san $(B)/fuzz,$(patsubst %.c,$d/%.o,$(shell grep -l '"$(1)"' $(SOURCES))))
$(call uses,dirtyscope.skel.h): $(SKELETON)

# The revision changes with every commit: one small file is rebuilt, and only then.
$(B)/revision.h: FORCE | $(B)
	$(Q)echo '#define DS_REVISION "$(REVISION)"' | cmp -s - $@ || echo '#define DS_REVISION "$(REVISION)"' > $@
$(call uses,revision.h): $(B)/revision.h
FORCE:

# An asset becomes symbols _binary_api_openapi_json_start and _end.
$(B)/%.json.o: %.json
	$(say) EMBED $<
	$(Q)mkdir -p $(@D)
	$(Q)ld -r -b binary -z noexecstack -o $@ $<

# ---- the web page: dashboards/web and uPlot, which npm fetches as the lock file says ----

NPM_CI := npm ci --omit=dev --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error

# By content, so that a checkout, whose files are all new, does not fetch again what is there.
$(WEB)/package-lock.json: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)for file in package.json package-lock.json; do \
	  cmp -s dashboards/web/$$file $(WEB)/$$file || cp dashboards/web/$$file $(WEB)/$$file || exit 1; done

$(WEB)/node_modules/uplot/package.json: $(WEB)/package-lock.json
	$(say) NPM $(@D)
	$(Q)cd $(WEB) && $(NPM_CI) >/dev/null
	$(Q)touch $@

$(WEB)/assets/%: dashboards/web/%
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@
ifdef PREBUILT
$(WEB)/assets/uplot.js $(WEB)/assets/uplot.css: $(WEB)/assets/%: prebuilt/%
	$(Q)mkdir -p $(@D)
	$(Q)cp $< $@
else
# With its license, as that asks for.
$(WEB)/assets/uplot.js: $(WEB)/node_modules/uplot/package.json
	$(Q)mkdir -p $(@D)
	$(Q){ echo '/*'; cat $(<D)/LICENSE; echo '*/'; cat $(<D)/dist/uPlot.iife.min.js; } > $@
$(WEB)/assets/uplot.css: $(WEB)/node_modules/uplot/package.json
	$(Q)mkdir -p $(@D)
	$(Q)cp $(<D)/dist/uPlot.min.css $@
endif
$(WEB)/assets/%.gz: $(WEB)/assets/%
	$(Q)gzip -9 -n -c $< > $@

# A file becomes symbols _binary_web_assets_style_css_start and _end.
$(WEB)/assets/%.o: $(WEB)/assets/%
	$(say) EMBED $<
	$(Q)cd $(B) && ld -r -b binary -z noexecstack -o web/assets/$*.o web/assets/$*

$(B)/web_hash.h: $(WEB_ASSETS)
	$(Q)echo "#define DS_WEB_HASH \"$$(cat $^ | sha256sum | cut -c1-16)\"" > $@
$(call uses,web_hash.h): $(B)/web_hash.h

$(B)/dirtyscope: $(OBJECTS) $(ASSET_OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# ---- a tree to build without npm, clang, bpftool and a network: what those made is in prebuilt/ ----

DIST    := dirtyscope-$(VERSION)
STAGED  := $(B)/dist/$(DIST)

dist: $(SKELETON) $(B)/dirtyscope.bpf.o $(WEB)/assets/uplot.js $(WEB)/assets/uplot.css
	$(say) DIST $(B)/$(DIST).tar.xz
	$(Q)rm -rf $(B)/dist
	$(Q)mkdir -p $(STAGED)/prebuilt
	$(Q)git ls-files -z | xargs -0 cp --parents -t $(STAGED)
	$(Q)cp $^ $(STAGED)/prebuilt
	$(Q)echo $(REVISION) > $(STAGED)/.revision
	$(Q)tar -C $(B)/dist --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+rw \
	  --mtime=@$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || date +%s)} -cf - $(DIST) | \
	  xz -9 > $(B)/$(DIST).tar.xz
	$(Q)rm -rf $(B)/dist

# ---- tests ----

# Read as BTF, not linked.
$(B)/tests/unit/layouts.o: tests/unit/layouts.c Makefile
	$(say) BTF $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(STD) $(CPPFLAGS) -gbtf $(WARN) -MMD -MP -c $< -o $@
$(B)/tests/unit/test_record_tables $(B)/tests/plain/test_record_tables: | $(B)/tests/unit/layouts.o

$(B)/tests/unit/%: $(B)/san/tests/unit/%.o $(SAN_OBJECTS) $(ASSET_OBJECTS)
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(SANITIZE) -o $@ $^ -lcmocka $(LIBS)

$(B)/fuzz/%.o: %.c Makefile
	$(say) CC-FUZZ $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(STD) $(CPPFLAGS) -O1 -g $(subst fuzzer,fuzzer-no-link,$(FUZZ)) $(WARN) -MMD -MP -c $< -o $@
$(B)/tests/fuzz/%: $(B)/fuzz/tests/fuzz/%.o $(FUZZ_OBJECTS) $(ASSET_OBJECTS)
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ) -o $@ $^ $(LIBS)

$(B)/tests/plain/%: $(B)/tests/unit/%.o $(LIBRARY:%.c=$(B)/%.o) $(ASSET_OBJECTS)
	$(say) LINK $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -o $@ $^ -lcmocka $(LIBS)

$(B)/tests/bpf/twins.bpf.o: tests/bpf/twins.bpf.c Makefile
	$(say) BPF $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(BPF_FLAGS) -MMD -MP -c $< -o $@
$(B)/twins.skel.h: $(B)/tests/bpf/twins.bpf.o
	$(say) SKEL $@
	$(Q)$(BPFTOOL) gen skeleton $< name twins > $@
$(BPF_TESTS): $(B)/twins.skel.h
$(B)/tests/bpf/test_accounting: $(BPF_TESTS) $(B)/agent/kernel/page_sets.o $(B)/agent/kernel/process_counts.o
	$(say) LINK $@
	$(Q)$(CC) -o $@ $^ -lcmocka -lbpf -lelf -lz -lpthread
$(B)/tests/bpf/verify: %: %.o
	$(say) LINK $@
	$(Q)$(CC) -o $@ $^ -lbpf -lelf -lz

$(B)/tests/live/workload: $(B)/tests/live/workload_ready.o
$(B)/tests/live/hostile: $(B)/tests/live/hostile_signals.o
$(B)/tests/live/workload $(B)/tests/live/writer $(B)/tests/live/hostile: %: %.o
	$(say) LINK $@
	$(Q)$(CC) -o $@ $^ -lpthread

# These need the agent's parts, without its main.
$(B)/tests/live/pages $(B)/tests/live/broken $(B)/tests/live/inject_phases $(B)/tests/vm/recorder $(B)/tests/bench/policies: $(B)/tests/%: $(B)/tests/%.o $(LIBRARY:%.c=$(B)/%.o) $(ASSET_OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) -o $@ $^ $(LIBS)

$(B)/tests/vm/edu $(B)/tests/vm/uring: %: %.o
	$(say) LINK $@
	$(Q)$(CC) -o $@ $^ -lpthread

$(B)/tests/fsck/fsck: $(FSCK_OBJECTS)
	$(say) LINK $@
	$(Q)$(CC) -o $@ $^ -luring -libverbs -lbpf -lelf -lz -lpthread

# The browser's driver and the accessibility checker, as their lock file says.
$(WEB)/tests/node_modules/playwright-core/package.json: tests/web/package-lock.json tests/web/package.json
	$(say) NPM $(WEB)/tests
	$(Q)mkdir -p $(WEB)/tests
	$(Q)cp $^ $(WEB)/tests/
	$(Q)cd $(WEB)/tests && $(NPM_CI) >/dev/null
	$(Q)touch $@

tests-build: compilers $(B)/tests/unit/layouts.o $(WEB)/tests/node_modules/playwright-core/package.json $(B)/dirtyscope $(TEST_PROGRAMS) $(PLAIN_UNIT)

# What tests/distros runs in the root of another release.
tests-local: $(B)/tests/unit/layouts.o $(UNIT_TESTS) $(B)/tests/bpf/test_accounting $(B)/tests/bpf/verify $(B)/tests/live/workload $(B)/tests/live/writer $(B)/tests/live/pages

test: deps-test
	$(Q)$(MAKE) -j$$(nproc) WERROR=1 tests-build
	$(Q)tests/run $(B)

# All that each kernel can do in each mode of the IOMMU, of which make test does a part.
# KERNEL=7.2 IOMMU=strict make test-vm runs these alone; VM_README, BPF_RECORD: see tests/vm/README.md.
test-vm: deps-test
	$(Q)$(MAKE) -j$$(nproc) compilers $(B)/tests/bpf/verify $(B)/dirtyscope $(B)/tests/live/workload $(B)/tests/live/writer $(B)/tests/live/hostile $(B)/tests/live/broken $(B)/tests/live/pages $(B)/tests/live/inject_phases $(VM_PROGRAMS)
	$(Q)VM=all ONLY=vm/ tests/run $(B)
	$(Q)tests/vm/table.py $(B)

# Debian 13 and sid, with their own compilers and libraries; DISTROS=trixie does that one alone.
test-distros: deps-test
	$(call install_missing,mmdebstrap)
	$(Q)tests/distros/run $(DISTROS)

# The suites in which many threads meet, with an agent under ThreadSanitizer.
test-tsan: deps-test
	$(Q)$(MAKE) -j$$(nproc) tests-build
	$(Q)$(MAKE) -j$$(nproc) B=$(B)/tsan CFLAGS="-O1 -g -fsanitize=thread -Wno-tsan" LDFLAGS=-fsanitize=thread $(B)/tsan/dirtyscope
	$(Q)tests/tsan $(B)

bench: deps-bench
	$(Q)$(MAKE) -j$$(nproc) $(B)/dirtyscope $(WEB)/tests/node_modules/playwright-core/package.json $(B)/tests/live/workload $(B)/tests/live/writer
	$(Q)tests/bench/run $(B)

# ---- run, install, lint ----

run: deps
	$(Q)$(MAKE) -j$$(nproc) $(B)/dirtyscope
	@as_root=; [ "$$(id -u)" = 0 ] || { as_root=sudo; echo "root is needed to load the BPF programs"; }; \
	exec $$as_root $(B)/dirtyscope agent $(ARGS)

MANUALS := $(filter-out $(B)/%,$(wildcard README.md */README.md */*/README.md))

install: $(B)/dirtyscope
	install -D -m 0755 $(B)/dirtyscope $(DESTDIR)$(prefix)/bin/dirtyscope
	for file in $(MANUALS); do install -D -m 0644 $$file $(DESTDIR)$(prefix)/share/doc/dirtyscope/$$file || exit 1; done
	install -d $(DESTDIR)$(prefix)/share/dirtyscope/policies.d
	install -m 0644 agent/policies/shipped/*.yaml $(DESTDIR)$(prefix)/share/dirtyscope/policies.d
	install -D -m 0644 LICENSE $(DESTDIR)$(prefix)/share/doc/dirtyscope/LICENSE
	cd dashboards && for file in prometheus/*.yml prometheus/targets/*.yml grafana/*.json grafana/provisioning/*/*.yml; do \
	  install -D -m 0644 $$file $(DESTDIR)$(prefix)/share/dirtyscope/$$file || exit 1; done
	sed -i 's|path: /usr/local/share|path: $(prefix)/share|' $(DESTDIR)$(prefix)/share/dirtyscope/grafana/provisioning/dashboards/dirtyscope.yml

uninstall:
	rm -rf $(DESTDIR)$(prefix)/bin/dirtyscope $(DESTDIR)$(prefix)/share/doc/dirtyscope $(DESTDIR)$(prefix)/share/dirtyscope

C_FILES := $(shell find agent api bpf dashboards tests -name '*.[ch]')

# How far the analyzer looks into a function; the tests look less far, in a fifth of the time.
LINT_NODES ?= 225000

lint: deps-test $(SKELETON) $(B)/twins.skel.h $(B)/revision.h $(B)/web_hash.h
	$(say) FORMAT
	$(Q)clang-format --dry-run --Werror $(C_FILES)
	$(say) TIDY
	$(Q)printf '%s\n' $(filter-out %.bpf.c,$(filter %.c,$(C_FILES))) | \
	  xargs -P $$(nproc) -I{} clang-tidy --quiet --warnings-as-errors='*' {} -- $(STD) $(subst -I$(B),-isystem $(B),$(CPPFLAGS)) \
	  -Xclang -analyzer-config -Xclang max-nodes=$(LINT_NODES) 2>$(B)/tidy.log

format:
	$(Q)clang-format -i $(C_FILES)

clean:
	$(Q)rm -rf $(B)

-include $(shell find $(B) -name '*.d' -type f 2>/dev/null)
