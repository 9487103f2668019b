#!/bin/sh
# packages.txt is complete and true:
#   - what it lists as needed is installed;
#   - each dependency(), find_library() and find_program() of the meson.build files comes from a package in it;
#   - each system header that the sources include comes from one, or from what one of them depends on;
#   - each command that our scripts call comes from one, or from a package that every Debian has.
set -eu
# shellcheck disable=SC2016

cd "$(dirname "$0")/.."
if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "check-packages: not a Debian system, nothing to compare with"
    exit 0
fi
scripts=$(ls dev .ci/run tools/*.sh tests/cli/run.sh 2>/dev/null || true)
status=0
fail() {
    echo "packages.txt: $*"
    status=1
}

listed=$(sed 's/#.*//; /^\[/d; s/[ \t]*$//; /^$/d' packages.txt)
needed=$(sed '/^\[optional\]/,$d; s/#.*//; /^\[/d; s/[ \t]*$//; /^$/d' packages.txt)

# shellcheck disable=SC2086
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $needed 2>/dev/null | sed -n 's/^installed //p')
for package in $needed; do
    echo "$installed" | grep -qx "$package" || fail "$package is listed but not installed"
done
for package in $(echo "$listed" | sort | uniq -d); do fail "$package is listed twice"; done

# The packages that own the file $1; a merged /usr makes /usr/bin/x known as /bin/x.
owners() {
    real=$(readlink -f "$1")
    {
        dpkg-query -S "$1" || dpkg-query -S "$real" || dpkg-query -S "${real#/usr}" || true
    } 2>/dev/null | sed -n '/^diversion /d; s/: .*//; s/:[a-z0-9]*//g; s/,//g; p' | tr ' ' '\n'
}

is_listed() { # any of these packages
    for owner; do
        if echo "$listed" | grep -qx "$owner"; then return 0; fi
    done
    return 1
}

in_closure() { # any of these packages is a dependency of a listed one
    if [ -z "${closure-}" ]; then
        # shellcheck disable=SC2086
        closure=$(apt-cache depends --recurse --installed --no-recommends --no-suggests --no-conflicts --no-breaks \
            --no-replaces --no-enhances $listed | sed -n 's/^\([a-z0-9][^ :]*\).*/\1/p' | sort -u)
    fi
    for owner; do
        if echo "$closure" | grep -qx "$owner"; then return 0; fi
    done
    return 1
}

from_package() { # WHAT FILE: the file comes from a listed package
    # shellcheck disable=SC2046
    set -- "$1" "$2" $(owners "$2")
    what=$1 file=$2
    shift 2
    is_listed "$@" || fail "$what comes from '$*' ($file), which is not listed"
}

calls() { # NAME: the first argument of each such call in the meson.build files
    find . -name meson.build ! -path './build*' -exec sed -n "s/.*\\b$1('\\([^']*\\)'.*/\\1/p" {} + | sort -u
}

for name in $(calls dependency); do
    [ "$name" != threads ] || continue # the C library's own
    dir=$(pkg-config --variable=pcfiledir "$name" 2>/dev/null) ||
        { fail "dependency('$name') of meson.build is not installed"; continue; }
    from_package "dependency('$name')" "$dir/$name.pc"
done
for name in $(calls find_library); do
    file=$(gcc -print-file-name="lib$name.so")
    [ -e "$file" ] || file=$(gcc -print-file-name="lib$name.a")
    [ -e "$file" ] || { fail "find_library('$name') of meson.build is not installed"; continue; }
    # shellcheck disable=SC2046
    is_listed $(owners "$file") || in_closure $(owners "$file") ||
        fail "find_library('$name') comes from '$(owners "$file")', which is not listed"
done
for name in $(calls find_program); do
    case $name in */*) continue ;; esac # a script of ours
    file=$(command -v "$name") || { fail "find_program('$name') of meson.build is not installed"; continue; }
    from_package "find_program('$name')" "$file"
done

# System headers: where the compiler finds each, and whose it is. Those of other systems stand behind an #if.
headers=$(find src tests tools include -type f \( -name '*.[ch]' -o -name '*.cpp' -o -name '*.hpp' \) -exec \
    sed -n 's/^[ \t]*#[ \t]*include[ \t]*<\([^>]*\)>.*/\1/p' {} + | sort -u)
for header in $headers; do
    file=$(echo "#include <$header>" | g++ -std=gnu++17 -x c++ -M - 2>/dev/null |
        awk '{ for (i = 1; i <= NF; i++) if ($i != "\\" && ++n == 3) print $i }')
    [ -n "$file" ] || { fail "<$header> is not on this machine"; continue; }
    # shellcheck disable=SC2046
    set -- $(owners "$file")
    is_listed "$@" || in_closure "$@" || fail "<$header> comes from '$*' ($file), which is not listed"
done

# Commands: the first word of each simple command in our scripts, if it is a program on this machine.
# The awk script drops comments, here-documents and quoted text (but not what "$(...)" runs) and ends a line at each
# operator; the sed script finds the first word behind assignments and keywords. What is run by way of a variable stands
# in a line "# runs: NAME..." of its script.
# shellcheck disable=SC2086
words=$({ sed -n 's/^# runs: //p' $scripts | tr ' ' '\n'; awk '
        FNR == 1 { depth = 0; in_[0] = "plain"; single = 0; until = "" }
        until != "" { t = $0; sub(/^\t+/, "", t); if (t == until) until = ""; next }
        {
            out = ""; n = length($0)
            for (i = 1; i <= n; i++) {
                c = substr($0, i, 1); two = substr($0, i, 2)
                if (single) { if (c == "\047") single = 0; continue }
                if (c == "\\") { i++; out = out "_"; continue }
                if (two == "$(" && substr($0, i, 3) != "$((") { i++; in_[++depth] = "plain"; out = out "_\n"; continue }
                if (in_[depth] == "double") { if (c == "\"") depth--; continue }
                if (c == "\"") { in_[++depth] = "double"; out = out "_"; continue }
                if (c == "\047") { single = 1; out = out "_"; continue }
                if (c == "#" && (i == 1 || substr($0, i - 1, 1) ~ /[ \t;]/)) break
                if (two == "<<") { until = substr($0, i + 2); gsub(/^-|[ \t].*|[\047"]/, "", until) }
                if (c == ")" && depth) { depth--; out = out "\n_"; continue }
                out = out (c ~ /[;|&(){}`]/ ? "\n" : c)
            }
            print out
        }' $scripts |
    sed -E -e 's/^[ \t]+//' \
        -e ':a; s/^(if|then|else|elif|while|until|do|exec|nice|time|!|sudo|env|xargs|-n|[A-Za-z_]+=[^ ]*)[ \t]+//; ta' \
        -e '/^[A-Za-z0-9_.+-]+([ \t]|$)/!d; s/[ \t].*//'; } | sort -u)
for word in $words; do
    file=$(command -v "$word" 2>/dev/null) || continue
    case $file in /*) ;; *) continue ;; esac
    # shellcheck disable=SC2046
    set -- $(owners "$file")
    if [ $# -eq 0 ] || is_listed "$@"; then continue; fi
    for owner; do
        case $(dpkg-query -W -f '${Essential}/${Priority}\n' "$owner") in
        yes/* | */required) continue 2 ;;
        esac
    done
    fail "the command $word of our scripts comes from '$*', which is not listed"
done
exit $status
