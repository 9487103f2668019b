# A cache whose links lead out of it.
commit=0123456789012345678901234567890123456789
repository=.cache/huggingface/hub/models--org--name
mkdir -p $repository/refs $repository/blobs $repository/snapshots/$commit
printf $commit >$repository/refs/main
cp "$CASES/repos/acme/llm/config.json" secret.json
cp secret.json $repository/blobs/aaaa
ln -s ../../blobs/aaaa $repository/snapshots/$commit/config.json
HF_HUB_OFFLINE=1 phantom-gpu load-model org/name --gpu a100 | grep Parameters
ln -sf "$PWD/secret.json" $repository/snapshots/$commit/config.json
HF_HUB_OFFLINE=1 phantom-gpu load-model org/name --gpu a100; echo "exit $?"
ln -sf ../../../../../../secret.json $repository/snapshots/$commit/config.json
HF_HUB_OFFLINE=1 phantom-gpu load-model org/name --gpu a100; echo "exit $?"
