phantom-gpu load-model --model google-bert/bert-base-uncased --gpu a100 --json | grep '"parameters"\|"format"'
phantom-gpu load-model --model some-one/else --gpu a100
