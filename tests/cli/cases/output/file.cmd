phantom-gpu list-models --out models.txt
cmp models.txt - <<END && echo same
$(phantom-gpu list-models)
END
echo old >old; chmod 640 old; ln -s old link
phantom-gpu list-models --json --out link
ls -l old link | cut -c 1-10
head -n 1 old
ls
