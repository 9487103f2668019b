#!/bin/sh
# tools/measure needs Python where it runs; here it is only tried where Python is.
#   tests/measure/run.sh PHANTOM-GPU MICRO
set -eu
command -v python3 >/dev/null 2>&1 || { echo "skipped: no python3"; exit 77; }
exec python3 "$(dirname "$0")/test_measure.py" "$@"
