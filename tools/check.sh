#!/bin/sh
# Everything that must hold; run it as `./dev check`. Ends with the line "N passed, N failed".
# A step is one check; the programs of a test run say how many cases they hold (tools/count-tests.awk).
# runs: gcc g++ clang clang++
set -u

cd "$(dirname "$0")/.." || exit 1
jobs=${1:-2}
fuzz_seconds=${FUZZ_SECONDS:-10}
passed=0
failed=0
failures=
log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 1' HUP INT TERM

# ASan: what the project may use is small; a leak or a huge request is an error like any other.
export ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="print_stacktrace=1"

failure() { # NAME: counts one, shows the log
    failed=$((failed + 1))
    failures="$failures
  $1"
    printf 'FAIL  %s\n' "$1"
    tail -n 80 "$log" | sed 's/^/      | /'
}

step() { # NAME COMMAND...
    name=$1
    shift
    start=$(date +%s)
    if "$@" >"$log" 2>&1 </dev/null; then
        passed=$((passed + 1))
        note=$(grep -E -m1 'skipped: |^wasm-core: ' "$log" | sed 's/^[a-z-]*: //')
        printf 'ok    %s (%s s)%s\n' "$name" $(($(date +%s) - start)) "${note:+: $note}"
    else
        failure "$name"
        return 1
    fi
}

suite() { # NAME BUILD: all meson tests of a build, counted by case
    start=$(date +%s)
    rm -f "$2/meson-logs/testlog.txt"
    meson test -C "$2" --no-rebuild --print-errorlogs --num-processes "$jobs" >"$log" 2>&1 </dev/null
    status=$?
    counts=$(awk -f tools/count-tests.awk "$2/meson-logs/testlog.txt" 2>/dev/null || echo 0 0)
    good=$(echo "$counts" | sed -n '1s/ .*//p')
    bad=$(echo "$counts" | sed -n '1s/.* //p')
    if [ "$bad" -eq 0 ] && { [ $status -ne 0 ] || [ "$good" -eq 0 ]; }; then bad=1; fi
    passed=$((passed + good))
    if [ "$bad" -gt 0 ]; then
        failure "$1: $bad of $((good + bad)) cases"
        failed=$((failed + bad - 1))
        echo "$counts" | sed -n '2,$s/^/      /p'
    else
        printf 'ok    %s: %s cases (%s s)\n' "$1" "$good" $(($(date +%s) - start))
    fi
}

build() { # FOLDER MESON-OPTIONS...
    dir=$1
    shift
    { [ -f "$dir/build.ninja" ] || meson setup "$dir" "$@"; } && ninja -C "$dir" -j "$jobs"
}

build_asan() {
    CC=clang CXX=clang++ build build-asan -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
        -Doptimization=1 -Ddebug=true
}

fuzz_one() { # TARGET; its result goes to a file, since several run at once
    if tools/fuzz.sh build-asan "$1" "$fuzz_seconds" >"build-asan/fuzz/$1.log" 2>&1 </dev/null; then
        echo ok >"build-asan/fuzz/$1.result"
    else
        echo failed >"build-asan/fuzz/$1.result"
    fi
}

fuzz_all() {
    targets=$(find build-asan/tests -maxdepth 1 -type f -name 'fuzz_*' | sed 's|.*/fuzz_||' | LC_ALL=C sort)
    [ -n "$targets" ] || return 0
    rm -rf build-asan/fuzz # from the kept corpus alone, so that the next run does the same
    mkdir -p build-asan/fuzz
    running=0
    for target in $targets; do
        fuzz_one "$target" &
        running=$((running + 1))
        if [ $running -ge "$jobs" ]; then
            wait
            running=0
        fi
    done
    wait
    for target in $targets; do
        cp "build-asan/fuzz/$target.log" "$log"
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        if [ "$(cat "build-asan/fuzz/$target.result")" = ok ]; then
            passed=$((passed + 1))
            printf 'ok    fuzz %s: %s inputs\n' "$target" "${runs:-0}"
        else
            failure "fuzz $target"
        fi
    done
}

step 'packages.txt is complete' tools/check-packages.sh
step 'includes go downward' tools/check-includes.sh
step 'includes: self-test' tools/check-includes.sh --self-test
step 'source style' tools/check-style.sh
step 'source style: self-test' tools/check-style.sh --self-test
step 'file lists of the build' tools/sources.sh
step 'layout' tools/format.sh --check
step 'public headers alone, C17 and C++17' tools/check-headers.sh
step 'WASM core' tools/wasm-core.sh
if step 'release build, gcc' build build; then
    suite 'tests, gcc' build
    step 'exports' tools/check-exports.sh build/libphantom.so
    step 'install' tools/check-install.sh build
fi
if step 'sanitizer build, clang' build_asan; then
    suite 'tests, clang with ASan and UBSan' build-asan
    fuzz_all
fi

[ -z "$failures" ] || printf '\nfailed:%s\n' "$failures"
printf '\n%s passed, %s failed\n' "$passed" "$failed"
[ $failed -eq 0 ]
