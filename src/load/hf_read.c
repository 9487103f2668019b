#include "load/hf.h"

#include "base/format.h"

void hf_fail(hf *c, pg_code code, const char *fmt, ...)
{
    char text[300];
    va_list args;
    if (c->failed) return;
    c->failed = true;
    va_start(args, fmt);
    format_textv(text, sizeof text, fmt, args);
    va_end(args);
    error_set(c->e, code, "%s%s", c->lone ? "" : "config.json: ", text);
}

/* The first of the names: what messages speak of. */
static int first_name(const char *keys)
{
    return (int)strcspn(keys, "|");
}

static const json_t *get(const hf *c, const char *keys, const char **found, int *len)
{
    for (const char *at = keys; *at;) {
        size_t n = strcspn(at, "|");
        char key[64];
        if (n < sizeof key) {
            memcpy(key, at, n);
            key[n] = '\0';
            const json_t *v = json_object_get(c->text, key);
            if (v && !json_is_null(v)) {
                *found = at;
                *len = (int)n;
                return v;
            }
        }
        at += n + (at[n] == '|');
    }
    *found = keys;
    *len = first_name(keys);
    return NULL;
}

const json_t *hf_get(const hf *c, const char *keys)
{
    const char *name;
    int len;
    return get(c, keys, &name, &len);
}

/* A value in a few characters, for messages. */
static void show(const json_t *v, char *out, size_t cap)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
    format_text(out, cap, "%.40s%s", text ? text : "?", text && strlen(text) > 40 ? "..." : "");
    free(text);
}

/* Whole numbers may be written as 4.0. */
static bool whole(const json_t *v, int64_t *out)
{
    if (json_is_integer(v)) {
        *out = json_integer_value(v);
        return true;
    }
    if (!json_is_real(v) || !(json_real_value(v) > -1e15 && json_real_value(v) < 1e15)) return false;
    *out = (int64_t)json_real_value(v);
    return (double)*out == json_real_value(v);
}

static int64_t whole_in(hf *c, const json_t *v, const char *name, int len, int64_t least, int64_t most)
{
    int64_t i = 0;
    char text[48];
    if (!whole(v, &i)) {
        show(v, text, sizeof text);
        hf_fail(c, PG_E_FORMAT, "'%s%.*s' is %s, not a whole number", c->where, len, name, text);
    } else if (i < least || i > most) {
        hf_fail(c, PG_E_FORMAT, "'%s%.*s' is %lld; it must be between %lld and %lld", c->where, len, name, (long long)i,
                (long long)least, (long long)most);
    } else {
        return i;
    }
    return least;
}

int64_t hf_want(hf *c, const char *keys, int64_t fallback, int64_t least, int64_t most)
{
    const char *name;
    int len;
    const json_t *v = c->failed ? NULL : get(c, keys, &name, &len);
    return v ? whole_in(c, v, name, len, least, most) : fallback;
}

int64_t hf_need(hf *c, const char *keys, int64_t least, int64_t most)
{
    const char *name;
    int len;
    const json_t *v = c->failed ? NULL : get(c, keys, &name, &len);
    if (v) return whole_in(c, v, name, len, least, most);
    if (!c->failed)
        hf_fail(c, PG_E_FORMAT, "'%s%.*s' is missing; a model of type '%s' has one", c->where, first_name(keys), keys,
                c->family->type);
    return least;
}

int64_t hf_core(hf *c, const char *keys, int64_t usual, int64_t least, int64_t most)
{
    if (c->failed || !usual || !c->nested || hf_get(c, keys)) return hf_need(c, keys, least, most);
    c->assumed = true;
    if (!graph_warn(c->g, "config.json leaves out '%s%.*s'; taken as %lld, the documented default of '%s'", c->where,
                    first_name(keys), keys, (long long)usual, c->family->type))
        hf_fail(c, PG_E_NOMEM, "out of memory");
    return usual;
}

double hf_real(hf *c, const char *keys, double fallback, double least, double most)
{
    const char *name;
    int len;
    char text[48];
    const json_t *v = c->failed ? NULL : get(c, keys, &name, &len);
    if (!v) return fallback;
    double x = json_is_number(v) ? json_number_value(v) : NAN;
    if (x >= least && x <= most) return x;
    show(v, text, sizeof text);
    hf_fail(c, PG_E_FORMAT, "'%s%.*s' is %s; it must be a number between %g and %g", c->where, len, name, text, least,
            most);
    return fallback;
}

bool hf_flag(hf *c, const char *keys, bool fallback)
{
    const char *name;
    int len;
    char text[48];
    const json_t *v = c->failed ? NULL : get(c, keys, &name, &len);
    if (!v) return fallback;
    if (json_is_boolean(v)) return json_is_true(v);
    if (json_is_integer(v) && (json_integer_value(v) == 0 || json_integer_value(v) == 1))
        return json_integer_value(v) == 1;
    show(v, text, sizeof text);
    hf_fail(c, PG_E_FORMAT, "'%s%.*s' is %s; it must be true or false", c->where, len, name, text);
    return fallback;
}

const char *hf_text(hf *c, const char *keys)
{
    const char *name;
    int len;
    char text[48];
    const json_t *v = c->failed ? NULL : get(c, keys, &name, &len);
    if (!v) return "";
    if (json_is_string(v)) return json_string_value(v);
    show(v, text, sizeof text);
    hf_fail(c, PG_E_FORMAT, "'%s%.*s' is %s; it must be a text", c->where, len, name, text);
    return "";
}

const json_t *hf_list(hf *c, const char *keys, size_t count)
{
    const char *name;
    int len;
    char text[48];
    const json_t *v = c->failed ? NULL : get(c, keys, &name, &len);
    if (!v) return NULL;
    if (!json_is_array(v)) {
        show(v, text, sizeof text);
        hf_fail(c, PG_E_FORMAT, "'%s%.*s' is %s; it must be a list", c->where, len, name, text);
        return NULL;
    }
    if (json_array_size(v) >= count) return v;
    hf_fail(c, PG_E_FORMAT, "'%s%.*s' has %zu entries; the model has %zu layers", c->where, len, name,
            json_array_size(v), count);
    return NULL;
}

int64_t hf_divide(hf *c, const char *what_a, int64_t a, const char *what_b, int64_t b)
{
    if (c->failed) return 1;
    if (b >= 1 && a % b == 0) return a / b;
    hf_fail(c, PG_E_FORMAT, "'%s%s' %lld is not a multiple of '%s' %lld", c->where, what_a, (long long)a, what_b,
            (long long)b);
    return 1;
}

uint16_t hf_activation(hf *c, const char *keys, uint16_t fallback, bool *squared)
{
    static const struct {
        const char *name;
        uint16_t kind;
    } known[] = {
        {"silu", OP_Silu},
        {"swish", OP_Silu},
        {"swiglu", OP_Silu},
        {"gelu", OP_Gelu},
        {"gelu_python", OP_Gelu},
        {"gelu_new", OP_FastGelu},
        {"gelu_fast", OP_FastGelu},
        {"gelu_pytorch_tanh", OP_FastGelu},
        {"relu", OP_Relu},
        {"quick_gelu", OP_QuickGelu},
        {"tanh", OP_Tanh},
        {"sigmoid", OP_Sigmoid},
        {"geglu", OP_Gelu},
        {"gelu_10", OP_Gelu},
        {"gated-gelu", OP_FastGelu},
        {"gated-silu", OP_Silu},
        {"relu2", OP_Relu},
        {"relu6", OP_Relu},
        {"leaky_relu", OP_LeakyRelu},
        {"mish", OP_Mish},
        {"xielu", OP_Gelu},
        {"laplace", OP_Erf},
    };
    const char *name = hf_text(c, keys);
    if (!*name) return fallback;
    if (squared) *squared = !strcmp(name, "relu2");
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name)) return known[i].kind;
    if (!graph_warn(c->g, "config.json: activation '%.40s' is not known; costed as GELU", name))
        hf_fail(c, PG_E_NOMEM, "out of memory");
    return OP_Gelu;
}
