/* Spot prices of AWS: EC2's DescribeSpotPriceHistory from now on, which is the present price in each zone.
 *
 *   <item><instanceType>g4dn.xlarge</instanceType>...<spotPrice>0.21</spotPrice>...</item>... <nextToken>...</nextToken> */
#define _POSIX_C_SOURCE 200809L
#include "price/live_aws.h"

#include <stdlib.h>
#include <time.h>

static str element(str text, const char *name)
{
    char open[40], close[40];
    str none = {NULL, 0};
    size_t n = format_text(open, sizeof open, "<%s>", name), m = format_text(close, sizeof close, "</%s>", name);
    for (size_t i = 0; i + n <= text.len; i++) {
        if (memcmp(text.ptr + i, open, n) != 0) continue;
        for (size_t k = i + n; k + m <= text.len; k++)
            if (memcmp(text.ptr + k, close, m) == 0) return (str){text.ptr + i + n, k - i - n};
        return none;
    }
    return none;
}

static bool holds(str text, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= text.len; i++)
        if (memcmp(text.ptr + i, part, n) == 0) return true;
    return false;
}

static pg_code take_items(live *l, const char *region, str text, double *lowest, pg_error *e)
{
    for (str item; (item = element(text, "item")).ptr != NULL;) {
        char number[32], *end = number;
        text = (str){item.ptr + item.len, text.len - (size_t)(item.ptr + item.len - text.ptr)};
        const pg_offer *kind = live_instance(l, element(item, "instanceType"));
        str price = element(item, "spotPrice");
        if (!kind) continue;
        format_text(number, sizeof number, "%.*s", STR_ARG(price));
        double usd = price.len && price.len < sizeof number ? strtod(number, &end) : -1;
        if (end == number || *end || !price_sane(usd))
            return error_set(e, PG_E_FORMAT, "the spot price of %s in %s makes no sense: '%s'", kind->instance, region,
                             price.len ? number : "");
        for (size_t i = 0; i < l->kind_count; i++)
            if (l->kinds[i] == kind && (lowest[i] <= 0 || usd < lowest[i])) lowest[i] = usd;
    }
    return PG_E_OK;
}

/* "2026-11-21T17%3A00%3A00Z" and "20261121T170000Z" */
static bool clock_stamps(char start[32], char stamp[24])
{
    struct tm tm;
    time_t now = time(NULL);
    return gmtime_r(&now, &tm) && strftime(start, 32, "%Y-%m-%dT%H%%3A%M%%3A%SZ", &tm) &&
           strftime(stamp, 24, "%Y%m%dT%H%M%SZ", &tm);
}

static const char *page_address(live *l, const aws_keys *keys, const char *region, const char *token)
{
    char start[32], stamp[24];
    size_t n = 0;
    const char **query = ARENA_ARRAY(l->a, const char *, l->kind_count + 8);
    if (!query || !clock_stamps(start, stamp)) return NULL;
    query[n++] = "Action=DescribeSpotPriceHistory";
    query[n++] = "Version=2016-11-15";
    query[n++] = "ProductDescription.1=Linux%2FUNIX";
    query[n++] = "MaxResults=1000";
    query[n++] = live_text(l, "StartTime=%s", start);
    if (token[0]) query[n++] = live_text(l, "NextToken=%s", token);
    for (size_t i = 0; i < l->kind_count; i++)
        query[n++] = live_text(l, "InstanceType.%zu=%s", i + 1, l->kinds[i]->instance);
    return l->a->failed ? NULL : aws_sign(l, keys, l->spot_base, region, stamp, query, n);
}

pg_code aws_spot(live *l, const aws_keys *keys, const char *region, pg_error *e)
{
    double *lowest = ARENA_ARRAY(l->a, double, l->kind_count + 1);
    const char *token = "", *given = getenv("PHANTOM_GPU_AWS_SPOT");
    l->spot_base = given && given[0] ? given : live_text(l, "https://ec2.%s.amazonaws.com", region);
    pg_code code = lowest && l->spot_base ? PG_E_OK : error_nomem(e, l->a);
    for (int pages = 0; !code; pages++) {
        str text = {NULL, 0};
        const char *url = page_address(l, keys, region, token);
        if (!url) return l->a->failed ? error_nomem(e, l->a) : error_set(e, PG_E_CONFIG, "AWS's keys make no sense");
        if (pages == LIVE_PAGES_MOST) return error_set(e, PG_E_LIMIT, "there are more than %d pages", LIVE_PAGES_MOST);
        code = l->from.page(l->from.ud, url, &text, e);
        if (code) return code;
        if (!holds(text, "<spotPriceHistorySet"))
            return error_set(e, PG_E_FORMAT, "the answer has no 'spotPriceHistorySet'");
        code = take_items(l, region, text, lowest, e);
        str next = element(text, "nextToken");
        if (!next.len) break;
        const char *again = str_copy(l->a, next).ptr;
        again = again ? aws_encode(l, again) : NULL;
        if (!again) return error_nomem(e, l->a);
        if (!strcmp(again, token)) return error_set(e, PG_E_FORMAT, "a page comes again and again");
        token = again;
    }
    for (size_t i = 0; i < l->kind_count && !code; i++)
        if (lowest[i] > 0) code = live_add(l, l->kinds[i], str_c(region), true, lowest[i], e);
    return code;
}
