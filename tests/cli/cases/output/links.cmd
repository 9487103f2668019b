# A link stays one, whether there is something behind it or not yet.
mkdir folder
echo old >old
ln -s ../old folder/link
ln -s folder/new dangling
ln -s loop loop
for link in folder/link dangling loop; do
    phantom-gpu list-models --json --out $link; echo "$link: exit $?"
done
head -c 1 old; head -c 1 folder/new; echo
ls -l folder/link dangling | cut -c 1
ls . folder
