/* AWS's bulk price list of EC2 in one region: a table of several hundred megabytes, read line by line.
 *
 *   "FormatVersion","v1.0"                 a few lines of remarks
 *   "SKU","OfferTermCode",...              the names of the columns
 *   "ABC","JRTCKXETXF",...                 a line for each price; quotes in cells are doubled */
#include "price/live_aws.h"

#include <stdlib.h>

enum { LINE_MOST = 64 << 10, CELLS_MOST = 256 };

enum { TERM, UNIT, PRICE, CURRENCY, INSTANCE, SYSTEM, TENANCY, CAPACITY, SOFTWARE, MARKET, NEEDED };
static const char *const names[NEEDED] = {
    "TermType",         "Unit",    "PricePerUnit",   "Currency",          "Instance Type",
    "Operating System", "Tenancy", "CapacityStatus", "Pre Installed S/W", "MarketOption"};

typedef struct aws {
    live *l;
    const char *region;
    char *line;
    size_t len;
    bool begun; /* the names of the columns are known */
    size_t place[NEEDED], columns;
    str cells[CELLS_MOST];
} aws;

/* Cells of a line, in place; CELLS_MOST + 1: too many, or a quote that does not end. */
static size_t split(char *line, size_t len, str *cells)
{
    size_t n = 0, i = 0;
    for (;;) {
        char *to = line + i;
        size_t size = 0;
        bool quoted = i < len && line[i] == '"';
        if (n == CELLS_MOST) return CELLS_MOST + 1;
        i += quoted;
        for (; i < len; i++) {
            bool quote = line[i] == '"';
            if (quoted && quote && i + 1 < len && line[i + 1] == '"') i++;
            else if (quoted ? quote : line[i] == ',') break;
            to[size++] = line[i];
        }
        if (quoted && i++ >= len) return CELLS_MOST + 1;
        cells[n++] = (str){to, size};
        if (i >= len) return n;
        if (line[i++] != ',') return CELLS_MOST + 1;
    }
}

static bool take_names(aws *w, size_t n, pg_error *e)
{
    if (!str_is(w->cells[0], "SKU")) return true; /* remarks */
    for (size_t k = 0; k < NEEDED; k++) {
        size_t i = 0;
        while (i < n && !str_is(w->cells[i], names[k])) i++;
        if (i == n) {
            error_set(e, PG_E_FORMAT, "the price list has no column '%s'", names[k]);
            return false;
        }
        w->place[k] = i;
    }
    w->columns = n;
    w->begun = true;
    return true;
}

static bool take_price(aws *w, pg_error *e)
{
    str v[NEEDED];
    for (size_t k = 0; k < NEEDED; k++) v[k] = w->cells[w->place[k]];
    bool wanted = str_is(v[TERM], "OnDemand") && str_is(v[SYSTEM], "Linux") && str_is(v[TENANCY], "Shared") &&
                  str_is(v[CAPACITY], "Used") && str_is(v[MARKET], "OnDemand") && str_is(v[UNIT], "Hrs") &&
                  (!v[SOFTWARE].len || str_is(v[SOFTWARE], "NA"));
    const pg_offer *kind = wanted ? live_instance(w->l, v[INSTANCE]) : NULL;
    if (!kind) return true;
    if (!str_is(v[CURRENCY], "USD")) {
        error_set(e, PG_E_FORMAT, "the price of %s is in '%.*s', not in USD", kind->instance,
                  v[CURRENCY].len < 12 ? (int)v[CURRENCY].len : 12, v[CURRENCY].ptr);
        return false;
    }
    char text[32], *end = text;
    format_text(text, sizeof text, "%.*s", STR_ARG(v[PRICE]));
    double usd = v[PRICE].len && v[PRICE].len < sizeof text ? strtod(text, &end) : -1;
    if (end == text || *end) {
        error_set(e, PG_E_FORMAT, "the price of %s is no number: '%s'", kind->instance, text);
        return false;
    }
    return live_add(w->l, kind, str_c(w->region), false, usd, e) == PG_E_OK;
}

static bool take_line(aws *w, pg_error *e)
{
    while (w->len && w->line[w->len - 1] == '\r') w->len--;
    if (!w->len) return true;
    size_t n = split(w->line, w->len, w->cells);
    w->len = 0;
    if (!w->begun && n <= CELLS_MOST) return take_names(w, n, e);
    if (n == w->columns && w->begun) return take_price(w, e);
    error_set(e, PG_E_FORMAT, "a line of the price list makes no sense");
    return false;
}

static bool take(void *ud, const char *data, size_t n, pg_error *e)
{
    aws *w = ud;
    while (n) {
        const char *end = memchr(data, '\n', n);
        size_t part = end ? (size_t)(end - data) : n;
        if (part > LINE_MOST - w->len) {
            error_set(e, PG_E_FORMAT, "a line of the price list is longer than %d bytes", LINE_MOST);
            return false;
        }
        memcpy(w->line + w->len, data, part);
        w->len += part;
        if (end && !take_line(w, e)) return false;
        part += end != NULL;
        data += part;
        n -= part;
    }
    return true;
}

static pg_code read_region(live *l, const char *region, pg_error *e)
{
    aws *w = ARENA_NEW(l->a, aws);
    const char *url = live_text(l, "%s/offers/v1.0/aws/AmazonEC2/current/%s/index.csv", l->base, region);
    char *line = arena_alloc(l->a, LINE_MOST);
    if (!w || !url || !line) return error_nomem(e, l->a);
    *w = (aws){.l = l, .region = region, .line = line};
    pg_code code = l->from.stream(l->from.ud, url, take, w, e);
    if (!code && w->len && !take_line(w, e)) code = e->code; /* the last one may end without a line break */
    if (!code && !w->begun) code = error_set(e, PG_E_FORMAT, "the answer is no price list");
    return code;
}

/* Spot prices need the user's keys. That they don't come is no reason to drop the others. */
static pg_code read_spot(live *l, const char *region, pg_error *e)
{
    aws_keys keys;
    pg_error why = PG_ERROR_INIT;
    pg_code code = aws_keys_read(&keys, l->a, &why);
    if (!code && !keys.id) {
        format_text(l->note, sizeof l->note,
                    "spot prices stay as they were: there are no keys of AWS (AWS_ACCESS_KEY_ID)");
        return PG_E_OK;
    }
    if (!code) code = aws_spot(l, &keys, region, &why);
    if (code == PG_E_NOMEM) return error_set(e, code, "%s", why.text);
    if (code) format_text(l->note, sizeof l->note, "spot prices stay as they were: %s", why.text);
    return PG_E_OK;
}

pg_code live_aws(live *l, pg_error *e)
{
    static const char *const usual[] = {AWS_USUAL_REGION};
    pg_code code = PG_E_OK;
    const char *const *regions = l->region_count ? l->regions : usual;
    for (size_t i = 0; i < (l->region_count ? l->region_count : 1) && !code; i++) {
        code = read_region(l, regions[i], e);
        if (!code) code = read_spot(l, regions[i], e);
    }
    return code ? code : live_finish(l, "AWS bulk price list", e);
}
