#!/bin/sh
# shellcheck disable=SC2015,SC2016
# What a formatter doesn't know: sizes, banned functions, headers, files that the build forgot.
#   tools/check-style.sh               check the tree; --self-test: prove that violations are found
# A function body runs from a line that is "{" alone to the next line that begins with "}" (the layout of .clang-format).
set -eu

max_function=100
max_p95=70
max_file=1200
banned='strcpy strcat strncpy strncat sprintf vsprintf gets strtok atoi atol atoll atof alloca setjmp longjmp'

sources() { # of the folders given, those that exist; tables are not code
    for dir; do
        [ ! -d "$dir" ] || find "$dir" -type f \( -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.hpp' \)
    done | LC_ALL=C sort
}

check_sizes() {
    sources src tools tests include | xargs awk -v max_function="$max_function" -v max_file="$max_file" -v p95="$max_p95" '
        function close_file() {
            if (file != "" && lines > max_file) { print file ": " lines " lines, more than " max_file; bad = 1 }
        }
        FNR == 1 { close_file(); file = FILENAME; open = 0 }
        { lines = FNR }
        /^\{[ \t]*$/ && !open { open = FNR; next }
        /^\}/ && open {
            length_ = FNR - open + 1
            if (length_ > max_function) {
                print file ":" open ": function of " length_ " lines, more than " max_function; bad = 1
            }
            if (file ~ /^src\//) { count++; of_length[length_]++ }
            open = 0
        }
        END {
            close_file()
            for (i = 1; i <= max_function && seen < count * 0.95; i++) seen += of_length[i]
            if (count >= 20 && i - 1 > p95) {
                print "src: 95 % of the functions should have at most " p95 " lines, but it takes " i - 1; bad = 1
            }
            exit bad
        }' /dev/null
}

check_banned() {
    sources src | xargs awk -v banned="$banned" '
        BEGIN { n = split(banned, b, " "); for (i = 1; i <= n; i++) is[b[i]] = 1 }
        FNR == 1 { comment = 0 }
        {
            s = $0; gsub(/\\./, "", s); gsub(/"[^"]*"/, "\"\"", s)
            if (comment) { if (!sub(/^.*\*\//, "", s)) next; comment = 0 }
            gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", s); sub(/\/\/.*/, "", s)
            if (sub(/\/\*.*/, "", s)) comment = 1
            while (match(s, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
                name = substr(s, RSTART, RLENGTH - 1); sub(/[ \t]+$/, "", name)
                if (name in is) { print FILENAME ":" FNR ": " name "() is banned"; bad = 1 }
                s = substr(s, RSTART + RLENGTH)
            }
        }
        END { exit bad }' /dev/null
}

check_text() {
    sources src tools tests include | xargs awk '
        /\t/ { print FILENAME ":" FNR ": tab"; bad = 1 }
        /[ \t\r]$/ { print FILENAME ":" FNR ": space at the end of the line"; bad = 1 }
        END { exit bad }' /dev/null
}

# Each header is guarded by its own path: src/base/str.h by BASE_STR_H, include/phantom/error.h by PHANTOM_ERROR_H.
check_guards() {
    guard_status=0
    for file in $(sources src include | grep '\.h$'); do
        name=$(echo "${file#*/}" | tr 'a-z/.-' 'A-Z___')
        grep -q "^#ifndef $name\$" "$file" && grep -q "^#define $name\$" "$file" || {
            echo "$file: the include guard should be $name"
            guard_status=1
        }
    done
    return $guard_status
}

check() {
    status=0
    check_sizes || status=1
    check_banned || status=1
    check_text || status=1
    check_guards || status=1
    return $status
}

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

lines() { # of code, as many as asked for
    awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) print "    f();" }'
}

self_test() {
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    mkdir -p "$tmp/src/base"
    a="$tmp/src/base/a.c"
    good() {
        { echo '/* strcpy(a, b) and'; echo ' * sprintf(a) in a comment */'; echo 'int f(void)'; echo '{'
          lines 98; echo '    g("gets()"); /* atoi() */'; echo '}'; } | sed 5d >"$a"
        printf '#ifndef BASE_A_H\n#define BASE_A_H\n#endif\n' >"$tmp/src/base/a.h"
    }
    good
    (cd "$tmp" && check) || { echo "self-test: the good tree does not pass" >&2; exit 1; }
    sed -i 's/^{/{\n    f();/' "$a"
    expect 'src/base/a.c:4: function of 101 lines'
    good; lines 1201 >"$a"
    expect 'src/base/a.c: 1201 lines'
    good; echo 'int x = strcpy (a, "b"); /* c */' >"$a"
    expect 'src/base/a.c:1: strcpy() is banned'
    good; printf 'int x; \n' >"$a"
    expect 'src/base/a.c:1: space at the end'
    good; printf '\tint x;\n' >"$a"
    expect 'src/base/a.c:1: tab'
    good; sed -i 's/BASE_A_H/A_H/' "$tmp/src/base/a.h"
    expect 'guard should be BASE_A_H'
    good; for _ in 1 2 3 4 5 6 7 8 9 10; do
        { echo 'int f(void)'; echo '{'; lines 70; echo '}'; echo 'int f(void)'; echo '{'; echo '}'; } >>"$a"
    done
    expect '95 % of the functions should have at most 70 lines, but it takes 72'
    echo "check-style: self-test passed"
}

cd "$(dirname "$0")/.."
case ${1-} in
--self-test) self_test ;;
'') check ;;
*) echo "usage: tools/check-style.sh [--self-test]" >&2; exit 2 ;;
esac
