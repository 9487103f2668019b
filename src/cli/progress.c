/* What is being fetched: a line on a terminal that goes away again. Nothing else ever sees it. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/number.h"
#include "cli/cli.h"

#define PATIENCE_S 0.5 /* what is done sooner needs no progress */
#define REDRAW_S 0.1

static double now(void)
{
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void cli_progress_begin(cli_progress *p)
{
    *p = (cli_progress){.start_s = now()};
}

void cli_progress_show(void *ud, const char *what, uint64_t done, uint64_t total)
{
    cli_progress *p = ud;
    double t = now();

    if (t - p->start_s < PATIENCE_S || t - p->drawn_s < REDRAW_S || !isatty(2)) return;
    p->drawn_s = t;
    p->shown = true;
    char have[NUMBER_SIZE], all[NUMBER_SIZE];
    number_bytes(have, sizeof have, (double)done);
    number_bytes(all, sizeof all, total ? (double)total : -1);
    render_style style = cli_style(2);
    buffer name;
    buffer_init(&name, cli_allocator);
    text_clean(&name, str_c(what), style.ascii_names);
    size_t room = style.width > 50 ? style.width - 50 : 10, len = name.len;
    if (!name.failed && name.ptr) /* its end says more than its beginning */
        fprintf(stderr, "\r\033[Kfetching %s%s: %s of %s", len > room ? "..." : "",
                name.ptr + (len > room ? len - room : 0), have, all);
    fflush(stderr);
    buffer_free(&name);
}

void cli_progress_end(cli_progress *p)
{
    if (p->shown) fprintf(stderr, "\r\033[K");
    p->shown = false;
}
