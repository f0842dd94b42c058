# The two commands for a newcomer are `make demo` and `make test`: each installs what it needs on
# Debian 12 or newer. `make build && sudo make install` is for who keeps it.

PREFIX ?= /usr/local
PORT ?= 6080

CARGO ?= cargo
CARGO_TARGET_DIR ?= target
export CARGO_TARGET_DIR

WEB = $(abspath $(DESTDIR)$(PREFIX)/share/websockify/web)
BRIDGE := $(CARGO_TARGET_DIR)/release/websockify
UNITS := websockify@.socket websockify@.service websockify.target
LIB = $(DESTDIR)$(PREFIX)/lib
LIBEXEC = $(DESTDIR)$(PREFIX)/libexec/websockify
# Units and scripts name the package's places.
PLACED = sed 's|/usr/bin/|$(PREFIX)/bin/|; s|/usr/libexec/|$(PREFIX)/libexec/|'
REBIND := $(CARGO_TARGET_DIR)/release/librebind.so
SOURCES := Cargo.toml Cargo.lock $(shell find src preload -type f)

POLICY := $(CARGO_TARGET_DIR)/selinux/websockifyd.pp

.PHONY: build demo test check install selinux selinux-install test-selinux clean help

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

install: $(BRIDGE)
	install -D -m 755 $(BRIDGE) $(DESTDIR)$(PREFIX)/bin/websockify
	install -d $(DESTDIR)/etc/websockify $(LIB)/systemd/system $(LIB)/systemd/system-generators $(LIBEXEC)
	for unit in $(UNITS); do \
		$(PLACED) systemd/$$unit >$(LIB)/systemd/system/$$unit && \
		chmod 644 $(LIB)/systemd/system/$$unit || exit 1; \
	done
	@# Not through a link of an older version: it leads to the bridge itself.
	rm -f $(LIB)/systemd/system-generators/websockify-generator
	$(PLACED) systemd/websockify-generator >$(LIB)/systemd/system-generators/websockify-generator
	$(PLACED) systemd/websockify-instance >$(LIBEXEC)/websockify-instance
	chmod 755 $(LIB)/systemd/system-generators/websockify-generator $(LIBEXEC)/websockify-instance
	install -D -m 644 systemd/websockify.sysusers $(LIB)/sysusers.d/websockify.conf
	install -D -m 644 systemd/websockify.catalog $(LIB)/systemd/catalog/websockify.catalog
	@# A package's own scripts do this; here it is the machine that make runs on.
	if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
		systemd-sysusers && journalctl --update-catalog && systemctl daemon-reload; \
	fi
	cd web && find . -type f ! -name package.json -exec install -D -m 644 {} $(WEB)/{} \;
	install -D -m 644 $(REBIND) $(DESTDIR)$(PREFIX)/lib/websockify/rebind.so
	install -D -m 755 preload/rebind $(DESTDIR)$(PREFIX)/bin/rebind
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man7 man/websockify-helper.7

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
	@tests/selinux/run

clean:
	$(CARGO) clean
	rm -rf target tests/browser/node_modules

help:
	@echo 'make demo     build the bridge and serve a page that shows it at work (PORT=6080)'
	@echo 'make test     run every test, also against Python websockify'
	@echo 'make build    build the bridge for use: $(BRIDGE)'
	@echo 'make install  copy it to PREFIX/bin and lib, its pages to PREFIX/share (PREFIX=/usr/local, DESTDIR=)'
	@echo 'make selinux  build the policy for SELinux: $(POLICY)'
	@echo 'make test-selinux  try it where SELinux enforces it, in emulated machines; takes its time'
	@echo 'make check    format, lints, dependencies, shell scripts'
	@echo 'make clean    remove what was built and fetched'
