#define _POSIX_C_SOURCE 200809L
#include "hub/http_internal.h"

#include "hub/text.h"
#include "hub/url.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

enum {
    REDIRECTS_MOST = 8,
    HEADERS_MOST = 256 << 10, /* bytes */
    WAIT_FIRST_MS = 250,      /* doubled for each further attempt */
    WAIT_MOST_MS = 8000,      /* of our own */
    WAIT_ASKED_MOST_S = 30, /* what a server asks for beyond that is an error: nobody waits so long for a prediction */
    WAIT_ALL_MOST_MS = 60000,
    PAGE_MOST = 1 << 20,  /* bytes of an error's page, which is read for the sake of the connection alone */
    SLOWEST = 64,         /* bytes a second over the read timeout */
    AGAIN_AFTER = 1 << 20 /* bytes that make up for a failed attempt */
};

static const char *service(const http *h)
{
    return h->config->service ? h->config->service : "the Hub";
}

uint64_t http_clock_ms(void)
{
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Until the deadline; 0: it is over. */
static long ms_left(const http *h)
{
    uint64_t now = http_clock_ms(), end = h->config->deadline_ms;
    return end > now ? (long)(end - now) : 0;
}

static void refuse(exchange *x, bool lasting, pg_code code, const char *what, uint64_t a, uint64_t b)
{
    x->lasting = lasting;
    error_set(&x->wrong, code, "%s: %s (%llu, not %llu)", x->sink->name, what, (unsigned long long)a,
              (unsigned long long)b);
}

static size_t on_header(char *line, size_t size, size_t n, void *ud)
{
    exchange *x = ud;
    (void)size; /* always 1 */
    x->headers += n;
    if (x->headers > HEADERS_MOST) return 0;
    http_answer_line(&x->answer, (str){line, n});
    return n;
}

/* Holds what the answer says of its body against what is known. */
static bool begin_body(exchange *x)
{
    http_sink *s = x->sink;
    const http_answer *h = &x->answer;
    bool part = h->status == 206;
    uint64_t total = part ? h->total : h->length;
    x->begun = true;
    if (h->encoded) {
        x->lasting = true;
        error_set(&x->wrong, PG_E_FORMAT, "%s: the server packed the bytes although it was asked not to", s->name);
    } else if (h->broken) {
        x->lasting = true;
        error_set(&x->wrong, PG_E_FORMAT, "%s: the server's Content-Length or Content-Range makes no sense", s->name);
    } else if (part && h->first != s->have) {
        refuse(x, true, PG_E_FORMAT, "the server sent another part than was asked for", h->first, s->have);
    } else if (total != ANSWER_UNKNOWN && s->size != ANSWER_UNKNOWN && total != s->size) {
        refuse(x, true, PG_E_FORMAT,
               x->h->config->service ? "the server's size is another than before"
                                     : "the server's size is not the one that the Hub lists",
               total, s->size);
    }
    if (x->wrong.code) return false;
    if (total != ANSWER_UNKNOWN) s->size = total;
    x->skip = part ? 0 : s->have;
    return true;
}

static bool store(exchange *x, const char *data, size_t n)
{
    http_sink *s = x->sink;
    if (s->memory) {
        buffer_put(s->memory, data, n);
        if (s->memory->failed) error_set(&x->wrong, PG_E_NOMEM, "out of memory");
    }
    if (!s->memory && s->take && !s->take(s->take_ud, data, n, &x->wrong) && !x->wrong.code)
        error_set(&x->wrong, PG_E_FORMAT, "%s makes no sense", s->name);
    for (size_t at = 0; !s->memory && !s->take && at < n;) {
        ssize_t did = pwrite(s->fd, data + at, n - at, (off_t)(s->have + at));
        if (did < 0 && errno == EINTR) continue;
        if (did < 0) {
            hub_write_error(&x->wrong, errno, s->name);
            break;
        }
        at += (size_t)did;
    }
    x->lasting = x->wrong.code != PG_E_OK;
    if (x->lasting) return false;
    s->have += n;
    return true;
}

/* Of an object or of its part that is asked for; 0: not known. */
static uint64_t wanted_size(const http_sink *s)
{
    if (s->size == ANSWER_UNKNOWN) return 0;
    return s->most < s->size ? s->most : s->size;
}

static size_t on_body(char *data, size_t size, size_t count, void *ud)
{
    exchange *x = ud;
    http_sink *s = x->sink;
    size_t n = count;
    (void)size; /* always 1 */
    x->h->bytes += n;
    if (!s || (x->answer.status != 200 && x->answer.status != 206)) {
        x->page += n;
        x->stopped = x->page > PAGE_MOST;
        return x->stopped ? 0 : n;
    }
    if (!x->begun && !begin_body(x)) return 0;
    size_t skipped = x->skip < n ? (size_t)x->skip : n;
    x->skip -= skipped;
    uint64_t room = s->most - s->have;
    size_t take = n - skipped < room ? n - skipped : (size_t)room;
    if (take && !store(x, data + skipped, take)) return 0;
    if (x->h->config->progress) x->h->config->progress(x->h->config->progress_ud, s->name, s->have, wanted_size(s));
    x->stopped = s->have == s->most && (take < n - skipped || s->size == ANSWER_UNKNOWN || s->have < s->size);
    return x->stopped && x->answer.status == 200 ? 0 : take < n - skipped ? 0 : n;
}

static const char *user_agent(void)
{
    return "phantom-gpu/" PHANTOM_VERSION;
}

static bool add_header(http *h, struct curl_slist **list, const char *text)
{
    struct curl_slist *longer = text ? h->curl->slist_append(*list, text) : NULL;
    if (longer) *list = longer;
    return longer != NULL;
}

bool exchange_set_up(exchange *x, CURL *p, const char *url, struct curl_slist **headers)
{
    http *h = x->h;
    const curl_api *c = h->curl;
    bool ok = add_header(h, headers, "Accept-Encoding: identity"); /* packed, a CDN would forget the range */
    if (h->config->token && url_same_origin(str_c(url), str_c(h->config->endpoint)))
        ok = add_header(h, headers, hub_text(h->a, "Authorization: Bearer %s", h->config->token)) && ok;
    const http_sink *s = x->sink;
    bool part = s && s->size != ANSWER_UNKNOWN && s->most < s->size;
    if (s && (part || s->have)) {
        char range[96], end[32] = "";
        if (part) format_text(end, sizeof end, "%llu", (unsigned long long)(s->most - 1));
        format_text(range, sizeof range, "Range: bytes=%llu-%s", (unsigned long long)s->have, end);
        ok = add_header(h, headers, range) && ok;
    }
    http_answer_init(&x->answer);
    h->requests += ok;
    c->easy_reset(p);
    c->easy_setopt(p, CURLOPT_URL, url);
    c->easy_setopt(p, CURLOPT_HTTPHEADER, *headers);
    c->easy_setopt(p, CURLOPT_USERAGENT, user_agent());
    c->easy_setopt(p, CURLOPT_NOSIGNAL, 1L);
    c->easy_setopt(p, CURLOPT_FOLLOWLOCATION, 0L);
    c->easy_setopt(p, CURLOPT_PROTOCOLS_STR, "http,https");
    c->easy_setopt(p, CURLOPT_SSL_VERIFYPEER, 1L);
    c->easy_setopt(p, CURLOPT_SSL_VERIFYHOST, 2L);
    c->easy_setopt(p, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    c->easy_setopt(p, CURLOPT_CONNECTTIMEOUT_MS, (long)h->config->connect_ms);
    c->easy_setopt(p, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST);
    c->easy_setopt(p, CURLOPT_LOW_SPEED_TIME, (long)((h->config->read_ms + 999) / 1000));
    c->easy_setopt(p, CURLOPT_HEADERFUNCTION, on_header);
    c->easy_setopt(p, CURLOPT_HEADERDATA, x);
    c->easy_setopt(p, CURLOPT_WRITEFUNCTION, on_body);
    c->easy_setopt(p, CURLOPT_WRITEDATA, x);
    if (h->config->deadline_ms) c->easy_setopt(p, CURLOPT_TIMEOUT_MS, ms_left(h) + 1); /* 0 would be no limit */
    if (h->config->ca_file) c->easy_setopt(p, CURLOPT_CAINFO, h->config->ca_file);
    if (!s) c->easy_setopt(p, CURLOPT_NOBODY, 1L);
    return ok;
}

/* Whether the same request may do better a moment later. */
static bool passes(const http *h, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_CONNECT: return h->reached; /* else there is no network, and the person waits for that news */
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM: return true;
    case CURLE_OPERATION_TIMEDOUT: return h->reached;
    default: return false;
    }
}

static pg_code transport_error(const exchange *x, CURLcode code, const char *url, pg_error *e)
{
    const hub_config *c = x->h->config;
    str host = url_host(str_c(url));
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return error_set(e, PG_E_NETWORK, "no network: the address of %.*s can't be found", STR_ARG(host));
    case CURLE_COULDNT_CONNECT: return error_set(e, PG_E_NETWORK, "no network: %.*s can't be reached", STR_ARG(host));
    case CURLE_OPERATION_TIMEDOUT:
        return error_set(e, PG_E_NETWORK,
                         "%.*s did not answer in time, or only trickled (HF_HUB_ETAG_TIMEOUT, %u s, and "
                         "HF_HUB_DOWNLOAD_TIMEOUT, %u s, set how long)",
                         STR_ARG(host), c->connect_ms / 1000, c->read_ms / 1000);

    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        return error_set(e, PG_E_NETWORK,
                         "the TLS certificate of %.*s can't be trusted (%s); SSL_CERT_FILE names further authorities",
                         STR_ARG(host), x->h->curl->easy_strerror(code));
    case CURLE_SSL_CONNECT_ERROR:
        return error_set(e, PG_E_NETWORK, "no TLS connection with %.*s comes about (does it speak https?)",
                         STR_ARG(host));
    case CURLE_SSL_CACERT_BADFILE:
        return error_set(e, PG_E_CONFIG, "the certificates to trust can't be read from '%.200s' (SSL_CERT_FILE)",
                         c->ca_file ? c->ca_file : "the system's place");
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
        return error_set(e, PG_E_NETWORK, "%.*s broke off the transfer; try again%s", STR_ARG(host),
                         c->service ? "" : ": what arrived is kept");
    case CURLE_OUT_OF_MEMORY: return error_set(e, PG_E_NOMEM, "out of memory");
    default:
        return error_set(e, PG_E_NETWORK, "talking to %.*s failed: %s", STR_ARG(host), x->h->curl->easy_strerror(code));
    }
}

pg_code exchange_conclude(exchange *x, CURLcode code, const char *url, bool *again, pg_error *e)
{
    http *h = x->h;
    *again = false;
    h->reached = h->reached || x->answer.status;
    bool body = x->answer.status == 200 || x->answer.status == 206;
    if (code == CURLE_OK && body && x->sink && !x->begun) begin_body(x); /* no byte came */
    if (x->wrong.code) {
        *again = !x->lasting;
        return error_set(e, x->wrong.code, "%s", x->wrong.text);
    }
    if (code != CURLE_OK && !x->stopped) {
        *again = passes(h, code);
        return transport_error(x, code, url, e);
    }
    const http_sink *s = x->sink;
    uint64_t wanted = s ? wanted_size(s) : 0;
    if (body && s && s->have < wanted) {
        *again = true;
        return error_set(e, PG_E_NETWORK, "%s was cut off at %llu of %llu bytes; try again", s->name,
                         (unsigned long long)s->have, (unsigned long long)wanted);
    }
    return PG_E_OK;
}

/* One request. *again: another attempt may do better. */
static pg_code perform(exchange *x, const char *url, bool *again, pg_error *e)
{
    http *h = x->h;
    struct curl_slist *headers = NULL;
    bool ok = exchange_set_up(x, h->handle, url, &headers);
    CURLcode code = ok ? h->curl->easy_perform(h->handle) : CURLE_OUT_OF_MEMORY;
    h->curl->slist_free_all(headers);
    return exchange_conclude(x, code, url, again, e);
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

const char *exchange_next(const exchange *x, const char *url, int hops, http_result *r, pg_error *e)
{
    const http *h = x->h;
    r->last = x->answer;
    r->url = url;
    if (url_same_origin(str_c(url), str_c(h->config->endpoint))) r->hub = x->answer;
    if (!is_redirect(x->answer.status) || !x->answer.location[0]) return NULL;
    const char *next = url_join(h->a, str_c(url), str_c(x->answer.location));
    if (!next) {
        error_set(e, PG_E_FORMAT, "%s sends us to an address that makes no sense", service(h));
        return NULL;
    }
    if (!x->sink && !url_same_origin(str_c(next), str_c(url))) return NULL;
    if (url_is_https(str_c(url)) && !url_is_https(str_c(next)))
        error_set(e, PG_E_NETWORK, "%s sends us from https to http, which is not followed", service(h));
    if (hops == REDIRECTS_MOST) error_set(e, PG_E_NETWORK, "%s sends us from address to address", service(h));
    return next;
}

/* The request with its redirects. */
static pg_code follow(http *h, const char *url, http_sink *sink, http_result *r, bool *again, pg_error *e)
{
    for (int hops = 0;; hops++) {
        exchange x = {.h = h, .sink = sink, .wrong = PG_ERROR_INIT};
        pg_code code = perform(&x, url, again, e);
        const char *next = exchange_next(&x, url, hops, r, e);
        if (code || e->code || !next) return code ? code : e->code;
        url = next;
    }
}

static void wait_ms(const http *h, unsigned ms)
{
    if (h->config->wait) {
        h->config->wait(h->config->wait_ud, ms);
        return;
    }
    struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) continue;
}

/* 408, 429 and 5xx pass; a server that asks for a long wait does not. */
static bool status_passes(const http_answer *h, unsigned *ms)
{
    switch (h->status) {
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504: break;
    default: return false;
    }
    if (h->wait_s == UINT_MAX) return true;
    *ms = h->wait_s * 1000;
    return h->wait_s <= WAIT_ASKED_MOST_S;
}

pg_code http_get(http *h, const char *url, http_sink *sink, http_result *r, pg_error *e)
{
    unsigned failed = 0, backoff = WAIT_FIRST_MS, waited = 0;
    for (;;) {
        pg_error why = PG_ERROR_INIT;
        bool again = false;
        uint64_t before = sink ? sink->have : 0;
        memset(r, 0, sizeof *r);
        pg_code code = follow(h, url, sink, r, &again, &why);
        unsigned ms = backoff;
        if (!code) again = status_passes(&r->last, &ms);
        if (sink && sink->have - before >= AGAIN_AFTER) failed = 0;
        if (h->config->deadline_ms && ms_left(h) <= (long)ms) again = false;
        if (!again || failed == h->config->retries || waited + ms > WAIT_ALL_MOST_MS) {
            if (code) error_set(e, code, "%s", why.text);
            return code;
        }
        failed++;
        backoff = backoff * 2 < WAIT_MOST_MS ? backoff * 2 : WAIT_MOST_MS;
        waited += ms;
        wait_ms(h, ms);
    }
}

pg_code http_open(http **out, const hub_config *config, arena *a, pg_error *e)
{
    http *h = ARENA_NEW(a, http);
    *out = NULL;
    if (!h) return error_nomem(e, a);
    *h = (http){.curl = curl_load(e), .config = config, .a = a};
    if (!h->curl) return PG_E_UNSUPPORTED;
    h->handle = h->curl->easy_init();
    if (!h->handle) return error_set(e, PG_E_NOMEM, "out of memory");
    *out = h;
    return PG_E_OK;
}

void http_close(http *h)
{
    if (h) h->curl->easy_cleanup(h->handle);
}

unsigned http_requests(const http *h)
{
    return h ? h->requests : 0;
}

uint64_t http_bytes(const http *h)
{
    return h ? h->bytes : 0;
}
