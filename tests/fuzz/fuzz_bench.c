/* Any bytes as a benchmark file: rows that were taken hold what the format says, errors are one line and name the file. */
#include "bench/points.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const bench_row *row)
{
    check(row->model && row->model[0] && row->gpu && row->gpu[0] && row->path, "a row names model and GPU");
    check(isfinite(row->value) && row->value > 0, "a value is positive");
    check(row->task < TASK_COUNT && row->metric < METRIC_COUNT && row->layout < LAYOUT_COUNT,
          "a choice is one of its list");
    for (int k = 0; k < BENCH_KEYS; k++) {
        const bench_key *key = &bench_key_table[k];
        if (key->kind != BENCH_COUNT || !(row->given >> k & 1)) continue;
        int64_t x = *(const int64_t *)(const void *)((const char *)row + key->offset);
        check((double)x >= key->low && (double)x <= key->high, "a count is in its range");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_heap heap = {.fail_at = -1};
    bench_rows r;
    pg_error e = PG_ERROR_INIT;
    bench_rows_init(&r, (allocator){heap_resize, &heap});
    if (bench_parse(&r, (const char *)data, size, "fuzz.json", "folder/", &e)) {
        check(e.text[0] && r.count == 0, "an error has a text and leaves no rows");
        check(strcmp(e.source, "fuzz.json") == 0, "an error names the file");
        for (const char *p = e.text; *p; p++) check((unsigned char)*p >= 0x20, "an error is one line");
    }
    for (size_t i = 0; i < r.count; i++) check_row(&r.rows[i]);
    bench_rows_free(&r);
    check(heap.live == 0 && heap.bytes == 0, "all memory is given back");
    return 0;
}
