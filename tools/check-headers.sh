#!/bin/sh
# Each public header compiles alone, as C17 and as C++17, with more warnings than our own build asks of users.
set -eu

cd "$(dirname "$0")/.."
status=0
for header in include/phantom/*.h; do
    unit="#include \"${header#include/}\""
    echo "$unit" | gcc -x c -std=c17 -Wall -Wextra -Wstrict-prototypes -Wundef -pedantic -Werror -Iinclude \
        -fsyntax-only - || { echo "$header: not alone in C17" >&2; status=1; }
    echo "$unit" | g++ -x c++ -std=c++17 -Wall -Wextra -Wundef -pedantic -Werror -Iinclude \
        -fsyntax-only - || { echo "$header: not alone in C++17" >&2; status=1; }
done
exit $status
