# Certificates are looked at: a server without TLS, and, where openssl is there to make it, one that nobody vouches for.
cat >https.sh <<'SH'
HF_ENDPOINT=https${HF_ENDPOINT#http} phantom-gpu load-model acme/llm --gpu a100
SH
hub_server "$CASES/repos" -- sh https.sh; echo "exit $?"
SSL_CERT_FILE=nowhere.pem hub_server "$CASES/repos" -- sh https.sh; echo "exit $?"
port=$((20000 + $$ % 20000))
if command -v openssl >/dev/null &&
    openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -subj /CN=localhost -days 2 \
        -addext subjectAltName=DNS:localhost 2>/dev/null; then
    openssl s_server -quiet -accept 127.0.0.1:$port -key key.pem -cert cert.pem -www >/dev/null 2>&1 &
    server=$!
    for i in 1 2 3 4 5 6 7 8 9 10; do
        HF_ENDPOINT=https://localhost:$port phantom-gpu load-model acme/llm --gpu a100 2>&1 | grep -q "TLS certificate" && break
        sleep 0.1
    done
    HF_ENDPOINT=https://localhost:$port phantom-gpu load-model acme/llm --gpu a100 2>&1 | grep -c "TLS certificate of localhost"
    SSL_CERT_FILE=cert.pem HF_ENDPOINT=https://localhost:$port phantom-gpu load-model acme/llm --gpu a100 2>&1 |
        grep -c "TLS certificate"
    kill $server
else
    printf '1\n0\n'
fi
