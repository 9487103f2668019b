# The database of fetched prices: damaged, not ours, out of reach, without space, written by two at once.
export XDG_CACHE_HOME=$PWD/cache PHANTOM_GPU_HUB_RETRIES=0
file=cache/phantom-gpu/prices.sqlite
update() { # CLOUD FILE
    hub_server "$CASES/live" "/$1 file=$2" -- phantom-gpu prices update --cloud "$1" --refresh --today 2026-11-21
}
look() { phantom-gpu prices list --cloud azure --region eastus --gpu t4 --top 1 --output csv --today 2026-11-21 | tail -n 1; }
update azure second.json
cp $file good
# Damaged or of somebody else, it is not used, which is said once; the built-in price stands in.
for size in 90 4096 4200 8192; do
    head -c $size good >$file
    look
done
patch() { # OFFSET BYTES
    cp good $file
    printf "$2" | dd of=$file bs=1 seek="$1" conv=notrunc 2>/dev/null
    look
}
patch 0 X
patch 18 '\2\2'
patch 60 '\0\0\0\2'
patch 68 '\0\0\0\0'
for damage in 's/STRICT/strict/' 's/TABLE prices/TABLE Prices/' 's/2026-11-21/2026-99-21/' 's/azure/..\/\/x/' 's/Azure Retail/Azure\x1b[31m /'; do
    LC_ALL=C sed "$damage" good >$file
    look
done
head -c 20000 /dev/urandom >$file
look
truncate -s 20M $file
look
update azure second.json
look
# Nothing was written yet: that is no damage.
: >$file
look
for other in mkdir mkfifo; do
    rm -rf $file
    $other $file
    look
    update azure second.json 2>&1
done
# A link is taken away, not followed.
rm -rf $file
echo mine >target
ln -s "$PWD/target" $file
look
update azure second.json
cat target
look
(
    trap '' XFSZ # no file may grow any more
    ulimit -f 0
    update azure second.json
) 2>&1 | cat
look
ls -A cache/phantom-gpu
update azure second.json >/dev/null &
first=$!
update aws aws.csv >/dev/null
wait $first
phantom-gpu prices list --output csv --today 2026-11-21 | grep -c '2026-11-21,0'
# Without SQLite there are the built-in prices.
mkdir lib
: >lib/libsqlite3.so.0
(
    export LD_LIBRARY_PATH=$PWD/lib
    look
    update azure second.json
) 2>&1
XDG_CACHE_HOME=$PWD/good/cache update azure second.json
XDG_CACHE_HOME=relative HOME= update azure second.json
true
