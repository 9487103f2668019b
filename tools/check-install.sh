#!/bin/sh
# Installs a build folder into a scratch folder, and compiles, links and runs a program with what lies there.
set -eu

cd "$(dirname "$0")/.."
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
meson install -C "$1" --no-rebuild --quiet --destdir "$root"
status=0
need() { # a file of this name must be there and hold something
    file=$(find "$root" -path "*/$1")
    if [ ! -s "$file" ]; then
        echo "install: no $1, or an empty one" >&2
        status=1
    fi
}
need include/phantom/error.h
need phantom.pc
need libphantom.so
need doc/phantom-gpu/LICENSE
if [ -x "$1/phantom-gpu" ]; then
    need bin/phantom-gpu
    need man1/phantom-gpu.1
    need completions/phantom-gpu
    need site-functions/_phantom-gpu
    need vendor_completions.d/phantom-gpu.fish
fi
[ $status -eq 0 ] || exit 1

PKG_CONFIG_PATH=$(dirname "$(find "$root" -name phantom.pc)")
export PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR="$root"
cat >"$root/t.c" <<'C'
#include <phantom/error.h>
int main(void)
{
    return pg_code_exit_status(PG_E_USAGE) != 2;
}
C
# shellcheck disable=SC2046
gcc "$root/t.c" -o "$root/t" $(pkg-config --cflags --libs phantom)
LD_LIBRARY_PATH=$(dirname "$(find "$root" -name libphantom.so)") "$root/t"
