# The file of fetched prices: damaged, locked, without space, written by two at once.
export XDG_CACHE_HOME=$PWD/cache PHANTOM_GPU_HUB_RETRIES=0
file=cache/phantom-gpu/prices.csv
azure() { hub_server "$CASES/live" "/azure file=$1.json" -- phantom-gpu prices update --cloud azure --today 2026-11-21; }
aws() { hub_server "$CASES/live" "/aws file=aws.csv" -- phantom-gpu prices update --cloud aws --today 2026-11-21; }
look() { phantom-gpu prices list --cloud azure --region eastus --gpu t4 --top 1 --output csv --today 2026-11-21 | tail -n 1; }
azure second
cp $file good
# Damaged, it is not used, which is said once; the built-in price stands in.
for damage in '$d' '/^azure/d' 's/0.622/-1/' 's/0.622/1e9/' 's/0.622/nan/' 's/2026-11-21/soon/' 's/,t4,/,t4,,/' 's/t4,1,/t4,0,/' \
    's/#end 1/#end 2/' 's/azure/../' 's/#source 1/#source 70/'; do
    sed "$damage" good >$file
    look
done
: >$file
look
head -c 100 /dev/urandom >$file
look
rm $file
mkdir $file
look
azure second 2>&1
rmdir $file
sed '$d' good >$file
azure second
look
(
    trap '' XFSZ # no file may grow any more
    ulimit -f 0
    azure second
) 2>&1 | cat
cmp good $file && ls -A cache/phantom-gpu
azure second >/dev/null &
first=$!
aws >/dev/null &
wait $first
wait $!
grep -c . $file
look
XDG_CACHE_HOME=$PWD/good/cache azure second
XDG_CACHE_HOME=relative HOME= azure second
true
