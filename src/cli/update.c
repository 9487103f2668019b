/* prices update: today's prices from the clouds. */
#include <stdio.h>

#include "cli/cli.h"

enum { KEY_MOST = 512 };

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

/* What became of one cloud; false: its prices are the old ones though they were asked for. */
static bool report_cloud(cli *c, const pg_live_result *r)
{
    if (r->skipped && !c->args.clouds.count) {
        cli_warn(c, r->cloud, r->error.text);
        return true;
    }
    if (r->error.code) {
        cli_error(&r->error, r->cloud);
        return false;
    }
    report_text(&c->report, TONE_PLAIN, "%s: %zu price%s of %s", r->cloud, r->offers, r->offers == 1 ? "" : "s",
                cli_today(c));
    return true;
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
                                                       .progress = cli_progress_show,
                                                       .progress_ud = &progress},
                                    &e);
    cli_progress_end(&progress);
    size_t fetched = 0;
    bool good = true;
    if (code) return cli_error(&e, NULL);
    for (size_t i = 0; i < live.count; i++) {
        good = report_cloud(c, &live.clouds[i]) && good;
        fetched += live.clouds[i].offers;
    }
    if (live.rebuilt) cli_warn(c, NULL, "the prices of earlier updates were damaged; only those of this one are kept");
    if (!fetched && good) {
        good = false;
        cli_fail("nothing was fetched");
    }
    status = cli_finish_output(c);
    return status == EXIT_OK && !good ? EXIT_FAILED : status;
}
