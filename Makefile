# The two commands for a newcomer are `make demo` and `make test`: each installs what it needs on
# Debian 12 or newer. `make build && sudo make install` is for who keeps it.

PREFIX ?= /usr/local
PORT ?= 6080

CARGO ?= cargo
CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR

ROOT = $(abspath $(DESTDIR)$(PREFIX))
# Where zsh looks for completions beneath PREFIX/share/zsh; Debian's looks for those of packages in
# vendor-completions.
ZSH_FOLDER ?= site-functions
# Units and scripts name the package's places.
PLACED = sed 's|/usr/libexec/|$(PREFIX)/libexec/|g'
GENERATOR = $(ROOT)/lib/systemd/system-generators/websockify-generator
BRIDGE := $(CARGO_TARGET_DIR)/release/websockify
REBIND := $(CARGO_TARGET_DIR)/release/librebind.so
SOURCES := Cargo.toml Cargo.lock $(shell find src preload -type f)

POLICY := $(CARGO_TARGET_DIR)/selinux/websockifyd.pp

.PHONY: build demo test check soak bench install deb selinux selinux-install test-selinux test-ktls clean help

build: $(BRIDGE)

$(BRIDGE): $(SOURCES)
	@tools/setup-build.sh
	$(CARGO) build --release --locked
	@touch $@ # cargo keeps a program that would come out the same, with its old time

demo: build
	@echo 'The demo: http://localhost:$(PORT)/ (Ctrl-C ends it)'
	@exec $(BRIDGE) --demo $(PORT)

test:
	@tools/test.sh

check:
	@tools/check.sh

# Ten minutes of everything at once, in both releases: for each night. SOAK=3600 is an hour.
soak:
	@tools/setup-build.sh && tools/setup-test.sh
	@SOAK=$${SOAK:-600} SHOW=yes tests/systemd/run soak

# QUICK=yes has a look, and writes nothing; ROUNDS=5.
bench: build
	@tools/bench.sh

# What is installed where, also for the package: debian/rules asks for this.
install: $(BRIDGE)
	install -D -m 755 $(BRIDGE) $(ROOT)/libexec/websockify/websockifyd
	install -d $(ROOT)/bin $(ROOT)/lib/systemd/system $(ROOT)/lib/systemd/system-generators
	ln -sf ../libexec/websockify/websockifyd $(ROOT)/bin/websockify
	for unit in systemd/*.socket systemd/*.service systemd/*.target; do \
		$(PLACED) $$unit >$(ROOT)/lib/systemd/system/$${unit#systemd/} && \
		chmod 644 $(ROOT)/lib/systemd/system/$${unit#systemd/} || exit 1; \
	done
	@# Not through a link of an older version: it leads to the bridge itself.
	rm -f $(GENERATOR)
	$(PLACED) systemd/websockify-generator >$(GENERATOR)
	$(PLACED) systemd/websockify-instance >$(ROOT)/libexec/websockify/websockify-instance
	chmod 755 $(GENERATOR) $(ROOT)/libexec/websockify/websockify-instance
	install -D -m 644 systemd/websockify.sysusers $(ROOT)/lib/sysusers.d/websockify.conf
	install -D -m 644 systemd/websockify.catalog $(ROOT)/lib/systemd/catalog/websockify.catalog
	install -D -m 644 -t $(DESTDIR)/etc/websockify etc/websockify/*
	install -D -m 644 $(REBIND) $(ROOT)/lib/websockify/rebind.so
	install -D -m 755 preload/rebind $(ROOT)/bin/rebind
	cd web && find . -type f ! -name package.json -exec install -D -m 644 {} $(ROOT)/share/websockify/web/{} \;
	for page in man/*.[1-8]; do install -D -m 644 -t $(ROOT)/share/man/man$${page##*.} $$page || exit 1; done
	install -D -m 644 completions/websockify.bash $(ROOT)/share/bash-completion/completions/websockify
	install -D -m 644 completions/_websockify $(ROOT)/share/zsh/$(ZSH_FOLDER)/_websockify
	install -D -m 644 completions/websockify.fish $(ROOT)/share/fish/vendor_completions.d/websockify.fish
	@# A package's own scripts do this; here it is the machine that make runs on.
	if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
		systemd-sysusers && journalctl --update-catalog && systemctl daemon-reload; \
	fi

deb:
	@tools/deb.sh

# Debian's selinux-policy-dev has what this includes. A policy that was built on Debian 12 is for 13 too.
selinux: $(POLICY)

$(POLICY): $(wildcard selinux/websockifyd.*)
	@mkdir -p $(@D)
	@cp $^ $(@D)
	@$(MAKE) --silent -C $(@D) -f /usr/share/selinux/devel/Makefile NAME=default websockifyd.pp

selinux-install: $(POLICY)
	install -D -m 644 $(POLICY) $(DESTDIR)$(PREFIX)/share/selinux/packages/websockifyd.pp
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/selinux/devel/include/contrib selinux/websockifyd.if

test-selinux:
	@tools/setup-build.sh && tools/setup-selinux.sh
	@tests/selinux/run

# The same machines, whose kernels do TLS.
test-ktls:
	@tools/setup-build.sh && tools/setup-selinux.sh
	@tests/selinux/run kernel-tls

clean:
	$(CARGO) clean
	rm -rf target tests/browser/node_modules

help:
	@echo 'make demo     build the bridge and serve a page that shows it at work (PORT=6080)'
	@echo 'make test     run every test, also against Python websockify'
	@echo 'make build    build the bridge for use: $(BRIDGE)'
	@echo 'make install  copy it to PREFIX, with units, pages and manual (PREFIX=/usr/local, DESTDIR=)'
	@echo 'make deb      build the Debian package, into target/deb'
	@echo 'make selinux  build the policy for SELinux: $(POLICY)'
	@echo 'make test-selinux  try it where SELinux enforces it, in emulated machines; takes its time'
	@echo 'make test-ktls  try sessions that outlive us inside TLS, there as well'
	@echo 'make soak     ten minutes of clients, restarts and kills, and what piles up; SOAK=3600 is an hour'
	@echo 'make bench    what a session costs beside other bridges, into docs/PERFORMANCE.md (QUICK=yes)'
	@echo 'make check    format, lints, dependencies, shell scripts'
	@echo 'make clean    remove what was built and fetched'
