/* Our own ONNX cases: tests/cases/onnx/valid/NAME holds model.txt (its form is described below) and expect.json:
 *   {"batch": 5, "symbols": {"seq": 7}, "outputs": [{"shape": ["batch", 64, null], "dtype": "float32"}],
 *    "unknown_outputs": 0, "rebatch_fixes": 1, "rebatch_unsafe": false, "notes": 0}
 * Only "outputs" must be there. tests/cases/onnx/invalid/NAME has "error" and "path": words of the message.
 * test_onnx_cases --write model.txt model.onnx makes the file itself, to look at it with other tools. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "graph/shape.h"
#include "load/load.h"
#include "support/heap.h"

#ifndef TEST_ROOT
#define TEST_ROOT "."
#endif

/* ---- writing protobuf ---- */

typedef struct bytes {
    unsigned char *ptr;
    size_t len, cap;
} bytes;

static void put(bytes *b, const void *p, size_t n)
{
    if (b->len + n > b->cap) {
        b->cap = (b->len + n) * 2;
        b->ptr = realloc(b->ptr, b->cap);
        if (!b->ptr) abort();
    }
    if (n) memcpy(b->ptr + b->len, p, n);
    b->len += n;
}

static void put_varint(bytes *b, uint64_t v)
{
    unsigned char c;
    do {
        c = (unsigned char)((v & 127) | (v > 127 ? 128 : 0));
        put(b, &c, 1);
        v >>= 7;
    } while (v);
}

static void put_int(bytes *b, unsigned field, int64_t v)
{
    put_varint(b, field << 3);
    put_varint(b, (uint64_t)v);
}

static void put_bytes(bytes *b, unsigned field, const void *p, size_t n)
{
    put_varint(b, field << 3 | 2);
    put_varint(b, n);
    put(b, p, n);
}

static void put_text(bytes *b, unsigned field, const char *s)
{
    put_bytes(b, field, s, strlen(s));
}

/* Appends a message and frees it. */
static void put_message(bytes *b, unsigned field, bytes *m)
{
    put_bytes(b, field, m->ptr, m->len);
    free(m->ptr);
    *m = (bytes){0};
}

static void put_float(bytes *b, unsigned field, double v)
{
    float f = (float)v;
    put_varint(b, field << 3 | 5);
    put(b, &f, sizeof f);
}

/* ---- reading the text ---- */

/* ONNX files from a few lines of text, so that test cases can be read and reviewed.
 *
 *   opset 13                            opset com.microsoft 1
 *   input x float [batch, 3, ?, 224]    a number, a name, or ? for a dim that the file leaves open
 *   weight w float [64, 3, 7, 7]        an initializer without data (as if in an external file)
 *   const c int64 [2] 1 -1              an initializer with data
 *   node Conv x w -> y : strides=[2,2] auto_pad="SAME_UPPER"       "_" is an input or output that is left out
 *   node com.microsoft::Attention ...   attributes: 1  0.5f  [1,2]  [0.5f]  "text"  int64[2]{1,-1}  @body
 *   graph body ... end                  a subgraph, before the node that uses it
 *   output y
 * '#' begins a comment. */

enum { MAX_GRAPHS = 8 };

typedef struct reader {
    const char *at;
    char word[256];
    bool failed;
    bytes graphs[MAX_GRAPHS];
    char names[MAX_GRAPHS][64];
    size_t n_graphs;
} reader;

static bool is_space(char c)
{
    return c == ' ' || c == '\r' || c == '\t';
}

static void skip_space(reader *r)
{
    while (is_space(*r->at)) r->at++;
    if (*r->at == '#')
        while (*r->at && *r->at != '\n') r->at++;
}

static bool end_of_line(reader *r)
{
    skip_space(r);
    return !*r->at || *r->at == '\n';
}

/* Up to a space or one of the delimiters. */
static const char *read_word(reader *r, const char *delimiters)
{
    size_t n = 0;
    skip_space(r);
    while (*r->at && *r->at != '\n' && !is_space(*r->at) && !strchr(delimiters, *r->at) && n + 1 < sizeof r->word)
        r->word[n++] = *r->at++;
    r->word[n] = 0;
    if (!n) r->failed = true;
    return r->word;
}

static bool accept(reader *r, char c)
{
    skip_space(r);
    if (*r->at != c) return false;
    r->at++;
    return true;
}

static int element_type(const char *name)
{
    static const char *const names[] = {"",       "float",  "uint8",     "int8",       "uint16",  "int16",
                                        "int32",  "int64",  "string",    "bool",       "float16", "double",
                                        "uint32", "uint64", "complex64", "complex128", "bfloat16"};
    for (int i = 1; i < 17; i++)
        if (!strcmp(names[i], name)) return i;
    return 0;
}

/* "[2, 3]" as dims of a TensorProto. */
static void read_tensor_dims(reader *r, bytes *content)
{
    if (!accept(r, '[')) r->failed = true;
    while (!r->failed && !accept(r, ']')) {
        put_int(content, 1, strtoll(read_word(r, ",]"), NULL, 10));
        accept(r, ',');
    }
}

static void put_element(bytes *data, int type, const char *word)
{
    if (type == 1) {
        float f = strtof(word, NULL);
        put(data, &f, sizeof f);
        return;
    }
    int64_t v = strtoll(word, NULL, 10);
    size_t size = type == 7 || type == 13 ? 8 : type == 6 || type == 12 ? 4 : type == 4 || type == 5 ? 2 : 1;
    put(data, &v, size); /* little-endian, as this machine */
}

/* "int64[2]{1,-1}" */
static void read_tensor(reader *r, bytes *content)
{
    bytes data = {0};
    int type = element_type(read_word(r, "["));
    read_tensor_dims(r, content);
    if (!type || !accept(r, '{')) r->failed = true;
    while (!r->failed && !accept(r, '}')) {
        put_element(&data, type, read_word(r, ",}"));
        accept(r, ',');
    }
    put_int(content, 2, type);
    put_message(content, 9, &data);
}

static void read_list(reader *r, bytes *attribute)
{
    int type = 7;
    while (!r->failed && !accept(r, ']')) {
        const char *word = read_word(r, ",]");
        if (word[0] && word[strlen(word) - 1] == 'f') {
            put_float(attribute, 7, strtod(word, NULL));
            type = 6;
        } else {
            put_int(attribute, 8, strtoll(word, NULL, 10));
        }
        accept(r, ',');
    }
    put_int(attribute, 20, type);
}

static void read_attribute(reader *r, bytes *node)
{
    bytes a = {0}, inner = {0};
    put_text(&a, 1, read_word(r, "="));
    if (!accept(r, '=')) r->failed = true;
    if (accept(r, '[')) {
        read_list(r, &a);
    } else if (accept(r, '"')) {
        const char *end = strchr(r->at, '"');
        if (end) {
            put_bytes(&a, 4, r->at, (size_t)(end - r->at));
            put_int(&a, 20, 3);
            r->at = end + 1;
        } else {
            r->failed = true;
        }
    } else if (accept(r, '@')) {
        const char *word = read_word(r, "");
        size_t i = 0;
        while (i < r->n_graphs && strcmp(r->names[i], word)) i++;
        if (i < r->n_graphs) put_bytes(&a, 6, r->graphs[i].ptr, r->graphs[i].len);
        else r->failed = true;
        put_int(&a, 20, 5);
    } else {
        const char *start = r->at, *word = read_word(r, "[");
        if (*r->at == '[') {
            r->at = start;
            read_tensor(r, &inner);
            put_message(&a, 5, &inner);
            put_int(&a, 20, 4);
        } else if (word[0] && word[strlen(word) - 1] == 'f') {
            put_float(&a, 2, strtod(word, NULL));
            put_int(&a, 20, 1);
        } else {
            put_int(&a, 3, strtoll(word, NULL, 10));
            put_int(&a, 20, 2);
        }
    }
    put_message(node, 5, &a);
}

static void read_node(reader *r, bytes *to)
{
    bytes node = {0};
    char type[256], domain[256] = "";
    format_text(type, sizeof type, "%s", read_word(r, ""));
    char *colons = strstr(type, "::");
    if (colons) {
        *colons = 0;
        format_text(domain, sizeof domain, "%s", type);
        memmove(type, colons + 2, strlen(colons + 2) + 1);
    }
    unsigned field = 1;
    bool named = false;
    while (!r->failed && !end_of_line(r)) {
        const char *word = read_word(r, "");
        if (!strcmp(word, ":")) {
            while (!r->failed && !end_of_line(r)) read_attribute(r, &node);
        } else if (!strcmp(word, "->")) {
            field = 2;
        } else {
            put_text(&node, field, strcmp(word, "_") ? word : "");
            if (field == 2 && !named) put_text(&node, 3, word); /* the node's name is that of its first output */
            named |= field == 2;
        }
    }
    put_text(&node, 4, type);
    if (*domain) put_text(&node, 7, domain);
    put_message(to, 1, &node);
}

static void read_input(reader *r, bytes *to)
{
    bytes value = {0}, type = {0}, content = {0}, shape = {0}, dim = {0};
    put_text(&value, 1, read_word(r, ""));
    put_int(&content, 1, element_type(read_word(r, "")));
    if (accept(r, '[')) {
        while (!r->failed && !accept(r, ']')) {
            const char *word = read_word(r, ",]");
            if ((*word >= '0' && *word <= '9') || *word == '-') put_int(&dim, 1, strtoll(word, NULL, 10));
            else if (*word != '?') put_text(&dim, 2, word);
            put_message(&shape, 1, &dim);
            accept(r, ',');
        }
        put_message(&content, 2, &shape);
    }
    put_message(&type, 1, &content);
    put_message(&value, 2, &type);
    put_message(to, 11, &value);
}

static void read_initializer(reader *r, bytes *to, bool with_data)
{
    bytes content = {0}, data = {0}, entry = {0};
    put_text(&content, 8, read_word(r, ""));
    int type = element_type(read_word(r, ""));
    put_int(&content, 2, type);
    read_tensor_dims(r, &content);
    if (with_data) {
        while (!r->failed && !end_of_line(r)) put_element(&data, type, read_word(r, ""));
        put_message(&content, 9, &data);
    } else {
        put_text(&entry, 1, "location");
        put_text(&entry, 2, "weights.bin");
        put_message(&content, 13, &entry);
        put_int(&content, 14, 1);
    }
    put_message(to, 5, &content);
}

static void read_output(reader *r, bytes *to)
{
    bytes value = {0};
    put_text(&value, 1, read_word(r, ""));
    put_message(to, 12, &value);
}

static void read_opset(reader *r, bytes *model)
{
    bytes opset = {0};
    char word[64];
    format_text(word, sizeof word, "%s", read_word(r, ""));
    if (!end_of_line(r)) {
        put_text(&opset, 1, word);
        format_text(word, sizeof word, "%s", read_word(r, ""));
    }
    put_int(&opset, 2, strtoll(word, NULL, 10));
    put_message(model, 8, &opset);
}

/* Lines up to "end" or the end of the text. */
static void read_graph(reader *r, bytes *to, bytes *model)
{
    put_text(to, 2, "g");
    while (!r->failed && *r->at) {
        if (end_of_line(r)) {
            if (*r->at) r->at++;
            continue;
        }
        const char *word = read_word(r, "");
        if (!strcmp(word, "end")) return;
        if (!strcmp(word, "opset") && model) read_opset(r, model);
        else if (!strcmp(word, "input")) read_input(r, to);
        else if (!strcmp(word, "output")) read_output(r, to);
        else if (!strcmp(word, "weight")) read_initializer(r, to, false);
        else if (!strcmp(word, "const")) read_initializer(r, to, true);
        else if (!strcmp(word, "node")) read_node(r, to);
        else if (!strcmp(word, "graph") && r->n_graphs < MAX_GRAPHS) {
            bytes inner = {0};
            char name[64];
            format_text(name, sizeof name, "%s", read_word(r, ""));
            read_graph(r, &inner, NULL);
            memcpy(r->names[r->n_graphs], name, sizeof name);
            r->graphs[r->n_graphs++] = inner;
        } else {
            r->failed = true;
        }
        if (!end_of_line(r)) r->failed = true;
    }
}

/* Appends a ModelProto made from the text; false, with `error` filled, when a line can't be understood. */
static bool make_onnx(bytes *out, const char *source, char *error, size_t error_cap)
{
    reader r = {.at = source};
    bytes to = {0};
    put_int(out, 1, 8);
    read_graph(&r, &to, out);
    put_message(out, 7, &to);
    for (size_t i = 0; i < r.n_graphs; i++) free(r.graphs[i].ptr);
    unsigned line = 1;
    for (const char *p = source; p < r.at; p++) line += *p == '\n';
    if (r.failed) format_text(error, error_cap, "line %u isn't understood, near \"%s\"", line, r.word);
    return !r.failed;
}

/* ---- cases ---- */

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *p = calloc(1, 1 << 16);
    if (p && fread(p, 1, (1 << 16) - 1, f) == 0) p[0] = 0;
    fclose(f);
    return p;
}

typedef struct loaded {
    arena a;
    graph g;
    shapes s;
    bytes file;
    json_t *expect;
    pg_error error;
} loaded;

static pg_code load_case(loaded *c, const char *folder, const char *name)
{
    char path[1024], why[256] = "";
    *c = (loaded){.error = PG_ERROR_INIT};
    arena_init(&c->a, (allocator){heap_plain, NULL}, 0);
    format_text(path, sizeof path, "%s/%s/expect.json", folder, name);
    json_error_t je;
    c->expect = json_load_file(path, 0, &je);
    if (!c->expect) fail_msg("%s:%d: %s", path, je.line, je.text);
    format_text(path, sizeof path, "%s/%s/model.txt", folder, name);
    char *source = read_file(path);
    if (!source || !make_onnx(&c->file, source, why, sizeof why)) fail_msg("%s: %s", path, why);
    free(source);
    load_options options = {0};
    load_input in = {.path = path, .bytes = {c->file.ptr, c->file.len, 0}};
    if (!graph_init(&c->g, &c->a)) return PG_E_NOMEM;
    pg_code code = load_onnx_format.load(&c->g, &in, &options, &c->error);
    if (!code) code = graph_sort(&c->g, &c->a, &c->error);
    if (code) return code;
    int64_t binding[64] = {0};
    if (c->g.batch_symbol >= 0) binding[c->g.batch_symbol] = json_integer_value(json_object_get(c->expect, "batch"));
    const char *key;
    json_t *v;
    json_object_foreach(json_object_get(c->expect, "symbols"), key, v)
    {
        int32_t at = graph_symbol_find(&c->g, str_c(key));
        if (at < 0 || at >= 64) fail_msg("%s: no symbol %s", path, key);
        binding[at] = json_integer_value(v);
    }
    return shapes_infer(&c->s, &c->g, &(shape_options){binding, 0}, &c->a, &c->error);
}

static void free_case(loaded *c)
{
    json_decref(c->expect);
    free(c->file.ptr);
    arena_free(&c->a);
}

static bool dim_is(const shapes *s, num n, const json_t *want)
{
    char got[128];
    if (json_is_null(want)) return !num_known(n);
    if (json_is_integer(want)) return num_known(n) && n.sym < 0 && n.v.i == json_integer_value(want);
    num_format(got, sizeof got, n, s);
    return json_is_string(want) && n.sym >= 0 && !strcmp(got, json_string_value(want));
}

static void check_output(const loaded *c, const char *name, size_t i, const json_t *want)
{
    const tensor_shape *t = &c->s.t[c->g.regions[0].outputs[i]];
    const json_t *shape = json_object_get(want, "shape"), *type = json_object_get(want, "dtype");
    if (json_is_null(shape) && t->rank >= 0) fail_msg("%s: output %zu has a shape", name, i);
    if (type && strcmp(json_string_value(type), dtype_get((dtype)t->dtype)->name))
        fail_msg("%s: output %zu is %s", name, i, dtype_get((dtype)t->dtype)->name);
    if (!json_is_array(shape)) return;
    if (t->rank != (int)json_array_size(shape)) fail_msg("%s: output %zu has rank %d", name, i, t->rank);
    for (int k = 0; k < t->rank; k++) {
        char got[128];
        num_format(got, sizeof got, t->dims[k], &c->s);
        if (!dim_is(&c->s, t->dims[k], json_array_get(shape, (size_t)k)))
            fail_msg("%s: output %zu, dimension %d is %s", name, i, k, got);
    }
}

static void check_number(const loaded *c, const char *name, const char *key, int64_t got)
{
    const json_t *want = json_object_get(c->expect, key);
    if (json_is_boolean(want) && json_is_true(want) != (got != 0))
        fail_msg("%s: %s is %s", name, key, got ? "true" : "false");
    if (json_is_integer(want) && json_integer_value(want) != got) fail_msg("%s: %s is %lld", name, key, (long long)got);
}

static void check_valid(const char *folder, const char *name)
{
    loaded c;
    pg_code code = load_case(&c, folder, name);
    if (code) fail_msg("%s: %s: %s", name, c.error.path, c.error.text);
    const json_t *outputs = json_object_get(c.expect, "outputs");
    if (json_array_size(outputs) != c.g.regions[0].n_outputs) fail_msg("%s: the number of outputs differs", name);
    for (size_t i = 0; i < json_array_size(outputs); i++) check_output(&c, name, i, json_array_get(outputs, i));
    check_number(&c, name, "unknown_outputs", c.s.unknown_outputs);
    check_number(&c, name, "rebatch_fixes", c.s.rebatch_fixes);
    check_number(&c, name, "rebatch_unsafe", c.s.rebatch_unsafe);
    check_number(&c, name, "notes", c.s.n_notes);
    free_case(&c);
}

static void check_invalid(const char *folder, const char *name)
{
    loaded c;
    if (!load_case(&c, folder, name)) fail_msg("%s: no error", name);
    const char *words = json_string_value(json_object_get(c.expect, "error"));
    const char *path = json_string_value(json_object_get(c.expect, "path"));
    if (!words || !strstr(c.error.text, words)) fail_msg("%s: %s", name, c.error.text);
    if (path && strcmp(path, c.error.path)) fail_msg("%s: the path is %s", name, c.error.path);
    free_case(&c);
}

static void each_case(const char *folder, void (*check)(const char *, const char *))
{
    DIR *d = opendir(folder);
    unsigned n = 0;
    if (!d) fail_msg("no folder %s", folder);
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        char path[1024];
        format_text(path, sizeof path, "%s/%s/model.txt", folder, e->d_name);
        if (access(path, R_OK) != 0) continue; /* another kind of case */
        check(folder, e->d_name);
        n++;
    }
    closedir(d);
    print_message("%u cases\n", n);
    assert_true(n > 0);
}

static void test_valid(void **state)
{
    (void)state;
    each_case(TEST_ROOT "/tests/cases/onnx/valid", check_valid);
}

static void test_invalid(void **state)
{
    (void)state;
    each_case(TEST_ROOT "/tests/cases/onnx/invalid", check_invalid);
}

static int write_model(const char *from, const char *to)
{
    char why[256];
    bytes out = {0};
    char *source = read_file(from);
    if (!source || !make_onnx(&out, source, why, sizeof why)) {
        fprintf(stderr, "%s: %s\n", from, source ? why : "can't be read");
        return 1;
    }
    FILE *f = fopen(to, "wb");
    bool ok = f && fwrite(out.ptr, 1, out.len, f) == out.len;
    if (f && fclose(f) != 0) ok = false;
    free(source);
    free(out.ptr);
    return !ok;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_invalid),
    };
    if (argc == 4 && !strcmp(argv[1], "--write")) return write_model(argv[2], argv[3]);
    return cmocka_run_group_tests_name("onnx_cases", tests, NULL, NULL);
}
