# The man page and the completions know every command and option that --help shows.
for command in load-model compare-models list-gpus list-hardware list-models; do
    for option in $(phantom-gpu "$command" --help | grep -o '^  .\{3\} --[a-z-]*' | cut -c 7- | sort -u); do
        phantom-gpu --generate bash | grep -q -e "$option " || echo "bash: $command $option"
        phantom-gpu --generate zsh | grep -q -e "'[*]*$option[=[]" || echo "zsh: $command $option"
        phantom-gpu --generate fish | grep -q -e "from $command' -l ${option#--}" || echo "fish: $command $option"
        phantom-gpu --generate man | sed 's/\\//g' | grep -q -e "$option" || echo "man: $command $option"
    done
done
phantom-gpu --generate bash | bash -n 2>&1
phantom-gpu --generate gpus | grep -x h100
phantom-gpu --generate models | grep -x resnet50
phantom-gpu --generate runtimes | grep -x pytorch
