#include "hub/url.h"

static bool is_host_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' ||
           c == '_';
}

/* Where the authority begins; 0: neither http nor https. */
static size_t authority(str url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t k = 0; k < 2; k++) {
        size_t n = strlen(schemes[k]);
        bool same = url.len > n;
        for (size_t i = 0; same && i < n; i++) {
            char c = url.ptr[i];
            same = (c >= 'A' && c <= 'Z' ? (char)(c + 32) : c) == schemes[k][i];
        }
        if (same) return n;
    }
    return 0;
}

bool url_is_https(str url)
{
    return authority(url) == 8;
}

/* "[::1]" or "example.org"; 0: neither. */
static size_t host_length(str s)
{
    size_t n = 0;
    if (s.len && s.ptr[0] == '[') {
        for (n = 1; n < s.len && s.ptr[n] != ']'; n++) {
            char c = s.ptr[n];
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' || c == '.'))
                return 0;
        }
        return n < s.len && n > 1 ? n + 1 : 0;
    }
    while (n < s.len && is_host_char(s.ptr[n])) n++;
    return n;
}

str url_host(str url)
{
    size_t at = authority(url);
    str rest = {url.ptr + at, url.len - at};
    return (str){rest.ptr, at ? host_length(rest) : 0};
}

bool url_origin(char out[URL_ORIGIN_SIZE], str url)
{
    size_t at = authority(url);
    for (size_t i = 0; i < url.len; i++)
        if ((unsigned char)url.ptr[i] <= 0x20 || (unsigned char)url.ptr[i] >= 0x7f || url.ptr[i] == '\\') return false;
    str host = url_host(url);
    if (!at || !host.len || host.len > 255 || url.len > URL_MOST) return false;
    size_t i = at + host.len, digits = 0;
    unsigned port = 0;
    if (i < url.len && url.ptr[i] == ':') {
        for (i++; i < url.len && url.ptr[i] >= '0' && url.ptr[i] <= '9' && digits < 6; i++, digits++)
            port = port * 10 + (unsigned)(url.ptr[i] - '0');
        if (!digits || port > 65535) return false;
    }
    if (i < url.len && url.ptr[i] != '/' && url.ptr[i] != '?' && url.ptr[i] != '#') return false;
    if (!digits) port = at == 8 ? 443 : 80;
    format_text(out, URL_ORIGIN_SIZE, "%s://%.*s:%u", at == 8 ? "https" : "http", STR_ARG(host), port);
    for (char *c = out; *c; c++)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c + 32);
    return true;
}

bool url_same_origin(str a, str b)
{
    char x[URL_ORIGIN_SIZE], y[URL_ORIGIN_SIZE];
    return url_origin(x, a) && url_origin(y, b) && strcmp(x, y) == 0;
}

static const char *concat(arena *a, str first, str second)
{
    char *text = arena_alloc(a, first.len + second.len + 1);
    if (!text) return NULL;
    if (first.len) memcpy(text, first.ptr, first.len);
    if (second.len) memcpy(text + first.len, second.ptr, second.len);
    return text;
}

const char *url_join(arena *a, str base, str location)
{
    char origin[URL_ORIGIN_SIZE];
    if (!location.len || location.len > URL_MOST || !url_origin(origin, base)) return NULL;
    const char *url;
    size_t at = authority(base);
    size_t path = at + strcspn(base.ptr + at, "/?#");
    if (authority(location)) url = concat(a, location, STR(""));
    else if (str_starts(location, "//")) url = concat(a, (str){base.ptr, at - 2}, location);
    else if (location.ptr[0] == '/') url = concat(a, (str){base.ptr, path}, location);
    else {
        size_t end = path + strcspn(base.ptr + path, "?#");
        if (location.ptr[0] != '?')
            while (end > path && base.ptr[end - 1] != '/') end--;
        for (size_t i = 0; i < location.len && location.ptr[i] != '/' && location.ptr[i] != '?'; i++)
            if (location.ptr[i] == ':') return NULL; /* another scheme */
        str slash = end == path ? STR("/") : STR("");
        const char *folder = concat(a, (str){base.ptr, end}, location.ptr[0] == '?' ? STR("") : slash);
        url = folder ? concat(a, str_c(folder), location) : NULL;
    }
    return url && url_origin(origin, str_c(url)) ? url : NULL;
}

const char *url_encode(arena *a, str text, bool whole)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = arena_array(a, text.len + 1, 3), *p = out;
    if (!out) return NULL;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool safe = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
                    c == '-' || c == '_' || c == '~' || (c == '/' && !whole);
        if (safe) {
            *p++ = (char)c;
        } else {
            *p++ = '%';
            *p++ = hex[c >> 4];
            *p++ = hex[c & 15];
        }
    }
    *p = '\0';
    return out;
}
