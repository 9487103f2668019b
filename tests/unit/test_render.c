/* Rendering: what people and programs read, and that names from files can't do harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/number.h"
#include "render/fields.h"
#include "render/render.h"

typedef struct budget {
    long left; /* allocations that still succeed; negative: all */
} budget;

static void *resize(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    budget *b = ud;
    (void)old_size;
    if (!new_size) {
        free(ptr);
        return NULL;
    }
    if (b && b->left == 0) return NULL;
    if (b && b->left > 0) b->left--;
    return realloc(ptr, new_size);
}

typedef struct fixture {
    buffer out;
    arena memory;
    report report;
} fixture;

static void start_with(fixture *f, size_t width, bool unicode, budget *b)
{
    allocator a = {resize, b};
    buffer_init(&f->out, a);
    arena_init(&f->memory, a, 0);
    f->report = (report){.out = &f->out, .memory = &f->memory, .style = {.width = width, .unicode = unicode}};
}

static void start(fixture *f, size_t width, bool unicode)
{
    start_with(f, width, unicode, NULL);
}

/* The output must be `expected`; everything is freed. */
static void finish(fixture *f, const char *expected)
{
    assert_false(f->out.failed);
    assert_string_equal(f->out.ptr ? f->out.ptr : "", expected);
    buffer_free(&f->out);
    arena_free(&f->memory);
}

static const char *number(char *(*write)(char *, size_t, double), double x)
{
    static char text[NUMBER_SIZE];
    return write(text, sizeof text, x);
}

static void test_counts(void **state)
{
    (void)state;
    assert_string_equal(number(number_count, 0), "0");
    assert_string_equal(number(number_count, 980), "980");
    assert_string_equal(number(number_count, 999.6), "1.00 k");
    assert_string_equal(number(number_count, 1234), "1.23 k");
    assert_string_equal(number(number_count, 25557032), "25.6 M");
    assert_string_equal(number(number_count, 999999999), "1.00 G");
    assert_string_equal(number(number_count, 4089184256.0), "4.09 G");
    assert_string_equal(number(number_count, 1.8e12), "1.80 T");
    assert_string_equal(number(number_count, 1e30), "1000000000000 E");
    assert_string_equal(number(number_count, -1), "-");
    assert_string_equal(number(number_count, (double)NAN), "-");
    assert_string_equal(number(number_parameters, 6738415616.0), "6.74 B");
    assert_string_equal(number(number_parameters, 25557032), "25.6 M");
    assert_string_equal(number(number_whole, 25557032), "25,557,032");
    assert_string_equal(number(number_whole, 999), "999");
    assert_string_equal(number(number_whole, 1000), "1,000");
    assert_string_equal(number(number_whole, -1), "-");
    assert_string_equal(number(number_plain, 0.1234), "0.123");
    assert_string_equal(number(number_plain, 0.00872), "0.00872");
    assert_string_equal(number(number_plain, 0.0123), "0.0123");
    assert_string_equal(number(number_plain, 0), "0");
    assert_string_equal(number(number_plain, 9.996), "10.0");
    assert_string_equal(number(number_plain, 99.96), "100");
    assert_string_equal(number(number_plain, 3904), "3,900");
    assert_string_equal(number(number_plain, 999999), "1.00 M");
    assert_string_equal(number(number_plain, 123456), "123,000");
}

static void test_units(void **state)
{
    char text[NUMBER_SIZE];
    (void)state;
    assert_string_equal(number(number_bytes, 0), "0 B");
    assert_string_equal(number(number_bytes, 1023), "1023 B");
    assert_string_equal(number(number_bytes, 1024), "1.00 KiB");
    assert_string_equal(number(number_bytes, 1024.0 * 1024 - 1), "1.00 MiB");
    assert_string_equal(number(number_bytes, 1000.0 * 1024 * 1024), "1000 MiB");
    assert_string_equal(number(number_bytes, 102228128), "97.5 MiB");
    assert_string_equal(number(number_bytes, 85899345920.0), "80.0 GiB");
    assert_string_equal(number(number_bytes, (double)INFINITY), "-");
    assert_string_equal(number_time(text, sizeof text, 12.34, true), "12.3 ms");
    assert_string_equal(number_time(text, sizeof text, 0.98, true), "980 \xc2\xb5s");
    assert_string_equal(number_time(text, sizeof text, 0.98, false), "980 us");
    assert_string_equal(number_time(text, sizeof text, 0.9996, false), "1.00 ms");
    assert_string_equal(number_time(text, sizeof text, 1234, false), "1.23 s");
    assert_string_equal(number_time(text, sizeof text, 150000, false), "2.50 min");
    assert_string_equal(number_time(text, sizeof text, 0.000002, false), "2.00 ns");
    assert_string_equal(number_time(text, sizeof text, 0, false), "0 ms");
    assert_string_equal(number_time(text, sizeof text, -1, false), "-");
    assert_string_equal(number(number_percent, 0.384), "38 %");
    assert_string_equal(number(number_percent, 0.004), "0.4 %");
    assert_string_equal(number(number_percent, 0.0001), "<0.1 %");
    assert_string_equal(number(number_percent, 0), "0 %");
    assert_string_equal(number(number_percent, 1), "100 %");
    assert_string_equal(number(number_watts, 231.4), "231 W");
    assert_string_equal(number(number_watts, 1200), "1,200 W");
    assert_string_equal(number_time(text, 4, 12.34, false), "12.");
}

static void test_utf8(void **state)
{
    static const struct {
        const char *bytes;
        size_t len, used;
        uint32_t code;
    } cases[] = {
        {"a", 1, 1, 'a'},
        {"\xc3\xa9", 2, 2, 0xe9},
        {"\xe2\x82\xac", 3, 3, 0x20ac},
        {"\xf0\x9f\x9a\x80", 4, 4, 0x1f680},
        {"\xc0\x80", 2, 1, UINT32_MAX},         /* overlong */
        {"\xe0\x80\x80", 3, 1, UINT32_MAX},     /* overlong */
        {"\xed\xa0\x80", 3, 1, UINT32_MAX},     /* surrogate */
        {"\xf4\x90\x80\x80", 4, 1, UINT32_MAX}, /* over U+10FFFF */
        {"\xf5\x80\x80\x80", 4, 1, UINT32_MAX},
        {"\xe2\x82", 2, 1, UINT32_MAX}, /* cut off */
        {"\x80", 1, 1, UINT32_MAX},
        {"\xe2(\xa1", 3, 1, UINT32_MAX},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t used;
        assert_int_equal(utf8_next(cases[i].bytes, cases[i].len, &used), cases[i].code);
        assert_int_equal(used, cases[i].used);
    }
    assert_int_equal(text_width(STR("abc")), 3);
    assert_int_equal(text_width(STR("h\xc3\xa9")), 2);
    assert_int_equal(text_width(STR("e\xcc\x81")), 1);                /* combining */
    assert_int_equal(text_width(STR("\xe6\xa8\xa1\xe5\x9e\x8b")), 4); /* wide */
    assert_int_equal(text_cut(STR("\xe6\xa8\xa1\xe5\x9e\x8b"), 3).len, 3);
}

static void clean(const char *text, size_t len, bool ascii, const char *expected)
{
    fixture f;
    start(&f, 80, false);
    text_clean(&f.out, (str){text, len}, ascii);
    finish(&f, expected);
}

static void test_hostile_names(void **state)
{
    (void)state;
    clean("plain", 5, false, "plain");
    clean("a\033[31mb", 7, false, "a\\x1b[31mb");
    clean("a\nb\r\tc", 6, false, "a\\x0ab\\x0d\\x09c");
    clean("a\0b", 3, false, "a\\x00b");
    clean("\x7f", 1, false, "\\x7f");
    clean("\xc2\x9b", 2, false, "\\x9b"); /* C1: CSI in one character */
    clean("\x9b", 1, false, "\\x9b");     /* the same as a bare byte */
    clean("a\xe2\x80\xae"
          "b",
          5, false, "a\\u202eb"); /* right-to-left override */
    clean("\xff\xfe", 2, false, "\\xff\\xfe");
    clean("h\xc3\xa9", 3, false, "h\xc3\xa9");
    clean("h\xc3\xa9", 3, true, "h?");
    clean("", 0, false, "");
}

static void wrap(const char *text, size_t at, size_t indent, size_t width, const char *expected)
{
    fixture f;
    start(&f, width, false);
    text_wrap(&f.out, str_c(text), at, indent, width);
    finish(&f, expected);
}

static void test_wrap(void **state)
{
    (void)state;
    wrap("one two three", 0, 2, 7, "one two\n  three");
    wrap("one two three", 4, 2, 10, "one\n  two\n  three");
    wrap("a-very-long-word b", 0, 1, 5, "a-very-long-word\n b");
    wrap("", 0, 2, 10, "");
}

static const column columns[] = {
    {"Name", ALIGN_LEFT, 0, 6, false, false},
    {"Note", ALIGN_LEFT, 2, 0, false, false},
    {"Value", ALIGN_RIGHT, 0, 0, false, false},
    {"", ALIGN_LEFT, 101, 0, true, false},
};

static void small_table(report *r, size_t merge)
{
    table t;
    table_init(&t, r, columns, 4);
    for (int i = 0; i < 2; i++) {
        table_cell(&t, TONE_PLAIN, "%s", i ? "caf\xc3\xa9" : "a long name");
        table_cell(&t, TONE_PLAIN, "note");
        table_cell(&t, TONE_GOOD, "%d", i * 100);
        table_bar(&t, i ? 0.5 : 1, 4);
    }
    assert_int_equal(table_rows(&t), 2);
    table_print(&t, merge);
}

static void table_at(size_t width, bool unicode, const char *expected)
{
    fixture f;
    start(&f, width, unicode);
    small_table(&f.report, 0);
    finish(&f, expected);
}

static void test_table_widths(void **state)
{
    (void)state;
    table_at(40, false,
             "Name         Note  Value\n"
             "------------------------------\n"
             "a long name  note      0  ####\n"
             "caf\xc3\xa9         note    100  ##\n");
    /* the bar goes first */
    table_at(29, false,
             "Name         Note  Value\n"
             "------------------------\n"
             "a long name  note      0\n"
             "caf\xc3\xa9         note    100\n");
    /* then the name is shortened */
    table_at(20, false,
             "Name     Note  Value\n"
             "--------------------\n"
             "a long~  note      0\n"
             "caf\xc3\xa9     note    100\n");
    /* then the note goes, and the name has its room again */
    table_at(18, false,
             "Name         Value\n"
             "------------------\n"
             "a long name      0\n"
             "caf\xc3\xa9           100\n");
    table_at(14, true,
             "Name     Value\n"
             "\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80"
             "\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\xe2\x94\x80\n"
             "a long\xe2\x80\xa6      0\n"
             "caf\xc3\xa9       100\n");
}

static void test_table_markdown(void **state)
{
    fixture f;
    table t;
    (void)state;
    start(&f, 20, true);
    f.report.markdown = true;
    small_table(&f.report, 0);
    table_init(&t, &f.report, columns, 4);
    table_cell(&t, TONE_PLAIN, "a|b *c* _d_ e_f <g>");
    for (int i = 0; i < 3; i++) table_cell(&t, TONE_PLAIN, "%s", "");
    table_print(&t, 0);
    finish(&f, "| Name | Note | Value |\n"
               "| --- | --- | ---: |\n"
               "| a long name | note | **0** |\n"
               "| caf\xc3\xa9 | note | **100** |\n"
               "| Name | Note | Value |\n"
               "| --- | --- | ---: |\n"
               "| a\\|b \\*c\\* \\_d\\_ e_f \\<g\\> |  |  |\n");
}

static void test_table_hostile(void **state)
{
    fixture f;
    table t;
    (void)state;
    start(&f, 80, false);
    table_init(&t, &f.report, columns, 4);
    table_cell(&t, TONE_PLAIN, "%s", "\033]0;title\007\n");
    table_cell(&t, TONE_PLAIN, "%s", "");
    table_cell(&t, TONE_PLAIN, "1");
    table_bar(&t, -1, 4);
    table_print(&t, 0);
    for (const char *p = f.out.ptr; *p; p++) assert_true((unsigned char)*p >= 0x20 || *p == '\n');
    finish(&f, "Name                  Value\n"
               "---------------------------\n"
               "\\x1b]0;title\\x07\\x0a      1\n");
}

static void test_table_merge_and_color(void **state)
{
    fixture f;
    table t;
    (void)state;
    start(&f, 80, false);
    f.report.style.color = true;
    table_init(&t, &f.report, columns, 4);
    for (int i = 0; i < 2; i++) {
        table_cell(&t, TONE_PLAIN, "same");
        table_cell(&t, TONE_PLAIN, "%s", "");
        table_cell(&t, TONE_GOOD, "%d", i);
        table_bar(&t, -1, 4);
    }
    table_print(&t, 1);
    finish(&f, "\033[1mName\033[0m  \033[1mValue\033[0m\n"
               "\033[2m-----------\033[0m\n"
               "same      \033[1;32m0\033[0m\n"
               "          \033[1;32m1\033[0m\n");
}

static void csv(const char *text, const char *expected)
{
    fixture f;
    start(&f, 80, false);
    csv_cell(&f.out, str_c(text));
    finish(&f, expected);
}

static void test_csv(void **state)
{
    (void)state;
    csv("plain", "plain");
    csv("a,b", "\"a,b\"");
    csv("say \"hi\"", "\"say \"\"hi\"\"\"");
    csv("\"", "\"\"\"\"");
    csv(" a", "\" a\"");
    csv("a;b", "\"a;b\"");
    csv("a\r\nb", "a\\x0d\\x0ab"); /* one record stays one line */
    csv("", "");
    csv(NULL, "");
}

typedef struct thing {
    const char *text;
    double x, y;
    int n;
    bool flag;
} thing;

static const field thing_fields[] = {
    {"text", FIELD_TEXT, offsetof(thing, text), false}, {"x", FIELD_NUMBER, offsetof(thing, x), true},
    {"y", FIELD_POSITIVE, offsetof(thing, y), false},   {"n", FIELD_COUNT, offsetof(thing, n), false},
    {"flag", FIELD_BOOL, offsetof(thing, flag), false}, {"none", FIELD_NULL, 0, false},
};

static void test_fields(void **state)
{
    fixture f;
    jsonw j;
    (void)state;
    start(&f, 80, false);
    jsonw_init(&j, &f.out);
    jsonw_array(&j, JSONW_INLINE);
    for (int i = 0; i < 2; i++) {
        jsonw_object(&j, JSONW_INLINE);
        fields_json(&j, thing_fields, 6, &(thing){i ? "" : "a", i ? 2 : -1, i ? 0 : 0.5, 3 * i, i != 0}, i != 0);
        jsonw_end(&j);
    }
    jsonw_finish(&j);
    fields_csv_names(&f.out, "p_", thing_fields, 6, true);
    csv_end(&f.out);
    fields_csv(&f.out, thing_fields, 6, &(thing){"a,b", 1e-7, 0, 0, true}, false, true);
    finish(&f, "[{\"text\": \"a\", \"x\": null, \"y\": 0.5, \"n\": null, \"flag\": false, \"none\": null}, "
               "{\"text\": null, \"x\": null, \"y\": null, \"n\": 3, \"flag\": true, \"none\": null}]\n"
               "p_text,p_x,p_y,p_n,p_flag,p_none\r\n"
               "\"a,b\",1e-07,,,true,");
}

static void test_json(void **state)
{
    fixture f;
    jsonw j;
    (void)state;
    start(&f, 80, false);
    jsonw_init(&j, &f.out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "text");
    jsonw_str(&j, (str){"\"\\/\b\f\n\r\t\x01\x7f\xc3\xa9\xff", 13});
    jsonw_key(&j, "numbers");
    jsonw_array(&j, JSONW_INLINE);
    jsonw_number(&j, 0.1);
    jsonw_number(&j, (double)NAN);
    jsonw_number(&j, -(double)INFINITY);
    jsonw_known(&j, -1);
    jsonw_known(&j, 0);
    jsonw_integer(&j, INT64_MIN);
    jsonw_number(&j, 4089184256.0);
    jsonw_end(&j);
    jsonw_key(&j, "empty");
    jsonw_array(&j, JSONW_LINES);
    jsonw_end(&j);
    jsonw_key(&j, "list");
    jsonw_array(&j, JSONW_LINES);
    jsonw_bool(&j, true);
    jsonw_text(&j, NULL);
    jsonw_finish(&j);
    finish(&f, "{\n"
               "  \"text\": \"\\\"\\\\/\\u0008\\u000c\\n\\r\\t\\u0001\\u007f\xc3\xa9\xef\xbf\xbd\",\n"
               "  \"numbers\": [0.1, null, null, null, 0, -9223372036854775808, 4089184256],\n"
               "  \"empty\": [],\n"
               "  \"list\": [\n"
               "    true,\n"
               "    null\n"
               "  ]\n"
               "}\n");
}

static void test_report(void **state)
{
    fixture f;
    (void)state;
    start(&f, 30, false);
    report_heading(&f.report, 1, "Title\n", "a detail that is long enough");
    report_pair(&f.report, "Label", TONE_BOLD, "%s", "a value that wraps around");
    report_heading(&f.report, 2, "Next", NULL);
    finish(&f, "Title\\x0a  a detail that is\n"
               "  long enough\n"
               "  Label         a value that\n"
               "                wraps around\n"
               "\n"
               "Next\n");
    start(&f, 30, false);
    f.report.markdown = true;
    report_heading(&f.report, 1, "Title", "detail");
    report_pair(&f.report, "Label", TONE_BOLD, "%s", "[x]");
    finish(&f, "## Title\n\ndetail\n\n- **Label:** \\[x\\]\n");
}

/* A comparison of one model with a row that fits and one that doesn't, in the format that `r` asks for. */
static void compare(report *r)
{
    static const pg_model_info info = {
        .name = "net", .format = "onnx", .family = "cnn", .parameters = 1e6, .weights_bytes = 4e6, .macs = -1};
    static const pg_gpu gpu = {.key = "g1", .name = "GPU One"};
    render_row rows[2] = {
        {.model = "net", .path = "some/net.onnx", .gpu = &gpu, .relative = 1, .per_watt = 5, .best_throughput = true}};
    rows[0].p = (pg_prediction){.gpu = "g1",
                                .gpu_name = "GPU One",
                                .gpu_count = 1,
                                .batch = 1,
                                .task = "inference",
                                .precision = "fp16",
                                .runtime = "pytorch",
                                .fits = true,
                                .latency_ms = 2,
                                .latency_low_ms = 1.6,
                                .latency_high_ms = 2.5,
                                .throughput = 500,
                                .throughput_unit = "samples/s",
                                .memory = {.total = 1073741824.0, .weights = 4e6},
                                .memory_capacity = 2147483648.0,
                                .memory_efficiency = 0.5,
                                .compute_utilization = 0.25,
                                .bottleneck = "memory",
                                .power_w = 100,
                                .dram_bytes = 17083729910.0,
                                .basis = "calibrated",
                                .note = "said once"};
    rows[1] = rows[0];
    rows[1].best_throughput = false;
    rows[1].p.batch = 64;
    rows[1].p.fits = false;
    rows[1].p.memory.total = 4294967296.0;
    const render_best best[] = {{"throughput", &rows[0]}, {"batch", &rows[0]}};
    const char *const warnings[] = {"careful"};
    render_group group = {&info, rows, 2, best, 2};
    render_comparison_report(r, &(render_comparison){.groups = &group,
                                                     .count = 1,
                                                     .precision = "fp16",
                                                     .runtime = "pytorch",
                                                     .task = "inference",
                                                     .warnings = {warnings, 1}});
}

static void test_comparison_table(void **state)
{
    fixture f;
    (void)state;
    start(&f, 80, false);
    compare(&f.report);
    finish(&f, "net  onnx, cnn, 1.00 M parameters, - MACs, 3.81 MiB weights\n"
               "\n"
               "GPU  Batch  Latency  Within  Throughput        Memory  Bound by  Util  Power\n"
               "----------------------------------------------------------------------------\n"
               "g1       1  2.00 ms   x1.25       500/s  1.00 / 2 GiB  memory    25 %  100 W\n"
               "        64  too big       -           -  4.00 / 2 GiB  -            -      -\n"
               "g1: said once\n"
               "\n"
               "Best\n"
               "  Throughput    g1, batch 1: 500 samples/s\n"
               "  Best batch    g1 1 (by throughput)\n"
               "  Too big       g1, batch 64: needs 4.00 of 2 GiB\n"
               "\n"
               "Predicted for inference, fp16, pytorch. Latency is that of one step with the\n"
               "whole batch. Within x1.5: four times in five the true latency lies between the\n"
               "figure / 1.5 and the figure x 1.5.\n");
}

static void test_comparison_json(void **state)
{
    fixture f;
    (void)state;
    start(&f, 80, false);
    f.report.format = RENDER_JSON;
    compare(&f.report);
    assert_non_null(strstr(f.out.ptr, "\"latency_ms\": 2,\n"));
    assert_non_null(strstr(f.out.ptr, "\"fits\": false,\n"));
    /* what doesn't fit has no speed, but the memory that it needs */
    const char *second = strstr(f.out.ptr, "\"batch\": 64");
    assert_non_null(second);
    assert_non_null(strstr(second, "\"latency_ms\": null"));
    assert_non_null(strstr(second, "\"bottleneck\": null"));
    assert_non_null(strstr(second, "\"dram_bytes\": null"));
    assert_non_null(strstr(f.out.ptr, "\"dram_bytes\": 17083729910,\n"));
    assert_non_null(strstr(f.out.ptr, "\"path\": \"some/net.onnx\",\n"));
    assert_non_null(strstr(second, "\"memory_bytes\": 4294967296"));
    assert_non_null(strstr(f.out.ptr, "\"by\": \"throughput\""));
    assert_non_null(strstr(f.out.ptr, "\"warnings\": [\n    \"careful\"\n  ]\n}\n"));
    buffer_free(&f.out);
    arena_free(&f.memory);
}

/* A note that is among the warnings was said already. */
static void test_notes(void **state)
{
    fixture f;
    static const char *const said[] = {"said before"};
    render_row rows[2] = {{.p = {.gpu = "g1", .note = "said before"}}, {.p = {.gpu = "g2", .note = "news"}}};
    (void)state;
    start(&f, 80, false);
    render_notes(&f.report, rows, 2, (render_warnings){said, 1});
    finish(&f, "g2: news\n");
}

/* Whatever allocation fails, nothing crashes and the buffer says so. */
static void test_out_of_memory(void **state)
{
    (void)state;
    for (int format = RENDER_TABLE; format <= RENDER_MARKDOWN; format++) {
        bool done = false;
        for (long n = 0; !done; n++) {
            fixture f;
            budget b = {n};
            start_with(&f, 80, true, &b);
            f.report.format = (render_format)format;
            f.report.markdown = format == RENDER_MARKDOWN;
            compare(&f.report);
            done = !f.out.failed;
            buffer_free(&f.out);
            arena_free(&f.memory);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_wrap),
        cmocka_unit_test(test_table_widths),
        cmocka_unit_test(test_table_markdown),
        cmocka_unit_test(test_table_hostile),
        cmocka_unit_test(test_table_merge_and_color),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_comparison_table),
        cmocka_unit_test(test_comparison_json),
        cmocka_unit_test(test_notes),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
