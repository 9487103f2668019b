#include "price/market.h"

#include <stdlib.h>

static str next_line(price_table *t)
{
    const char *end = t->rest.len ? memchr(t->rest.ptr, '\n', t->rest.len) : NULL;
    str line = {t->rest.ptr, end ? (size_t)(end - t->rest.ptr) : t->rest.len};
    size_t taken = line.len + (end != NULL);
    t->rest = (str){t->rest.ptr + taken, t->rest.len - taken};
    t->line++;
    while (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    return line;
}

static size_t split(str line, str *out)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i <= line.len; i++) {
        if (i < line.len && line.ptr[i] != ',') continue;
        if (n < PRICE_COLUMNS) out[n] = (str){line.ptr + at, i - at};
        n++;
        at = i + 1;
    }
    return n;
}

/* "#source 3 some text" */
static void take_source(price_table *t, str line)
{
    size_t n = 0, at = sizeof "#source " - 1;
    for (; at < line.len && line.ptr[at] >= '0' && line.ptr[at] <= '9' && n < PRICE_SOURCES; at++)
        n = n * 10 + (size_t)(line.ptr[at] - '0');
    if (at >= line.len || n >= PRICE_SOURCES) return;
    t->sources[n] = str_copy(t->a, (str){line.ptr + at + 1, line.len - at - 1}).ptr;
}

pg_code price_table_open(price_table *t, arena *a, str text, pg_error *e)
{
    *t = (price_table){.a = a, .rest = text};
    while (t->rest.len) {
        str line = next_line(t);
        if (str_starts(line, "#source ")) take_source(t, line);
        if (!line.len || line.ptr[0] == '#') continue;
        t->columns = split(line, t->names);
        if (t->columns > PRICE_COLUMNS) break;
        return PG_E_OK;
    }
    return error_set(e, PG_E_FORMAT, "is no table of prices");
}

int price_table_next(price_table *t)
{
    while (t->rest.len) {
        str line = next_line(t);
        if (!line.len || line.ptr[0] == '#') continue;
        return split(line, t->cells) == t->columns ? 1 : -1;
    }
    return 0;
}

str price_table_cell(const price_table *t, const char *name)
{
    for (size_t i = 0; i < t->columns; i++)
        if (str_is(t->names[i], name)) return t->cells[i];
    return (str){NULL, 0};
}

double price_table_number(const price_table *t, const char *name)
{
    char text[64], *end;
    str cell = price_table_cell(t, name);
    if (!cell.len || cell.len >= sizeof text) return -1;
    memcpy(text, cell.ptr, cell.len);
    text[cell.len] = '\0';
    double x = strtod(text, &end);
    return *end || !isfinite(x) || x < 0 ? -1 : x;
}

const char *price_table_source(const price_table *t)
{
    double n = price_table_number(t, "source");
    return n >= 0 && n < PRICE_SOURCES ? t->sources[(size_t)n] : NULL;
}

/* Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last. */
static int days_from_civil(int y, int m, int d)
{
    y -= m <= 2;
    int era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

int price_day(str date)
{
    int part[3] = {0}, digits = 0, at = 0;
    static const int wanted[3] = {4, 2, 2};
    for (size_t i = 0; i < date.len; i++) {
        char c = date.ptr[i];
        if (c == '-' && at < 2 && digits == wanted[at]) {
            at++;
            digits = 0;
        } else if (c >= '0' && c <= '9' && digits < wanted[at]) {
            part[at] = part[at] * 10 + (c - '0');
            digits++;
        } else {
            return -1;
        }
    }
    if (at != 2 || digits != 2 || part[0] < 1970 || part[1] < 1 || part[1] > 12 || part[2] < 1 || part[2] > 31)
        return -1;
    return days_from_civil(part[0], part[1], part[2]);
}
