/* Several requests at once, for models that lie in many files. */
#include "hub/http_internal.h"

enum { AT_ONCE = 8, POLL_MS = 1000 };

typedef struct lane {
    CURL *handle;
    http_job *job; /* NULL: free */
    const char *url;
    struct curl_slist *headers;
    int hops;
    exchange x;
} lane;

static void release(http *h, CURLM *multi, lane *l)
{
    h->curl->multi_remove_handle(multi, l->handle);
    h->curl->slist_free_all(l->headers);
    l->headers = NULL;
    l->job = NULL;
}

static bool begin(http *h, CURLM *multi, lane *l, http_job *job, const char *url)
{
    l->job = job;
    l->url = url;
    l->x = (exchange){.h = h, .sink = &job->sink, .wrong = PG_ERROR_INIT};
    if (exchange_set_up(&l->x, l->handle, url, &l->headers) && h->curl->multi_add_handle(multi, l->handle) == CURLM_OK)
        return true;
    h->curl->slist_free_all(l->headers);
    l->headers = NULL;
    l->job = NULL;
    return false;
}

/* The end of a request, or its next hop. */
static void end(http *h, CURLM *multi, lane *l, CURLcode result)
{
    pg_error e = PG_ERROR_INIT;
    bool again;
    http_job *job = l->job;
    const char *url = l->url;
    pg_code code = exchange_conclude(&l->x, result, url, &again, &e);
    const char *next = exchange_next(&l->x, url, l->hops++, &job->result, &e);
    int status = l->x.answer.status;
    release(h, multi, l);
    if (code || e.code) return;
    if (next) begin(h, multi, l, job, next);
    else job->done = status == 200 || status == 206;
}

static void run(http *h, CURLM *multi, lane *lanes, http_job *jobs, size_t count)
{
    size_t next = 0;
    for (int running = 1; running;) {
        for (size_t i = 0; i < AT_ONCE && next < count; i++) {
            if (lanes[i].job) continue;
            lanes[i].hops = 0;
            if (!begin(h, multi, &lanes[i], &jobs[next], jobs[next].url)) return;
            next++;
        }
        CURLMsg *m;
        int left;
        bool ended = false;
        if (h->curl->multi_perform(multi, &running) != CURLM_OK) return;
        while ((m = h->curl->multi_info_read(multi, &left)) != NULL) {
            CURL *handle = m->easy_handle;
            CURLcode result = m->data.result;
            for (size_t i = 0; m->msg == CURLMSG_DONE && i < AT_ONCE; i++)
                if (lanes[i].handle == handle && lanes[i].job) {
                    end(h, multi, &lanes[i], result);
                    break;
                }
            ended = true;
        }
        if (ended) running = 1; /* what the next hop or job begins is not counted yet */
        else if (running) h->curl->multi_poll(multi, NULL, 0, POLL_MS, NULL);
    }
}

void http_get_many(http *h, http_job *jobs, size_t count)
{
    lane *lanes = ARENA_ARRAY(h->a, lane, AT_ONCE);
    CURLM *multi = lanes ? h->curl->multi_init() : NULL;
    bool ok = multi != NULL;
    for (size_t i = 0; ok && i < AT_ONCE; i++) ok = (lanes[i].handle = h->curl->easy_init()) != NULL;
    if (ok) run(h, multi, lanes, jobs, count);
    for (size_t i = 0; lanes && i < AT_ONCE; i++) {
        if (lanes[i].job) release(h, multi, &lanes[i]);
        if (lanes[i].handle) h->curl->easy_cleanup(lanes[i].handle);
    }
    if (multi) h->curl->multi_cleanup(multi);
}
