/* Each built-in model, written as an ONNX file and read again, is the same model: to its weights, operators and cost. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "phantom/phantom.h"
#include "support/gpus.h"
#include "support/onnx_write.h"
#include "zoo/zoo.h"

static char path[64];

static pg_model *open_model(const char *name)
{
    pg_error e = PG_ERROR_INIT;
    pg_model *m;
    if (pg_model_open(&m, name, NULL, &e)) fail_msg("%s: %s: %s", name, e.path, e.text);
    return m;
}

static void write_model(const char *name, const onnx_write_options *options)
{
    pg_error e = PG_ERROR_INIT;
    if (onnx_write_builtin(name, path, options, &e)) fail_msg("%s: %s", name, e.text);
}

static double file_size(void)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (double)st.st_size;
}

static void same_tensors(const char *name, const pg_tensor *a, size_t n_a, const pg_tensor *b, size_t n_b)
{
    if (n_a != n_b) fail_msg("%s: %zu inputs or outputs became %zu", name, n_a, n_b);
    for (size_t i = 0; i < n_a; i++) {
        assert_string_equal(a[i].name, b[i].name);
        assert_string_equal(a[i].dtype, b[i].dtype);
        assert_int_equal(a[i].rank, b[i].rank);
        for (int k = 0; k < a[i].rank; k++) { /* NULL: not a simple form of the sizes given */
            const char *x = a[i].dims[k].text, *y = b[i].dims[k].text;
            if (!x != !y || (x && strcmp(x, y) != 0))
                fail_msg("%s: %s: dim %d is %s, was %s", name, a[i].name, k, y ? y : "?", x ? x : "?");
        }
    }
}

/* Operators by name. Files call the attention operator as ONNX does. */
static void same_operators(const char *name, const pg_model_info *a, const pg_model_info *b)
{
    assert_true(a->operators == b->operators);
    for (size_t i = 0; i < a->operator_count_count; i++) {
        const char *kind = a->operator_counts[i].name;
        uint64_t count = 0;
        if (!strcmp(kind, "ScaledDotProductAttention")) kind = "Attention";
        for (size_t k = 0; k < b->operator_count_count; k++)
            if (!strcmp(kind, b->operator_counts[k].name)) count = b->operator_counts[k].count;
        if (count != a->operator_counts[i].count)
            fail_msg("%s: %llu of %s, not %llu", name, (unsigned long long)count, kind,
                     (unsigned long long)a->operator_counts[i].count);
    }
}

/* Both at the same length of input, since a file says nothing of the usual one. */
static pg_prediction predict(const pg_model *m)
{
    pg_error e = PG_ERROR_INIT;
    pg_plan *plan;
    pg_prediction p;
    pg_request r = {.batch = 2, .sequence = pg_model_describe(m)->sequence_symbol ? 96 : 0};
    if (pg_plan_open(&plan, m, gpus, &r, &e)) fail_msg("%s: %s", pg_model_describe(m)->name, e.text);
    assert_int_equal(pg_plan_predict(plan, pg_catalog_find(gpus, "h100", &e), &p, &e), PG_E_OK);
    pg_plan_free(plan);
    return p;
}

static void same_model(const char *name)
{
    pg_model *a = open_model(name), *b = open_model(path);
    const pg_model_info *x = pg_model_describe(a), *y = pg_model_describe(b);
    if (x->parameters != y->parameters) fail_msg("%s: %.0f parameters became %.0f", name, x->parameters, y->parameters);
    if (x->weights_bytes != y->weights_bytes)
        fail_msg("%s: %.0f bytes became %.0f", name, x->weights_bytes, y->weights_bytes);
    if (x->sequence == y->sequence && x->macs != y->macs) fail_msg("%s: %.0f MACs became %.0f", name, x->macs, y->macs);
    assert_string_equal(y->format, "onnx");
    assert_int_equal(y->unknown_operator_count, 0);
    same_operators(name, x, y);
    same_tensors(name, x->inputs, x->input_count, y->inputs, y->input_count);
    same_tensors(name, x->outputs, x->output_count, y->outputs, y->output_count);
    pg_prediction p = predict(a), q = predict(b);
    if (p.flops != q.flops) fail_msg("%s: %.0f operations became %.0f", name, p.flops, q.flops);
    if (p.dram_bytes != q.dram_bytes)
        fail_msg("%s: %.0f bytes of traffic became %.0f", name, p.dram_bytes, q.dram_bytes);
    pg_model_free(a);
    pg_model_free(b);
}

static void weights_of_full_size(void **state)
{
    (void)state;
    static const char *const names[] = {"resnet50", "mobilenet_v2", "bert-base-uncased", "vit_b_16", "gpt2"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pg_model *m = open_model(names[i]);
        double weights = pg_model_describe(m)->weights_bytes;
        pg_model_free(m);
        write_model(names[i], NULL);
        assert_true(file_size() > weights && file_size() < weights + 200000);
        same_model(names[i]);
    }
}

/* The writer knows no loops, and ONNX no dims that are more than a name and no weights of a fraction of a bit more than their type. */
static bool can_be_written(const char *name)
{
    const zoo_entry *z = zoo_find(str_c(name), NULL);
    pg_model *m = open_model(name);
    const pg_model_info *info = pg_model_describe(m);
    bool can = !(z->config && strstr(z->config, "quantization_config"));
    for (size_t i = 0; i < info->operator_count_count; i++) can &= strcmp(info->operator_counts[i].name, "Loop") != 0;
    for (size_t i = 0; i < info->input_count; i++)
        for (int k = 0; k < info->inputs[i].rank; k++) can &= !strpbrk(info->inputs[i].dims[k].text, "*+");
    pg_model_free(m);
    return can;
}

static void every_builtin_model(void **state)
{
    (void)state;
    pg_builtin b;
    for (size_t i = 0; pg_builtin_at(i, &b); i++) {
        if (!can_be_written(b.name)) continue;
        write_model(b.name, &(onnx_write_options){.no_weights = true});
        same_model(b.name);
    }
}

static void padding_is_no_part_of_the_model(void **state)
{
    (void)state;
    write_model("resnet18", &(onnx_write_options){.no_weights = true, .pad = true, .size = 50000000});
    assert_true(file_size() > 50e6 && file_size() < 50.1e6);
    same_model("resnet18");
}

static int set_up(void **state)
{
    format_text(path, sizeof path, "/tmp/phantom-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 || close(fd) || open_gpus(state);
}

static int tear_down(void **state)
{
    (void)state;
    pg_catalog_free(gpus);
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weights_of_full_size),
        cmocka_unit_test(every_builtin_model),
        cmocka_unit_test(padding_is_no_part_of_the_model),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
