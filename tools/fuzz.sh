#!/bin/sh
# Fuzzes one target for some seconds, from its kept corpus: tools/fuzz.sh BUILD TARGET SECONDS
# The kept corpus is read only; what is found new lies in BUILD/fuzz/TARGET/new, a failing input beside it.
# The same corpus, binary and seed give the same start; the limits are those that the project promises, with room for ASan.
set -eu

cd "$(dirname "$0")/.."
build=$1 target=$2 seconds=$3
program=$build/tests/fuzz_$target
[ -x "$program" ] || { echo "fuzz: no target '$target'" >&2; exit 2; }
out=$build/fuzz/$target
mkdir -p "$out/new"
set -- "$out/new"
corpus=tests/fuzz/corpora/$target
[ ! -d "$corpus" ] || set -- "$@" "$corpus"
dict=tests/fuzz/$target.dict
[ ! -f "$dict" ] || set -- "-dict=$dict" "$@"
export ASAN_OPTIONS="quarantine_size_mb=16:detect_leaks=1:allocator_may_return_null=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
exec "$program" -seed=1 -rss_limit_mb=512 -timeout=5 -max_total_time="$seconds" -print_final_stats=1 \
    -artifact_prefix="$out/" "$@"
