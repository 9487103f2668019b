#include "wire/json_text.h"

#include <stdlib.h>

/* Values and depth, counted before anything is built: commas and brackets outside of texts bound them. */
static pg_code check_size(span text, const char *what, pg_error *e)
{
    uint64_t values = 0, depth = 0;
    bool inside = false;
    if (text.len > JSON_TEXT_MOST)
        return error_set(e, PG_E_LIMIT, "%s is larger than %d MB", what, JSON_TEXT_MOST >> 20);
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.ptr[i];
        if (inside) {
            if (c == '\\') i++;
            else if (c == '"') inside = false;
            continue;
        }
        inside = c == '"';
        values += c == ',' || c == '[' || c == '{' || c == ':';
        if (c == '[' || c == '{') depth++;
        if ((c == ']' || c == '}') && depth) depth--;
        if (depth > JSON_DEPTH_MOST)
            return error_at(e, PG_E_LIMIT, text.base + i, "%s is nested more than %d deep", what, JSON_DEPTH_MOST);
        if (values > JSON_VALUES_MOST)
            return error_at(e, PG_E_LIMIT, text.base + i, "%s holds more than %d values", what, JSON_VALUES_MOST);
    }
    return PG_E_OK;
}

/* Python writes NaN, Infinity and -Infinity for numbers that JSON has none for. A copy with null in their places, or NULL. */
static char *without_nan(span text)
{
    static const char *const words[] = {"-Infinity", "Infinity", "NaN"};
    char *copy = malloc(text.len + 1);
    bool inside = false;
    for (size_t i = 0; copy && i < text.len; i++) {
        char c = (char)text.ptr[i];
        copy[i] = c;
        if (inside && c == '\\' && i + 1 < text.len) {
            i++;
            copy[i] = (char)text.ptr[i];
        } else if (c == '"') {
            inside = !inside;
        }
        for (size_t k = 0; !inside && k < sizeof words / sizeof words[0]; k++) {
            size_t n = strlen(words[k]);
            if (text.len - i < n || memcmp(text.ptr + i, words[k], n) != 0) continue;
            memset(copy + i, ' ', n);
            memcpy(copy + i, n == 3 ? "0  " : "null", n == 3 ? 3 : 4);
            i += n - 1;
            break;
        }
    }
    return copy;
}

json_t *json_text_read(span text, const char *what, pg_error *e)
{
    json_error_t je;
    if (check_size(text, what, e)) return NULL;
    if (text.len >= 3 && !memcmp(text.ptr, "\357\273\277", 3)) text = (span){text.ptr + 3, text.len - 3, text.base + 3};
    json_t *root = json_loadb((const char *)text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &je);
    if (!root) {
        json_error_t again;
        char *copy = without_nan(text);
        if (copy) root = json_loadb(copy, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &again);
        free(copy);
    }
    if (root) return root;
    char said[160];
    format_text(said, sizeof said, "%s", je.text);
    for (char *c = said; *c; c++) /* jansson quotes what it stumbled over */
        if ((unsigned char)*c < 0x20 || (unsigned char)*c >= 0x7f) *c = '?';
    error_line(e, je.line > 0 ? (uint32_t)je.line : 0, je.column > 0 ? (uint32_t)je.column : 0);
    error_set(e, PG_E_FORMAT, "%s is not valid JSON: %s", what, said);
    return NULL;
}

int64_t json_get_int(const json_t *object, const char *key, int64_t fallback)
{
    const json_t *v = json_object_get(object, key);
    if (json_is_integer(v)) return json_integer_value(v);
    if (json_is_real(v) && json_real_value(v) > -1e15 && json_real_value(v) < 1e15) {
        int64_t i = (int64_t)json_real_value(v);
        if ((double)i == json_real_value(v)) return i;
    }
    return fallback;
}

double json_get_real(const json_t *object, const char *key, double fallback)
{
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

const char *json_get_text(const json_t *object, const char *key, const char *fallback)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? json_string_value(v) : fallback;
}

bool json_get_bool(const json_t *object, const char *key, bool fallback)
{
    const json_t *v = json_object_get(object, key);
    return json_is_boolean(v) ? json_is_true(v) : fallback;
}
