phantom-gpu list-hardware --verbose | grep -c tdp_watts >/dev/null && phantom-gpu list-hardware --verbose --json | grep -c '"key"' >/dev/null
