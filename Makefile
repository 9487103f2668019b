# For habit's sake: each target calls ./dev, and Meson does the work.
#   make install PREFIX=/usr DESTDIR=/tmp/package
PREFIX ?= /usr/local
DESTDIR ?=

all: build

build demo check test bench fuzz fit wasm-core format sources clean install-deps:
	@./dev $@

install: build
	meson configure build -Dprefix='$(PREFIX)'
	DESTDIR='$(DESTDIR)' meson install -C build

uninstall:
	ninja -C build uninstall

.PHONY: all build demo check test bench fuzz fit wasm-core format sources clean install-deps install uninstall
