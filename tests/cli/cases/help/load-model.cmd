phantom-gpu load-model --help
