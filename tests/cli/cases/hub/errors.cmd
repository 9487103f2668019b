# Each way in which the Hub can fail, and what a person reads.
export PHANTOM_GPU_HUB_RETRIES=1
try() { # RULE MODEL [OPTION]...
    rule=$1
    shift
    hub_server "$CASES/repos" "$rule" -- phantom-gpu load-model --gpu a100 "$@" >out
    echo "$rule: exit $?"
    rm -rf .cache
}
try "/api/ status=401,error=GatedRepo" acme/llm
HF_TOKEN=hf_x try "/api/ status=403,error=GatedRepo" acme/llm
try "/api/ status=401,error=RepoNotFound" acme/llm
HF_TOKEN=hf_x try "/api/ status=401,message=Invalid_credentials_in_Authorization_header" acme/llm
try "/api/ status=403,message=Access_to_this_resource_is_disabled." acme/llm
try "- close" acme/gpt2
try "- close" acme/llm@v9
try "- close" acme/llm:adapter.safetensors
try "- close" acme/quants
try "- close" acme/quants:Q9
try "/api/ status=429,retry=120" acme/llm
try "/api/ status=429,retry=0 x1" acme/llm
try "/api/ status=502" acme/llm
try "/api/ body=<html>" acme/llm
try "/api/ close" acme/llm
HF_HUB_DOWNLOAD_TIMEOUT=1 try "/api/ hang" acme/llm
try "config.json cut=9" acme/llm
try "config.json length=9" acme/llm
try "config.json packed" acme/llm
try "config.json status=404,error=EntryNotFound" acme/llm
try "/cdn/ range=shift" acme/llm
try "/cdn/ range=no" acme/llm
try "/api/ status=302,location=file:///etc/passwd" acme/llm
try "- close" acme/llm --offline
try "- close" bert-base-uncased --offline
HF_HUB_OFFLINE=1 try "- close" acme/llm
HF_ENDPOINT=http://127.0.0.1:1 phantom-gpu load-model acme/llm --gpu a100
HF_ENDPOINT=huggingface phantom-gpu load-model acme/llm --gpu a100
HF_HUB_ETAG_TIMEOUT=soon phantom-gpu load-model acme/llm --gpu a100
HOME= phantom-gpu load-model acme/llm --gpu a100
mkdir acme
phantom-gpu load-model acme/llm --gpu a100
phantom-gpu load-model hf://acme/../llm --gpu a100; echo "exit $?"
