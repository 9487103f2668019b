# A repository that was renamed is followed, and said to be.
hub_server --log "$CASES/repos" "/api/models/old/name status=307,location=/api/models/acme/llm/revision/main?blobs=true" -- \
    phantom-gpu load-model old/name --gpu a100 | grep Parameters
phantom-gpu load-model old/name --gpu a100 --offline --json | grep -A2 '"model"\|warnings'
