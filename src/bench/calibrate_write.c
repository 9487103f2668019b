/* The calibrated profile as a file of the user's. Only what the rows speak of is in it: everything else stays as it is built in. */
#include "bench/calibrate.h"

const char *const calibrate_families[CALIBRATE_FAMILIES] = {"cnn", "transformer", "rnn"};

/* A comment holds no line breaks, whatever a file's name does. */
static void put_text(buffer *out, const char *text)
{
    for (const char *p = text ? text : ""; *p; p++) buffer_char(out, (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
}

static void put_number(buffer *out, const char *name, double x, const char *comment)
{
    char number[40];
    if (!(x > 0)) return;
    format_double(number, sizeof number, x);
    buffer_format(out, "%s = %s  # %s\n", name, number, comment);
}

/* The days between which the rows were measured, as far as they say. */
static void put_dates(buffer *out, const calibration *c)
{
    const char *first = NULL, *last = NULL;
    for (size_t i = 0; i < c->count; i++) {
        const char *date = c->rows[i].left_out ? NULL : c->rows[i].point->row->date;
        if (!date || !date[0]) continue;
        if (!first || strcmp(date, first) < 0) first = date;
        if (!last || strcmp(date, last) > 0) last = date;
    }
    if (!first) return;
    buffer_text(out, ", measured ");
    put_text(out, first);
    if (strcmp(first, last) == 0) return;
    buffer_text(out, " to ");
    put_text(out, last);
}

static void put_header(buffer *out, const calibration *c, const char *const *files, size_t file_count)
{
    buffer_format(out, "# %s, calibrated by phantom-gpu %s. Use it with --hardware-profiles.\n#\n# %zu rows",
                  c->gpu->name, pg_version(), c->used);
    put_dates(out, c);
    buffer_text(out, ", of");
    for (size_t i = 0; i < file_count; i++) {
        buffer_text(out, i ? ", " : " ");
        put_text(out, files[i]);
    }
    buffer_format(out, "; %zu of %zu were left out.\n", c->count - c->used, c->count);
    buffer_format(
        out,
        "# Mean error of rows whose %s was held out: %.1f %% before, %.1f %% after (bias %s%.1f %% and %s%.1f %%).\n",
        c->split, 100 * c->before.mape, 100 * c->after.mape, c->before.bias > 0 ? "+" : "", 100 * c->before.bias,
        c->after.bias > 0 ? "+" : "", 100 * c->after.bias);
    if (!c->better) buffer_format(out, "# It is %s; it was written because --force was given.\n", c->verdict);
}

void calibrate_toml(buffer *out, const calibration *c, const char *const *files, size_t file_count)
{
    put_header(out, c, files, file_count);
    buffer_format(out, "\n[profiles.%s.calibration]\nruntimes = \"%s\"  # under which it was measured\n", c->gpu->key,
                  c->runtimes);
    put_number(out, "host_factor", c->host_factor,
               "times as long as predicted that this host takes to issue operations");
    for (size_t f = 0; f < CALIBRATE_FAMILIES; f++) {
        const calibration_fields *x = &c->families[f];
        if (!x->rows) continue;
        buffer_format(out, "\n[profiles.%s.model_performance.%s]  # %zu rows\n", c->gpu->key, calibrate_families[f],
                      x->rows);
        put_number(out, "memory_efficiency", x->memory_efficiency, "share of the bandwidth peak");
        put_number(out, "architecture_multiplier", x->architecture_multiplier, "speed of everything");
        put_number(out, "interval", x->interval, "80 % of such predictions are within it, by ratio");
    }
}
