/* Values of options: strict, and an error says what would have been right. */
#define _POSIX_C_SOURCE 200809L
#include <unistd.h>

#include "cli/cli.h"

enum { LIST_MOST = 1024 };

/* Digits only: no sign, no space, no fraction. */
static bool parse_number(str s, int64_t min, int64_t max, int64_t *out)
{
    int64_t x = 0;
    if (!s.len) return false;
    for (size_t i = 0; i < s.len; i++) {
        int digit = s.ptr[i] - '0';
        if (digit < 0 || digit > 9 || x > (INT64_MAX - digit) / 10) return false;
        x = x * 10 + digit;
    }
    *out = x;
    return x >= min && x <= max;
}

/* Digits with at most one point among them. */
static bool parse_real(str s, double above, double most, double *out)
{
    enum { DIGITS_MOST = 18 };
    int64_t x = 0, unit = 1;
    size_t digits = 0, points = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.' && !points++) continue;
        int digit = s.ptr[i] - '0';
        if (digit < 0 || digit > 9 || ++digits > DIGITS_MOST) return false;
        x = x * 10 + digit;
        if (points) unit *= 10;
    }
    *out = (double)x / (double)unit;
    return digits && *out > above && *out <= most;
}

static int bad_number(cli *c, const option *o, str value)
{
    return cli_usage(c->command, "--%s: '%.*s' is not a whole number from %lld to %lld", o->name, STR_ARG(value),
                     (long long)o->min, (long long)o->max);
}

static int bad_real(cli *c, const option *o, str value)
{
    return cli_usage(c->command, "--%s: '%.*s' is not a number above %lld and at most %lld, like %s", o->name,
                     STR_ARG(value), (long long)o->min, (long long)o->max, o->max > 12 ? "12.3" : "0.7");
}

static int no_memory(void)
{
    return cli_fail("out of memory");
}

/* The part up to the next comma, without spaces around it; moves `rest` behind it. */
static str next_item(str *rest)
{
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != ',') n++;
    str item = {rest->ptr, n};
    bool more = n < rest->len;
    rest->ptr += n + more;
    rest->len -= n + more;
    while (item.len && item.ptr[0] == ' ') item = (str){item.ptr + 1, item.len - 1};
    while (item.len && item.ptr[item.len - 1] == ' ') item.len--;
    return item;
}

/* Precisions as frameworks call them. */
static const struct {
    const char *said, *meant;
} synonyms[] = {{"float32", "fp32"}, {"float", "fp32"},    {"single", "fp32"}, {"float16", "fp16"},
                {"half", "fp16"},    {"bfloat16", "bf16"}, {"float8", "fp8"},  {"float4", "fp4"}};

/* The spelling of the table, whatever case and hyphens the user chose; NULL: none. */
static const char *find_choice(const char *const *choices, str s)
{
    char wanted[64], have[64];
    if (s.len >= sizeof wanted) return NULL;
    str_fold(wanted, sizeof wanted, s);
    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++)
        if (strcmp(wanted, synonyms[i].said) == 0) format_text(wanted, sizeof wanted, "%s", synonyms[i].meant);
    for (size_t i = 0; choices[i]; i++) {
        str_fold(have, sizeof have, str_c(choices[i]));
        if (strcmp(wanted, have) == 0) return choices[i];
    }
    return NULL;
}

static int bad_choice(cli *c, const option *o, str value)
{
    char word[64], all[256] = "";
    size_t n = 0;
    format_text(word, sizeof word, "%.*s", STR_ARG(value));
    const char *meant = cli_suggest(word, o->choices);
    for (size_t i = 0; o->choices[i] && n < sizeof all; i++)
        n += format_text(all + n, sizeof all - n, "%s%s", i ? ", " : "", o->choices[i]);
    if (meant)
        return cli_usage(c->command, "--%s: there is no '%s'; did you mean '%s'? (%s)", o->name, word, meant, all);
    return cli_usage(c->command, "--%s: there is no '%s'; it is one of %s", o->name, word, all);
}

static bool add_text(cli *c, cli_list *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], text) == 0) return true;
    const char **items = arena_grow(&c->memory, list->items, list->count, list->count + 1, sizeof *items);
    if (!items) return false;
    list->items = items;
    list->items[list->count++] = text;
    return true;
}

static bool add_number(cli *c, cli_numbers *list, int64_t x)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == x) return true;
    int64_t *items = arena_grow(&c->memory, list->items, list->count, list->count + 1, sizeof *items);
    if (!items) return false;
    list->items = items;
    list->items[list->count++] = x;
    return true;
}

/* Twice the same is two: each belongs to a model. */
static bool add_real(cli *c, cli_reals *list, double x)
{
    double *items = arena_grow(&c->memory, list->items, list->count, list->count + 1, sizeof *items);
    if (!items) return false;
    list->items = items;
    list->items[list->count++] = x;
    return true;
}

static int add_item(cli *c, const option *o, str item)
{
    void *target = (char *)&c->args + o->offset;
    if (o->kind == OPTION_NUMBERS) {
        int64_t x;
        if (!parse_number(item, o->min, o->max, &x)) return bad_number(c, o, item);
        return add_number(c, target, x) ? EXIT_OK : no_memory();
    }
    if (o->kind == OPTION_REALS) {
        double x;
        if (!parse_real(item, (double)o->min, (double)o->max, &x)) return bad_real(c, o, item);
        return add_real(c, target, x) ? EXIT_OK : no_memory();
    }
    const char *text;
    if (o->kind == OPTION_CHOICES) {
        text = find_choice(o->choices, item);
        if (!text) return bad_choice(c, o, item);
    } else {
        text = str_copy(&c->memory, item).ptr;
    }
    return text && add_text(c, target, text) ? EXIT_OK : no_memory();
}

static int set_list(cli *c, const option *o, str rest)
{
    const char *whole = rest.ptr;
    bool comma = rest.len && rest.ptr[rest.len - 1] == ',';
    size_t count = 0;
    do {
        if (++count > LIST_MOST) return cli_usage(c->command, "--%s: more than %d in one list", o->name, LIST_MOST);
        str item = next_item(&rest);
        if (!item.len) return cli_usage(c->command, "--%s: an empty place in the list '%s'", o->name, whole);
        int status = add_item(c, o, item);
        if (status != EXIT_OK) return status;
    } while (rest.len);
    return comma ? cli_usage(c->command, "--%s: an empty place in the list '%s'", o->name, whole) : EXIT_OK;
}

int cli_add_models(cli *c, const char *text)
{
    static const option models = {.name = "models", .kind = OPTION_MODELS, .offset = offsetof(cli_args, models)};
    if (access(text, F_OK) != 0) return set_list(c, &models, str_c(text));
    const char *copy = str_copy(&c->memory, str_c(text)).ptr;
    return copy && add_text(c, &c->args.models, copy) ? EXIT_OK : no_memory();
}

/* name=1x3x224x224; the last '=' counts, names may hold one. */
static int set_shape(cli *c, const option *o, const char *value)
{
    enum { RANK_MOST = 8 };
    cli_shapes *list = (cli_shapes *)(void *)((char *)&c->args + o->offset);
    const char *equals = strrchr(value, '=');
    pg_input_shape shape = {.name = NULL};
    bool good = equals && equals != value && equals[1];
    for (const char *p = equals; good && *p; shape.rank++) {
        const char *end = ++p;
        while (*end && *end != 'x') end++;
        good = shape.rank < RANK_MOST &&
               parse_number((str){p, (size_t)(end - p)}, 1, INT32_MAX, &shape.dims[shape.rank]) && (!*end || end[1]);
        p = end;
    }
    if (!good)
        return cli_usage(c->command, "--%s: '%s' is not like name=1x3x224x224 (1 to %d sizes, each from 1 to %d)",
                         o->name, value, RANK_MOST, INT32_MAX);
    shape.name = str_copy(&c->memory, (str){value, (size_t)(equals - value)}).ptr;
    pg_input_shape *items = arena_grow(&c->memory, list->items, list->count, list->count + 1, sizeof *items);
    if (!shape.name || !items) return no_memory();
    list->items = items;
    list->items[list->count++] = shape;
    return EXIT_OK;
}

int cli_set_option(cli *c, const option *o, const char *value)
{
    void *target = (char *)&c->args + o->offset;
    const char *text = value;
    if (o->kind == OPTION_FLAG) {
        *(bool *)target = true;
        return EXIT_OK;
    }
    if (!value[0]) return cli_usage(c->command, "--%s: the value is empty", o->name);
    switch (o->kind) {
    case OPTION_NUMBER: {
        int64_t x;
        if (!parse_number(str_c(value), o->min, o->max, &x)) return bad_number(c, o, str_c(value));
        *(int64_t *)target = x;
        return EXIT_OK;
    }
    case OPTION_REAL:
        return parse_real(str_c(value), (double)o->min, (double)o->max, target) ? EXIT_OK
                                                                                : bad_real(c, o, str_c(value));
    case OPTION_CHOICE:
        text = find_choice(o->choices, str_c(value));
        if (!text) return bad_choice(c, o, str_c(value));
        break;
    case OPTION_MODELS: return cli_add_models(c, value);
    case OPTION_FILES: return add_text(c, target, value) ? EXIT_OK : no_memory();
    case OPTION_TEXTS:
    case OPTION_GPUS:
    case OPTION_RUNTIMES:
    case OPTION_CHOICES:
    case OPTION_NUMBERS:
    case OPTION_REALS: return set_list(c, o, str_c(value));
    case OPTION_SHAPE: return set_shape(c, o, value);
    case OPTION_FLAG:
    case OPTION_TEXT:
    case OPTION_FILE:
    case OPTION_GPU:
    case OPTION_RUNTIME:
    case OPTION_MODEL: break;
    }
    *(const char **)target = text;
    return EXIT_OK;
}
