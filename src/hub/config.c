#include "hub/config.h"

#include "hub/text.h"
#include "hub/url.h"

#include <stdlib.h>

#define DEFAULT_ENDPOINT "https://huggingface.co"

enum { TIMEOUT_S = 10, TIMEOUT_MOST_S = 3600, RETRIES = 4, RETRIES_MOST = 100, TOKEN_MOST = 4096 };

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

/* As huggingface_hub reads switches. */
static bool is_on(const char *name)
{
    static const char *const words[] = {"1", "on", "yes", "true"};
    const char *value = variable(name);
    for (size_t i = 0; value && i < sizeof words / sizeof words[0]; i++) {
        size_t k = 0;
        while (value[k] && (value[k] | 32) == (words[i][k] | 32)) k++;
        if (!value[k] && !words[i][k]) return true;
    }
    return false;
}

static bool is_name_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* "~" in front and $NAME, ${NAME} anywhere; what isn't set stays as it is written, as in Python. */
static const char *expand(arena *a, const char *text)
{
    const char *home = variable("HOME");
    char *out = hub_text(a, "%s", "");
    if (out && text[0] == '~' && (text[1] == '/' || !text[1]) && home) {
        out = hub_text(a, "%s", home);
        text++;
    }
    while (out && *text) {
        size_t n = strcspn(text, "$");
        out = hub_text(a, "%s%.*s", out, (int)n, text);
        text += n;
        if (!out || !*text) break;
        bool brace = text[1] == '{';
        const char *name = text + (brace ? 2 : 1);
        size_t len = 0;
        while (is_name_char(name[len])) len++;
        char key[128];
        const char *value = NULL;
        if (len && len < sizeof key && (!brace || name[len] == '}')) {
            format_text(key, sizeof key, "%.*s", (int)len, name);
            value = getenv(key);
        }
        out = value ? hub_text(a, "%s%s", out, value) : hub_text(a, "%s$", out);
        text = value ? name + len + (brace ? 1 : 0) : text + 1;
    }
    return out;
}

static pg_code read_seconds(const char *name, unsigned *ms, pg_error *e)
{
    const char *value = variable(name);
    unsigned n = 0;
    *ms = TIMEOUT_S * 1000;
    if (!value) return PG_E_OK;
    for (const char *p = value; *p; p++) {
        n = *p >= '0' && *p <= '9' && n <= TIMEOUT_MOST_S ? n * 10 + (unsigned)(*p - '0') : TIMEOUT_MOST_S + 1;
        if (n > TIMEOUT_MOST_S) break;
    }
    if (n < 1 || n > TIMEOUT_MOST_S)
        return error_set(e, PG_E_CONFIG, "%s should be seconds from 1 to %d, not '%.60s'", name, TIMEOUT_MOST_S, value);
    *ms = n * 1000;
    return PG_E_OK;
}

static pg_code read_retries(hub_config *c, pg_error *e)
{
    const char *value = variable("PHANTOM_GPU_HUB_RETRIES");
    unsigned n = 0;
    c->retries = RETRIES;
    if (!value) return PG_E_OK;
    for (const char *p = value; *p && n <= RETRIES_MOST; p++)
        n = *p >= '0' && *p <= '9' ? n * 10 + (unsigned)(*p - '0') : RETRIES_MOST + 1;
    if (n > RETRIES_MOST)
        return error_set(e, PG_E_CONFIG, "PHANTOM_GPU_HUB_RETRIES should be a number from 0 to %d, not '%.60s'",
                         RETRIES_MOST, value);
    c->retries = n;
    return PG_E_OK;
}

/* Line breaks and blanks around it are dropped; any other control character would end the header that it goes into. */
static pg_code clean_token(hub_config *c, arena *a, str raw, const char *from, pg_error *e)
{
    char *token = arena_alloc(a, raw.len + 1);
    size_t n = 0;
    if (!token) return error_nomem(e, a);
    for (size_t i = 0; i < raw.len; i++)
        if (raw.ptr[i] != '\r' && raw.ptr[i] != '\n' && (n || raw.ptr[i] != ' ')) token[n++] = raw.ptr[i];
    while (n && token[n - 1] == ' ') n--;
    token[n] = '\0';
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)token[i] <= 0x20 || (unsigned char)token[i] >= 0x7f)
            return error_set(e, PG_E_CONFIG, "%.200s holds characters that no token has", from);
    if (!n) return PG_E_OK;
    c->token = token;
    c->token_from = from;
    return PG_E_OK;
}

static pg_code read_token(hub_config *c, arena *a, const char *home, pg_error *e)
{
    static const char *const names[] = {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"};
    if (is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN")) return PG_E_OK;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = variable(names[i]);
        if (!value) continue;
        pg_code code = clean_token(c, a, str_c(value), names[i], e);
        if (code || c->token) return code;
    }
    const char *given = variable("HF_TOKEN_PATH");
    const char *path = given ? expand(a, given) : hub_text(a, "%s/token", home);
    if (!path) return error_nomem(e, a);
    str text = hub_file_read(a, path, TOKEN_MOST);
    return text.ptr ? clean_token(c, a, text, path, e) : PG_E_OK;
}

/* A relative XDG folder counts as not set, as its specification says. */
static const char *cache_home(arena *a)
{
    const char *xdg = variable("XDG_CACHE_HOME"), *home = variable("HOME");
    if (xdg && xdg[0] == '/') return hub_text(a, "%s", xdg);
    return home ? hub_text(a, "%s/.cache", home) : NULL;
}

const char *hub_config_endpoint(void)
{
    const char *value = variable("HF_ENDPOINT");
    return value ? value : DEFAULT_ENDPOINT;
}

pg_code hub_config_read(hub_config *c, arena *a, pg_error *e)
{
    static const char *const ca_names[] = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"};
    char origin[URL_ORIGIN_SIZE];
    *c = (hub_config){.offline = is_on("HF_HUB_OFFLINE") || is_on("TRANSFORMERS_OFFLINE")};
    char *endpoint = hub_text(a, "%s", hub_config_endpoint());
    if (!endpoint) return error_nomem(e, a);
    for (size_t n = strlen(endpoint); n && endpoint[n - 1] == '/'; n--) endpoint[n - 1] = '\0';
    c->endpoint = endpoint;
    if (!url_origin(origin, str_c(endpoint)))
        return error_set(e, PG_E_CONFIG, "HF_ENDPOINT should be like %s, not '%.100s'", DEFAULT_ENDPOINT, endpoint);
    const char *base = cache_home(a), *given = variable("HF_HOME");
    if (!base)
        return error_set(e, PG_E_CONFIG, "there is no folder for what the Hub gives: set HOME, or XDG_CACHE_HOME");
    const char *home = given ? expand(a, given) : hub_text(a, "%s/huggingface", base);
    const char *cache = variable("HF_HUB_CACHE");
    if (!cache) cache = variable("HUGGINGFACE_HUB_CACHE");
    c->cache = cache ? expand(a, cache) : home ? hub_text(a, "%s/hub", home) : NULL;
    c->own = hub_text(a, "%s/phantom-gpu/hub", base);
    if (!home || !c->cache || !c->own) return error_nomem(e, a);
    for (size_t i = 0; !c->ca_file && i < sizeof ca_names / sizeof ca_names[0]; i++) c->ca_file = variable(ca_names[i]);
    pg_code code = read_seconds("HF_HUB_ETAG_TIMEOUT", &c->connect_ms, e);
    if (!code) code = read_seconds("HF_HUB_DOWNLOAD_TIMEOUT", &c->read_ms, e);
    if (!code) code = read_retries(c, e);
    return code ? code : read_token(c, a, home, e);
}
