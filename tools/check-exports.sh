#!/bin/sh
# The shared library given exports pg_* and nothing else.
set -eu

names=$(nm -D --defined-only "$1" | awk '{ print $NF }')
[ -n "$names" ] || { echo "$1: exports nothing" >&2; exit 1; }
bad=$(echo "$names" | grep -v '^pg_' || true)
[ -z "$bad" ] || { echo "$1: exports what is not pg_*:"; echo "$bad"; exit 1; } >&2
