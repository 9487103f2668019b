# On a terminal, and only after half a second, a line tells what is being fetched; it goes away again.
show() { hub_server "$CASES/repos" "$1" -- script -qec "phantom-gpu load-model acme/bare --gpu a100 2>&1 >/dev/null" /dev/null; }
if command -v script >/dev/null; then
    show "config.json slow=800" | grep -c "fetching config.json: 363 B of 363 B"
    rm -rf .cache
    show "config.json slow=1" | grep -c fetching
else
    printf '1\n0\n'
fi
rm -rf .cache
hub_server "$CASES/repos" "config.json slow=800" -- phantom-gpu load-model acme/bare --gpu a100 >/dev/null
