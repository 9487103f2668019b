#!/bin/sh
# Lays out the sources as .clang-format says; --check: only says which are not. Layout differs between versions of
# clang-format, so that only the pinned one counts. Tables (*.def) and public headers are laid out by hand.
set -eu

version=14
cd "$(dirname "$0")/.."
found=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
if [ "$found" != "$version" ]; then
    echo "format: skipped: needs clang-format $version, found ${found:-none}"
    exit 0
fi
files() {
    find src tests tools -type f \( -name '*.c' -o -name '*.h' -o -name '*.cpp' -o -name '*.hpp' \) | LC_ALL=C sort
}
case ${1-} in
--check) files | xargs clang-format --style=file --dry-run -Werror --ferror-limit=3 ;;
'') files | xargs clang-format --style=file -i ;;
*) echo "usage: tools/format.sh [--check]" >&2; exit 2 ;;
esac
