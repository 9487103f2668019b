/* The user's keys of AWS, and requests that are signed with them. */
#define _POSIX_C_SOURCE 200809L
#include "price/live_aws.h"

#include "base/sha.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_MOST = 64 << 10, ADDED = 8 };

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && value[0] ? value : NULL;
}

static str trim(str s)
{
    while (s.len && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) s = (str){s.ptr + 1, s.len - 1};
    while (s.len && strchr(" \t\r", s.ptr[s.len - 1])) s.len--;
    return s;
}

/* Lines "[profile]" and "name = value". */
static void take_profile(aws_keys *keys, arena *a, str text, const char *profile)
{
    bool ours = false;
    while (text.len) {
        const char *end = memchr(text.ptr, '\n', text.len);
        str line = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
        size_t taken = line.len + (end != NULL);
        text = (str){text.ptr + taken, text.len - taken};
        line = trim(line);
        if (line.len > 1 && line.ptr[0] == '[' && line.ptr[line.len - 1] == ']')
            ours = str_is(trim((str){line.ptr + 1, line.len - 2}), profile);
        const char *sign = line.len ? memchr(line.ptr, '=', line.len) : NULL;
        if (!ours || !sign || line.ptr[0] == '#' || line.ptr[0] == ';') continue;
        str name = trim((str){line.ptr, (size_t)(sign - line.ptr)});
        str value = trim((str){sign + 1, line.len - (size_t)(sign - line.ptr) - 1});
        if (!value.len) continue;
        if (str_is(name, "aws_access_key_id")) keys->id = str_copy(a, value).ptr;
        if (str_is(name, "aws_secret_access_key")) keys->secret = str_copy(a, value).ptr;
        if (str_is(name, "aws_session_token")) keys->token = str_copy(a, value).ptr;
    }
}

pg_code aws_keys_read(aws_keys *keys, arena *a, pg_error *e)
{
    char path[PRICE_PATH];
    const char *given = variable("AWS_SHARED_CREDENTIALS_FILE"), *home = variable("HOME");
    const char *profile = variable("AWS_PROFILE");
    *keys = (aws_keys){variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"), variable("AWS_SESSION_TOKEN")};
    if (keys->id && keys->secret) return PG_E_OK;
    *keys = (aws_keys){NULL, NULL, NULL};
    format_text(path, sizeof path, "%s%s", given ? given : home ? home : "", given ? "" : "/.aws/credentials");
    FILE *f = given || home ? fopen(path, "rb") : NULL;
    if (!f) return PG_E_OK;
    char *text = arena_alloc(a, FILE_MOST);
    size_t n = text ? fread(text, 1, FILE_MOST, f) : 0;
    fclose(f);
    take_profile(keys, a, (str){text, n}, profile ? profile : "default");
    if (a->failed) return error_nomem(e, a);
    if (!keys->secret) keys->id = NULL;
    return PG_E_OK;
}

char *aws_encode(live *l, const char *text)
{
    char *out = arena_alloc(l->a, 3 * strlen(text) + 1);
    size_t n = 0;
    for (const char *c = text; out && *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
                     strchr("-_.~", *c);
        if (plain) out[n++] = *c;
        else
            n += format_text(out + n, 4, "%%%c%c", "0123456789ABCDEF"[(unsigned char)*c >> 4],
                             "0123456789ABCDEF"[*c & 15]);
    }
    return out;
}

/* By name: "a=" stands before "a1=". */
static int by_name(const void *x, const void *y)
{
    const char *a = *(const char *const *)x, *b = *(const char *const *)y;
    while (*a == *b && *a && *a != '=') a++, b++;
    return (*a == '=' ? 0 : *a) - (*b == '=' ? 0 : *b);
}

static str view(const uint8_t hash[SHA256_SIZE])
{
    return (str){(const char *)hash, SHA256_SIZE};
}

static bool sign(char out[2 * SHA256_SIZE + 1], const char *secret, const char *stamp, const char *region,
                 const char *text)
{
    char key[96];
    uint8_t h[SHA256_SIZE];
    if (format_text(key, sizeof key, "AWS4%s", secret) > 64) return false;
    bool ok = sha256_hmac(h, str_c(key), (str){stamp, 8}) && sha256_hmac(h, view(h), str_c(region)) &&
              sha256_hmac(h, view(h), STR("ec2")) && sha256_hmac(h, view(h), STR("aws4_request")) &&
              sha256_hmac(h, view(h), str_c(text));
    if (ok) sha_hex(out, h, SHA256_SIZE);
    return ok;
}

const char *aws_sign(live *l, const aws_keys *keys, const char *base, const char *region, const char *stamp,
                     const char **query, size_t count)
{
    static const char empty[] =
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"; /* SHA-256 of no body */
    const char **all = ARENA_ARRAY(l->a, const char *, count + ADDED);
    const char *id = aws_encode(l, keys->id), *token = aws_encode(l, keys->token ? keys->token : ""),
               *host = strstr(base, "://");
    const char *text = "";
    if (!all || !id || !token || !host) return NULL;
    host += 3;
    memcpy(all, query, count * sizeof *all);
    all[count++] = "X-Amz-Algorithm=AWS4-HMAC-SHA256";
    all[count++] = live_text(l, "X-Amz-Credential=%s%%2F%.*s%%2F%s%%2Fec2%%2Faws4_request", id, 8, stamp, region);
    all[count++] = live_text(l, "X-Amz-Date=%s", stamp);
    all[count++] = "X-Amz-Expires=300";
    all[count++] = "X-Amz-SignedHeaders=host";
    if (keys->token) all[count++] = live_text(l, "X-Amz-Security-Token=%s", token);
    if (l->a->failed) return NULL;
    qsort(all, count, sizeof *all, by_name);
    for (size_t i = 0; i < count && text; i++) text = live_text(l, "%s%s%s", text, i ? "&" : "", all[i]);
    const char *request = text ? live_text(l, "GET\n/\n%s\nhost:%s\n\nhost\n%s", text, host, empty) : NULL;
    if (!request) return NULL;
    uint8_t hash[SHA256_SIZE];
    char digest[2 * SHA256_SIZE + 1], signature[2 * SHA256_SIZE + 1];
    sha256(hash, str_c(request));
    sha_hex(digest, hash, SHA256_SIZE);
    const char *to_sign = live_text(l, "AWS4-HMAC-SHA256\n%s\n%.*s/%s/ec2/aws4_request\n%s", stamp, 8, stamp, region,
                                    digest);
    if (!to_sign || !sign(signature, keys->secret, stamp, region, to_sign)) return NULL;
    return live_text(l, "%s/?%s&X-Amz-Signature=%s", base, text, signature);
}
