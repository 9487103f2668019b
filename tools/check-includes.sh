#!/bin/sh
# shellcheck disable=SC2015,SC2016
# Dependencies go down only. Fails on an #include that the table below does not allow, and on impurity in the core.
#   tools/check-includes.sh               check src/
#   tools/check-includes.sh --core        print the .c files that the core needs (what the WASM build compiles)
#   tools/check-includes.sh --self-test   prove on a small broken tree that violations are found
set -eu

# One line per folder of src/: what it may include besides itself and phantom/error.h, errors.def.
# A word is a folder, one file of a folder ("gpu/spec.h"), or "public" for the whole of include/phantom/.
table() {
    cat <<'TABLE'
base
wire     base
gpu      base
graph    base
load     base wire graph zoo
zoo      base wire graph
cost     base graph gpu
predict  base graph gpu cost
llm      base graph gpu cost predict
bench    public base wire graph gpu load zoo cost predict llm api
hub      base wire
api      public base wire graph gpu load zoo cost predict llm hub
price    public base wire gpu predict llm hub api
render   public base predict bench
cli      public base render bench
server   public base render
wasm     public base render
TABLE
}

# Pure folders: no system header but through base/libc.h, in them and in every file that they use.
core="graph cost predict llm"
# The only exception: the arena poisons free memory under ASan.
core_system="base/libc.h base/arena.c:<sanitizer/asan_interface.h>"

# "FILE LINE HEADER" for each include below src/, HEADER with its quotes or brackets.
includes() {
    find src -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' -o -name '*.cpp' -o -name '*.hpp' \) |
        LC_ALL=C sort | xargs awk '/^[ \t]*#[ \t]*include[ \t]/ {
            h = $0; sub(/^[ \t]*#[ \t]*include[ \t]*/, "", h)
            if (match(h, /^("[^"]*"|<[^>]*>)/)) h = substr(h, 1, RLENGTH); else h = "macro"
            print substr(FILENAME, 5), FNR, h }' /dev/null
}

check_table() {
    { table; echo --; includes; } | awk '
        function fail(text) { print "src/" $1 ":" $2 ": " text; bad = 1 }
        /^--$/ { body = 1; next }
        !body { known[$1] = 1; for (i = 2; i <= NF; i++) may[$1, $i] = 1; may[$1, $1] = 1; next }
        {
            split($1, part, "/"); from = part[1]
            if (!(from in known)) { fail("folder " from "/ is not in the table of tools/check-includes.sh"); next }
            if ($3 == "macro") { fail("an include must name its file"); next }
            if ($3 ~ /^</) next
            header = substr($3, 2, length($3) - 2); n = split(header, part, "/"); to = part[1]
            if (n < 2 || header ~ /\.\./) fail("write \"folder/file.h\", not \"" header "\"")
            else if (header == "phantom/error.h" || header == "phantom/errors.def") next
            else if (to == "phantom") { if (!may[from, "public"]) fail(from "/ may not include the public " header) }
            else if (!(to in known)) fail("unknown folder in \"" header "\"")
            else if (!may[from, to] && !may[from, header]) fail(from "/ may not include " header)
        }
        END { exit bad }'
}

# The transitive closure of the core folders over quoted includes; a header brings the .c of the same name along.
core_files() {
    {
        find src -type f -name '*.[ch]' | sed 's|^src/|file |'
        find src -type f -name '*.def' | sed 's|^src/|file |'
        includes | sed 's/^/include /'
    } | awk -v core="$core" '
        function need(f) { if (f in exists && !(f in want)) { want[f] = 1; queue[++tail] = f } }
        BEGIN { n = split(core, c, " "); for (i = 1; i <= n; i++) is_core[c[i]] = 1 }
        $1 == "file" { exists[$2] = 1 }
        $1 == "include" && $4 ~ /^"/ { h = substr($4, 2, length($4) - 2); uses[$2] = uses[$2] " " h }
        END {
            for (f in exists) { split(f, p, "/"); if (p[1] in is_core) need(f) }
            for (head = 1; head <= tail; head++) {
                f = queue[head]; n = split(uses[f], u, " ")
                for (i = 1; i <= n; i++) need(u[i])
                if (f ~ /\.h$/) { sub(/h$/, "c", f); need(f) }
            }
            for (f in want) print f
        }' | LC_ALL=C sort
}

check_core() {
    { core_files | sed 's/^/core /'; includes; } | awk -v allowed="$core_system" '
        BEGIN { n = split(allowed, a, " "); for (i = 1; i <= n; i++) ok[a[i]] = 1 }
        $1 == "core" { core[$2] = 1; next }
        $1 in core && $3 ~ /^</ && !($1 in ok) && !(($1 ":" $3) in ok) {
            print "src/" $1 ":" $2 ": the core reaches libc through base/libc.h only, not " $3; bad = 1
        }
        END { exit bad }'
}

check() {
    status=0
    check_table || status=1
    check_core || status=1
    return $status
}

# expect TEXT: the check of the tree in $tmp must fail with a line that holds TEXT.
expect() {
    if out=$(cd "$tmp" && check 2>&1); then
        echo "self-test: not found: $1" >&2
        exit 1
    fi
    case $out in
    *"$1"*) ;;
    *) echo "self-test: expected '$1', got: $out" >&2; exit 1 ;;
    esac
}

self_test() {
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    mkdir -p "$tmp/src/base" "$tmp/src/graph" "$tmp/src/cost" "$tmp/src/gpu" "$tmp/src/cli"
    good() {
        printf '#include <string.h>\n' >"$tmp/src/base/libc.h"
        printf '#include "base/libc.h"\n' | tee "$tmp/src/base/str.h" >"$tmp/src/gpu/spec.h"
        printf '#include "base/str.h"\n' | tee "$tmp/src/base/str.c" >"$tmp/src/graph/graph.h"
        printf '#include "graph/graph.h"\n#include "gpu/spec.h"\n' >"$tmp/src/cost/cost.c"
        printf '#include <stdio.h>\n#include "phantom/phantom.h"\n#include "base/str.h"\n' >"$tmp/src/cli/main.c"
    }
    good
    (cd "$tmp" && check) || { echo "self-test: the good tree does not pass" >&2; exit 1; }
    [ "$(cd "$tmp" && core_files | tr '\n' ' ')" = \
        "base/libc.h base/str.c base/str.h cost/cost.c gpu/spec.h graph/graph.h " ] ||
        { echo "self-test: wrong core files" >&2; exit 1; }
    printf '# include "cost/cost.h"\n' >"$tmp/src/graph/graph.h"
    expect 'src/graph/graph.h:1: graph/ may not include cost/cost.h'
    good; printf '#include "phantom/phantom.h"\n' >"$tmp/src/cost/cost.c"
    expect 'cost/ may not include the public phantom/phantom.h'
    good; printf '#include "str.h"\n' >"$tmp/src/base/str.c"
    expect 'write "folder/file.h", not "str.h"'
    good; printf '#include <stdio.h>\n' >"$tmp/src/cost/cost.c"
    expect 'not <stdio.h>'
    good; printf '#include "base/str.h"\n#include <stdlib.h>\n' >"$tmp/src/base/str.c"
    expect 'src/base/str.c:2: the core reaches libc'
    good; mkdir "$tmp/src/new"; printf '#include "base/str.h"\n' >"$tmp/src/new/a.c"
    expect 'folder new/ is not in the table'
    echo "check-includes: self-test passed"
}

cd "$(dirname "$0")/.."
case ${1-} in
--core) core_files | grep '\.c$' | sed 's|^|src/|' ;;
--self-test) self_test ;;
'') check ;;
*) echo "usage: tools/check-includes.sh [--core | --self-test]" >&2; exit 2 ;;
esac
