/* prices update: today's prices from the clouds. */
#include <stdio.h>

#include "base/json.h"
#include "cli/cli.h"

enum { KEY_MOST = 512, FRESH_HOURS = 12 };

/* The first line of --api-key. */
static int read_key(cli *c, const char **key)
{
    *key = NULL;
    if (!c->args.api_key) return EXIT_OK;
    char *text = arena_alloc(&c->memory, KEY_MOST);
    FILE *f = fopen(c->args.api_key, "rb");
    if (!f || !text) {
        if (f) fclose(f);
        return text ? cli_fail("%s: cannot be read", c->args.api_key) : cli_fail("out of memory");
    }
    size_t n = fread(text, 1, KEY_MOST - 1, f);
    fclose(f);
    text[n] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    if (!text[0]) return cli_fail("%s: there is no key in its first line", c->args.api_key);
    *key = text;
    return EXIT_OK;
}

/* Not an error: nobody asked for this cloud by its name. */
static bool is_passed_over(const cli *c, const pg_live_result *r)
{
    return r->skipped && !c->args.clouds.count;
}

static void results_json(cli *c, const pg_live_report *live)
{
    jsonw j;
    jsonw_init(&j, &c->out);
    jsonw_object(&j, JSONW_LINES);
    jsonw_key(&j, "clouds");
    jsonw_array(&j, JSONW_LINES);
    for (size_t i = 0; i < live->count; i++) {
        const pg_live_result *r = &live->clouds[i];
        jsonw_object(&j, JSONW_INLINE);
        jsonw_key(&j, "cloud");
        jsonw_text(&j, r->cloud);
        jsonw_key(&j, "prices");
        jsonw_integer(&j, (int64_t)r->offers);
        jsonw_key(&j, "as_of");
        jsonw_text(&j, r->offers ? cli_today(c) : NULL);
        jsonw_key(&j, "skipped");
        jsonw_bool(&j, r->skipped);
        jsonw_key(&j, "error");
        jsonw_text(&j, r->error.code ? r->error.text : NULL);
        jsonw_key(&j, "fresh");
        jsonw_bool(&j, r->fresh);
        jsonw_end(&j);
    }
    jsonw_end(&j);
    render_warnings_json(&j, cli_warnings(c));
    jsonw_finish(&j);
}

/* EXIT_FAILED where prices that were asked for are the old ones. */
static int show_results(cli *c, const pg_live_report *live)
{
    int status = EXIT_OK;
    size_t good = 0; /* clouds whose prices are new */
    bool data = c->report.format == RENDER_JSON;
    for (size_t i = 0; i < live->count; i++) {
        const pg_live_result *r = &live->clouds[i];
        good += r->offers || r->fresh;
        if (is_passed_over(c, r)) {
            cli_warn(c, r->cloud, r->error.text);
        } else if (r->error.code) {
            cli_error(&r->error, r->cloud);
            status = EXIT_FAILED;
        } else if (r->fresh && !data) {
            report_text(&c->report, TONE_PLAIN, "%s: fetched within the last %d hours; --refresh asks again", r->cloud,
                        FRESH_HOURS);
        } else if (!data) {
            report_text(&c->report, TONE_PLAIN, "%s: %zu price%s of %s", r->cloud, r->offers, r->offers == 1 ? "" : "s",
                        cli_today(c));
        }
        if (r->note[0]) cli_warn(c, r->cloud, r->note);
    }
    if (live->rebuilt) cli_warn(c, NULL, "the prices of earlier updates were damaged; only those of this one are kept");
    if (!good && status == EXIT_OK) status = cli_fail("nothing was fetched");
    if (data) results_json(c, live);
    return status;
}

int cli_update_prices(cli *c)
{
    pg_error e = PG_ERROR_INIT;
    pg_live_report live;
    cli_progress progress;
    const char *key;
    int status = read_key(c, &key);
    if (status != EXIT_OK) return status;
    const char *today = cli_today(c);
    if (!today) return cli_fail("out of memory");
    cli_progress_begin(&progress);
    pg_code code = pg_prices_update(&live, c->catalog,
                                    &(pg_live_options){.clouds = c->args.clouds.items,
                                                       .cloud_count = c->args.clouds.count,
                                                       .regions = c->args.regions.items,
                                                       .region_count = c->args.regions.count,
                                                       .today = today,
                                                       .gcp_key = key,
                                                       .max_age_s = c->args.refresh ? 0 : FRESH_HOURS * 3600,
                                                       .progress = cli_progress_show,
                                                       .progress_ud = &progress},
                                    &e);
    cli_progress_end(&progress);
    if (code) return cli_error(&e, NULL);
    status = show_results(c, &live);
    int written = cli_finish_output(c);
    return written == EXIT_OK ? status : written;
}
