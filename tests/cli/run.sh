#!/bin/sh
# Tests of the command line, as data.
#
#   tests/cli/run.sh [--update] PROGRAM [CASE...]
#
# A case is a few files in tests/cli/cases (or a folder below it):
#   NAME.cmd    a shell script; `phantom-gpu` in it is PROGRAM, $CASES the folder of the case, $ROOT the source tree;
#               `hub_server` runs a command with a Hub on the loopback, which is the only one that there is
#   NAME.out    what it must print; without this file that is not looked at
#   NAME.err    what it must print to stderr; without this file: nothing
#   NAME.exit   its exit status; without this file: 0
#   NAME.in/    files that are copied into the scratch folder in which the case runs, alone
# In .out and .err a line is a pattern: "*" stands for any text ("\*" for a star), everything else for itself, and a line
# "..." for any number of lines. `--update` writes what the program did into .out, .err and .exit where it differs from
# what is there, and all of them for a new case (read the diff before you commit it); patterns that still match stay.
# The environment is the same everywhere: C.UTF-8, UTC, 100 columns, no colour, no configuration, no cache.
set -u

usage() {
    sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
    exit 2
}

update=false
if [ "${1-}" = --update ]; then
    update=true
    shift
fi
case ${1-} in '' | -*) usage ;; esac
program=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
[ -x "$program" ] || { echo "$1: no such program" >&2; exit 2; }
shift

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
mkdir "$work/bin"
ln -s "$program" "$work/bin/phantom-gpu"
ln -s "$(dirname "$program")/tests/hub_server" "$work/bin/hub_server"
passed=0
failed=0

# matches PATTERNS ACTUAL: the lines of one file against the other; prints nothing, the status tells.
matches() {
    awk '
        function line_matches(pattern, text,    parts, n, i, at, rest) {
            gsub(/\\\*/, "\001", pattern)
            n = split(pattern, parts, /\*/)
            for (i = 1; i <= n; i++) gsub(/\001/, "*", parts[i])
            if (n <= 1) return text == parts[1] "" || (n == 0 && text == "")
            if (substr(text, 1, length(parts[1])) != parts[1]) return 0
            rest = substr(text, length(parts[1]) + 1)
            for (i = 2; i < n; i++) {
                at = parts[i] == "" ? 1 : index(rest, parts[i])
                if (!at) return 0
                rest = substr(rest, at + length(parts[i]))
            }
            return length(rest) >= length(parts[n]) && substr(rest, length(rest) - length(parts[n]) + 1) == parts[n]
        }
        FILENAME == ARGV[1] { want[++wants] = $0; next }
        { have[++haves] = $0 }
        END { # the usual two pointers: on a mismatch go back to the last "..." and let it take one line more
            w = h = 1
            while (h <= haves) {
                if (w <= wants && want[w] == "...") { star = w++; mark = h }
                else if (w <= wants && line_matches(want[w], have[h])) { w++; h++ }
                else if (star) { w = star + 1; h = ++mark }
                else exit 1
            }
            while (w <= wants && want[w] == "...") w++
            exit w <= wants
        }' "$1" "$2"
}

# compare KIND: .out or .err of the case; without the file nothing must be there (.err) or anything may (.out).
compare() {
    if [ -f "$case_.$1" ]; then matches "$case_.$1" "$work/$1"
    elif [ "$1" = err ]; then [ ! -s "$work/err" ]
    fi
}

keep() { # KIND: --update
    if [ -s "$work/$1" ] || [ "$1" = out ]; then cp "$work/$1" "$case_.$1"
    else rm -f "$case_.$1"
    fi
}

run_case() {
    case_=${1%.cmd}
    name=${case_#"$here/cases/"}
    rm -rf "$work/scratch"
    mkdir "$work/scratch"
    [ ! -d "$case_.in" ] || cp -R "$case_.in/." "$work/scratch"
    (
        cd "$work/scratch" && env -i PATH="$work/bin:$PATH" HOME="$work/scratch" TMPDIR="$work" LC_ALL=C.UTF-8 TZ=UTC \
            COLUMNS=100 TERM=dumb HF_ENDPOINT=http://127.0.0.1:1 PHANTOM_GPU_AWS_PRICES=http://127.0.0.1:1 \
            PHANTOM_GPU_AZURE_PRICES=http://127.0.0.1:1 PHANTOM_GPU_GCP_PRICES=http://127.0.0.1:1 \
            PHANTOM_GPU_AWS_SPOT=http://127.0.0.1:1 CASES="$(dirname "$case_")" ROOT="$here/../.." \
            ASAN_OPTIONS="${ASAN_OPTIONS-}" UBSAN_OPTIONS="${UBSAN_OPTIONS-}" sh "$case_.cmd"
    ) >"$work/out" 2>"$work/err" </dev/null
    status=$?
    expected=0
    [ ! -f "$case_.exit" ] || expected=$(cat "$case_.exit")
    wrong=
    [ "$status" = "$expected" ] || wrong="exit status $status, not $expected"
    compare out || wrong="$wrong${wrong:+; }stdout"
    compare err || wrong="$wrong${wrong:+; }stderr"
    if $update && [ ! -f "$case_.out" ] && [ ! -f "$case_.err" ] && [ ! -f "$case_.exit" ]; then
        : >"$case_.out"
        wrong=${wrong:-new}
    fi
    if [ -z "$wrong" ]; then
        passed=$((passed + 1))
    elif $update; then
        compare out || keep out
        compare err || keep err
        if [ "$status" = 0 ]; then rm -f "$case_.exit"; else echo "$status" >"$case_.exit"; fi
        echo "updated: $name ($wrong)"
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "failed: $name: $wrong"
        for kind in out err; do
            compare $kind || { [ -f "$case_.$kind" ] && cat "$case_.$kind"; } |
                diff -u --label expected --label "actual std$kind" - "$work/$kind" | head -n 60
        done
    fi
}

if [ $# -gt 0 ]; then
    for name; do
        [ -f "$here/cases/$name.cmd" ] || { echo "$name: no such case" >&2; exit 2; }
        run_case "$here/cases/$name.cmd"
    done
else
    find "$here/cases" -name '*.cmd' ! -path '*.in/*' | LC_ALL=C sort >"$work/list"
    while IFS= read -r file; do run_case "$file"; done <"$work/list"
fi

echo "[  PASSED  ] $passed test(s)."
if [ $failed -gt 0 ]; then
    echo "[  FAILED  ] $failed test(s)."
    exit 1
fi
