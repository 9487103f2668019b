#!/bin/sh
# Compiles the pure core for WASM with no libc at hand, and links it: proof that the core needs nothing but what
# base/libc.h names. Fails on any other undefined symbol. The result is OUT/core.wasm.
# runs: clang wasm-ld
set -eu

# What the page or a libc must provide.
allowed='memcpy memmove memset memcmp strlen exp log pow fmod sqrt floor ceil trunc fabs'

cd "$(dirname "$0")/.."
out=${1:-build-wasm}
cc=${WASM_CC:-clang}
ld=${WASM_LD:-wasm-ld}
command -v "$ld" >/dev/null || { echo "wasm-core: no $ld found (Debian package: lld)" >&2; exit 1; }

mkdir -p "$out"
rm -f "$out"/*.o "$out/core.wasm"
objects=
for file in $(tools/check-includes.sh --core); do
    object=$out/$(echo "${file#src/}" | tr / -).o
    "$cc" --target=wasm32 -std=c17 -O2 -ffreestanding -nostdlibinc -ffp-contract=off -Wall -Wextra -Werror \
        -Isrc -Iinclude -c "$file" -o "$object"
    objects="$objects $object"
done
[ -n "$objects" ] || { echo "wasm-core: no sources yet"; exit 0; }

for name in $allowed; do echo "$name"; done >"$out/allowed"
# shellcheck disable=SC2086
if ! "$ld" --no-entry --export-all --no-gc-sections --fatal-warnings --error-limit=0 \
    --allow-undefined-file="$out/allowed" $objects -o "$out/core.wasm" 2>"$out/link.log"; then
    sed -n 's/.*error: \(.*\): undefined symbol: \(.*\)/wasm-core: \1 needs \2, which the core may not use/p' \
        "$out/link.log" | sort -u
    grep -v 'undefined symbol' "$out/link.log" >&2 || true
    exit 1
fi
echo "wasm-core: $(echo "$objects" | wc -w) objects, $(wc -c <"$out/core.wasm") bytes"
