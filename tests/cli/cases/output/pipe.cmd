# A reader that went away.
mkfifo pipe
sleep 5 <pipe & reader=$!
exec 3>pipe
kill $reader
wait $reader 2>/dev/null
phantom-gpu list-models >&3; echo "exit $?"
