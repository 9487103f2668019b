#!/bin/sh
# The lists of files in the meson.build files, kept equal to what is on the disk.
#   tools/sources.sh            fail when a list lacks a file or names one that is gone
#   tools/sources.sh --update   rewrite the lists
# A list begins with "NAME_sources = files(" or "NAME_sources = [" and ends with the bracket alone on a line.
# A comment before it says which files belong to it, and after a "!" which don't:
#   # files: cli/*.c !cli/main.c
set -eu

cd "$(dirname "$0")/.."
update=false
case ${1-} in
--update) update=true ;;
'') ;;
*) echo "usage: tools/sources.sh [--update]" >&2; exit 2 ;;
esac

# Prints FILE with its lists made anew. The patterns are relative to the folder of FILE; "!name" leaves files out.
renew() {
    dir=$(dirname "$1")
    skip=false
    patterns=
    while IFS= read -r line; do
        case $line in
        '# files: '*) patterns=${line#'# files: '} ;;
        ')' | ']') skip=false ;;
        esac
        $skip || printf '%s\n' "$line"
        case $line in
        *_sources\ =\ files\( | *_sources\ =\ \[)
            [ -n "$patterns" ] || { echo "$1: no '# files:' line before: $line" >&2; exit 1; }
            skip=true
            list "$dir" "$patterns"
            patterns=
            ;;
        esac
    done <"$1"
}

list() { (
    cd "$1"
    set -f
    drop=
    for pattern in $2; do
        case $pattern in '!'*) drop="$drop ${pattern#!}" ;; esac
    done
    for pattern in $2; do
        case $pattern in '!'*) continue ;; esac
        set +f
        for file in $pattern; do
            [ -f "$file" ] || continue
            keep=true
            for name in $drop; do
                # shellcheck disable=SC2254
                case $file in $name) keep=false ;; esac
            done
            ! $keep || printf "    '%s',\n" "$file"
        done
        set -f
    done
); }

status=0
for file in meson.build src/meson.build tests/meson.build; do
    [ -f "$file" ] || continue
    new=$(renew "$file"; echo .)
    new=${new%.}
    old=$(cat "$file"; echo .)
    [ "$new" != "${old%.}" ] || continue
    if $update; then
        printf '%s' "$new" >"$file"
        echo "updated: $file"
    else
        printf '%s' "$new" | diff -u "$file" - || true
        echo "$file: the lists of files are not up to date; run: tools/sources.sh --update"
        status=1
    fi
done
exit $status
