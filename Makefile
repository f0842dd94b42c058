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
REBIND := $(CARGO_TARGET_DIR)/release/librebind.so
SOURCES := Cargo.toml Cargo.lock $(shell find src preload -type f)

.PHONY: build demo test check install clean help

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
	install -d $(DESTDIR)/etc/websockify $(LIB)/systemd/system $(LIB)/systemd/system-generators
	for unit in $(UNITS); do \
		sed 's|/usr/bin/websockify|$(PREFIX)/bin/websockify|' systemd/$$unit >$(LIB)/systemd/system/$$unit && \
		chmod 644 $(LIB)/systemd/system/$$unit || exit 1; \
	done
	ln -sf $(PREFIX)/bin/websockify $(LIB)/systemd/system-generators/websockify-generator
	install -D -m 644 systemd/websockify.sysusers $(LIB)/sysusers.d/websockify.conf
	install -D -m 644 systemd/websockify.catalog $(LIB)/systemd/catalog/websockify.catalog
	@# A package's own scripts do this; here it is the machine that make runs on.
	if [ -z "$(DESTDIR)" ] && [ -d /run/systemd/system ]; then \
		systemd-sysusers && journalctl --update-catalog && systemctl daemon-reload; \
	fi
	cd web && find . -type f ! -name package.json -exec install -D -m 644 {} $(WEB)/{} \;
	install -D -m 644 $(REBIND) $(DESTDIR)$(PREFIX)/lib/websockify/rebind.so
	install -D -m 755 preload/rebind $(DESTDIR)$(PREFIX)/bin/rebind
	for page in man/*; do install -D -m 644 "$$page" "$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}" || exit 1; done

clean:
	$(CARGO) clean
	rm -rf target tests/browser/node_modules

help:
	@echo 'make demo     build the bridge and serve a page that shows it at work (PORT=6080)'
	@echo 'make test     run every test, also against Python websockify'
	@echo 'make build    build the bridge for use: $(BRIDGE)'
	@echo 'make install  copy it to PREFIX/bin and lib, its pages to PREFIX/share (PREFIX=/usr/local, DESTDIR=)'
	@echo 'make check    format, lints, dependencies, shell scripts'
	@echo 'make clean    remove what was built and fetched'
