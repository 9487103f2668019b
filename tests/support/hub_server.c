#define _GNU_SOURCE
#include "support/hub_server.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha.h"

enum { RULES = 32, LOG = 512, CONNECTIONS = 64, REQUEST = 16384, LISTING = 1 << 20, SUMMED = 4 << 20 };

typedef struct rule {
    char part[200], error[64], message[128], location[512], body[512], id[128], file[256];
    long status, cut, length, retry, slow, times; /* -1: not given */
    bool no_range, shift, packed, no_blobs, plain, close, hang;
} rule;

struct hub_server {
    char root[512], url[64];
    int listener, port;
    pthread_t acceptor, threads[CONNECTIONS];
    int fds[CONNECTIONS];       /* -1: the place is free */
    bool finished[CONNECTIONS]; /* its thread is done and waits to be joined */
    size_t rule_count, log_count, sent;
    rule rules[RULES];
    char *log[LOG];
    unsigned peak;
    bool stopping;
    pthread_mutex_t lock;
};

/* One connection and the request on it. */
typedef struct client {
    hub_server *s;
    int fd;
    char request[REQUEST];
    char method[8], target[2048], authorization[256], range[64], host[128];
    rule r; /* what is to be done with it */
} client;

typedef struct start {
    hub_server *s;
    int fd;
    size_t place;
} start;

static uint64_t hash(const char *bytes, size_t n, uint64_t h)
{
    for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return h;
}

/* As many hex digits as are wanted. */
static void hex(uint64_t h, char *out, size_t digits)
{
    for (size_t i = 0; i < digits; i++) {
        h = h * 6364136223846793005u + 1442695040888963407u;
        out[i] = "0123456789abcdef"[h >> 60];
    }
    out[digits] = '\0';
}

void hub_server_commit(const char *repository, char out[41])
{
    hex(hash(repository, strlen(repository), 0xcbf29ce484222325u), out, 40);
}

/* The SHA-256; of files that are not in Git LFS Git's SHA-1, or the plain one. */
static void sum_of(int fd, off_t size, bool large, bool plain, char out[SHA_HEX])
{
    char chunk[4096];
    uint8_t hash[SHA256_SIZE];
    sha_sum sum;
    off_t at = 0;
    if (large) sha256_begin(&sum);
    else sha1_begin(&sum);
    if (!large && !plain) sha_add(&sum, chunk, (size_t)snprintf(chunk, sizeof chunk, "blob %lld", (long long)size) + 1);
    for (ssize_t n; (n = pread(fd, chunk, sizeof chunk, at)) > 0; at += n) sha_add(&sum, chunk, (size_t)n);
    sha_end(hash, &sum);
    sha_hex(out, hash, sum.size);
}

static bool is_large(const char *path)
{
    static const char *const endings[] = {".safetensors", ".gguf", ".onnx", ".bin"};
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        size_t n = strlen(path), k = strlen(endings[i]);
        if (n > k && strcmp(path + n - k, endings[i]) == 0) return true;
    }
    return false;
}

/* The SHA-256 of files in Git LFS, Git's SHA-1 of others; of what is too large for that something that its beginning and its size
 * give: weights may be sparse and huge. */
static void etag_of(const char *file, const char *path, bool plain, char out[65])
{
    char head[4096];
    struct stat st;
    uint64_t h = 0xcbf29ce484222325u;
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, head, sizeof head) : -1;
    if (n > 0) h = hash(head, (size_t)n, h);
    if (fd >= 0 && fstat(fd, &st) == 0) h ^= (uint64_t)st.st_size * 0x9e3779b97f4a7c15u;
    hex(h, out, is_large(path) ? 64 : 40);
    if (fd >= 0 && st.st_size <= SUMMED) sum_of(fd, st.st_size, is_large(path), plain, out);
    if (fd >= 0) close(fd);
}

static bool send_all(int fd, const char *bytes, size_t n)
{
    while (n) {
        ssize_t did = send(fd, bytes, n, MSG_NOSIGNAL);
        if (did <= 0) return false;
        bytes += did;
        n -= (size_t)did;
    }
    return true;
}

static void say(char *out, size_t cap, size_t *n, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static void say(char *out, size_t cap, size_t *n, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int did = vsnprintf(out + *n, cap - *n, fmt, args);
    va_end(args);
    if (did > 0) *n = *n + (size_t)did < cap ? *n + (size_t)did : cap - 1;
}

static void wait_for_end(const client *c)
{
    char byte;
    while (recv(c->fd, &byte, 1, 0) > 0) continue;
}

/* Headers that the caller made, and a body of `size` bytes from memory or from a file at `from`. */
static bool answer(client *c, int status, const char *headers, const char *body, int file, uint64_t from, uint64_t size)
{
    char head[4096];
    size_t n = 0;
    const rule *r = &c->r;
    unsigned long long said = r->length >= 0 ? (unsigned long long)r->length : (unsigned long long)size;
    say(head, sizeof head, &n, "HTTP/1.1 %d Whatever\r\n%s", status, headers);
    if (!strstr(headers, "Content-Length:")) say(head, sizeof head, &n, "Content-Length: %llu\r\n", said);
    if (r->packed) say(head, sizeof head, &n, "Content-Encoding: gzip\r\n");
    say(head, sizeof head, &n, "\r\n");
    if (!send_all(c->fd, head, n)) return false;
    if (strcmp(c->method, "HEAD") == 0) return true;
    uint64_t most = r->cut >= 0 && (uint64_t)r->cut < size ? (uint64_t)r->cut : size;
    for (uint64_t at = 0; at < most;) {
        char block[65536];
        size_t part = most - at < sizeof block ? (size_t)(most - at) : sizeof block;
        if (r->slow > 0) usleep((unsigned)r->slow * 1000);

        if (file >= 0) {
            ssize_t did = pread(file, block, part, (off_t)(from + at));
            if (did <= 0) return false;
            part = (size_t)did;
        }
        if (!send_all(c->fd, file >= 0 ? block : body + at, part)) return false;
        at += part;
        pthread_mutex_lock(&c->s->lock);
        c->s->sent += part;
        pthread_mutex_unlock(&c->s->lock);
    }
    if (r->hang) wait_for_end(c);
    return most == size && r->length < 0;
}

static bool error_answer(client *c, int status, const char *code, const char *message)
{
    char headers[1024], body[256];
    size_t n = 0, k = 0;
    headers[0] = '\0';
    if (code[0]) say(headers, sizeof headers, &n, "X-Error-Code: %s\r\n", code);
    if (message[0]) say(headers, sizeof headers, &n, "X-Error-Message: %s\r\n", message);
    if (c->r.retry >= 0) say(headers, sizeof headers, &n, "Retry-After: %ld\r\n", c->r.retry);
    if (c->r.location[0]) {
        const char *port = strchr(c->r.location, '%');
        if (port)
            say(headers, sizeof headers, &n, "Location: %.*s%d%s\r\n", (int)(port - c->r.location), c->r.location,
                c->s->port, port + 1);
        else say(headers, sizeof headers, &n, "Location: %s\r\n", c->r.location);
    }
    say(body, sizeof body, &k, "{\"error\":\"%s\"}", message);
    return answer(c, status, headers, body, -1, 0, k);
}

static void list_files(const client *c, const char *folder, const char *below, char *out, size_t *n, bool *first)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char file[2048], path[1024], etag[65];
        struct stat st;
        snprintf(file, sizeof file, "%s/%s", folder, entries[i]->d_name);
        snprintf(path, sizeof path, "%s%s", below, entries[i]->d_name);
        bool known = entries[i]->d_name[0] != '.' && stat(file, &st) == 0;
        free(entries[i]);
        if (!known) continue;
        if (S_ISDIR(st.st_mode)) {
            strncat(path, "/", sizeof path - strlen(path) - 1);
            list_files(c, file, path, out, n, first);
            continue;
        }
        etag_of(file, path, c->r.plain, etag);
        say(out, LISTING, n, "%s{\"rfilename\":\"%s\"", *first ? "" : ",", path);
        if (!c->r.no_blobs && is_large(path))
            say(out, LISTING, n, ",\"size\":%lld,\"blobId\":\"%.40s\",\"lfs\":{\"sha256\":\"%s\",\"size\":%lld}",
                (long long)st.st_size, etag, etag, (long long)st.st_size);
        else if (!c->r.no_blobs) say(out, LISTING, n, ",\"size\":%lld,\"blobId\":\"%s\"", (long long)st.st_size, etag);
        say(out, LISTING, n, "}");
        *first = false;
    }
    if (count >= 0) free(entries);
}

static bool answer_listing(client *c, const char *repository, const char *revision)
{
    char commit[41], folder[1024];
    struct stat st;
    snprintf(folder, sizeof folder, "%s/%s", c->s->root, repository);
    hub_server_commit(repository, commit);
    if (stat(folder, &st) != 0) return error_answer(c, 404, "RepoNotFound", "Repository not found");
    if (strcmp(revision, "main") != 0 && strcmp(revision, commit) != 0)
        return error_answer(c, 404, "RevisionNotFound", "Invalid rev id");
    char *out = malloc(LISTING);
    size_t n = 0;
    bool first = true;
    if (!out) return false;
    say(out, LISTING, &n, "{\"id\":\"%s\",\"sha\":\"%s\",\"private\":false,\"siblings\":[",
        c->r.id[0] ? c->r.id : repository, commit);
    list_files(c, folder, "", out, &n, &first);
    say(out, LISTING, &n, "]}");
    bool ok = answer(c, 200, "Content-Type: application/json\r\n", out, -1, 0, n);
    free(out);
    return ok;
}

static bool answer_file(client *c, const char *file, const char *headers, uint64_t size)
{
    char all[2048];
    size_t n = 0;
    uint64_t from = 0, to = size;
    unsigned long long a = 0, b = 0;
    int parts = c->r.no_range ? 0 : sscanf(c->range, "bytes=%llu-%llu", &a, &b);
    say(all, sizeof all, &n, "%s", headers);
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    bool ok;
    if (parts >= 1 && a >= size) {
        say(all, sizeof all, &n, "Content-Range: bytes */%llu\r\n", (unsigned long long)size);
        ok = answer(c, 416, all, "", -1, 0, 0);
    } else {
        if (parts >= 1) from = a;
        if (parts == 2 && b + 1 < size) to = b + 1;
        if (c->r.shift) from = from ? from - 1 : 1;
        if (parts >= 1)
            say(all, sizeof all, &n, "Content-Range: bytes %llu-%llu/%llu\r\n", (unsigned long long)from,
                (unsigned long long)(to - 1), (unsigned long long)size);
        ok = answer(c, parts >= 1 ? 206 : 200, all, NULL, fd, from, to - from);
    }
    close(fd);
    return ok;
}

/* /ORG/NAME/resolve/REVISION/PATH, here or, with `cdn`, on the other host. */
static bool answer_resolve(client *c, const char *repository, const char *revision, const char *path, bool cdn)
{
    char file[2048], headers[1024], etag[65], commit[41];
    struct stat st;
    size_t n = 0;
    snprintf(file, sizeof file, "%s/%s/%s", c->s->root, repository, path);
    hub_server_commit(repository, commit);
    if (strcmp(revision, "main") != 0 && strcmp(revision, commit) != 0)
        return error_answer(c, 404, "RevisionNotFound", "Invalid rev id");
    if (strstr(path, "..") || stat(file, &st) != 0) return error_answer(c, 404, "EntryNotFound", "Entry not found");
    etag_of(file, path, c->r.plain, etag);
    headers[0] = '\0';
    if (cdn) return answer_file(c, file, "ETag: \"of-the-cdn\"\r\n", (uint64_t)st.st_size);
    say(headers, sizeof headers, &n, "X-Repo-Commit: %s\r\n", commit);
    if (!is_large(path)) {
        say(headers, sizeof headers, &n, "ETag: \"%s\"\r\n", etag);
        return answer_file(c, file, headers, (uint64_t)st.st_size);
    }
    say(headers, sizeof headers, &n, "X-Linked-Etag: \"%s\"\r\nX-Linked-Size: %lld\r\n", etag, (long long)st.st_size);
    say(headers, sizeof headers, &n, "Location: http://localhost:%d/cdn/%s/resolve/%s/%s\r\n", c->s->port, repository,
        revision, path);
    return answer(c, 302, headers, "", -1, 0, 0);
}

/* A file below the root, "@URL@" in it replaced. */
static bool answer_text(client *c, const char *name)
{
    char path[1024], *text = malloc(LISTING), *out = malloc(LISTING);
    size_t n = 0;
    snprintf(path, sizeof path, "%s/%s", c->s->root, name);
    FILE *f = text && out ? fopen(path, "rb") : NULL;
    size_t have = f ? fread(text, 1, LISTING - 1, f) : 0;
    bool ok = f != NULL;
    if (ok) {
        fclose(f);
        text[have] = '\0';
        char *at = text;
        for (char *mark; (mark = strstr(at, "@URL@")) != NULL; at = mark + 5)
            say(out, LISTING, &n, "%.*s%s", (int)(mark - at), at, c->s->url);
        say(out, LISTING, &n, "%s", at);
        ok = answer(c, 200, "", out, -1, 0, n);
    }
    free(text);
    free(out);
    return ok;
}

static bool route(client *c)
{
    char a[200], b[200], revision[200], path[1024];
    bool cdn = strncmp(c->target, "/cdn/", 5) == 0;
    const rule *r = &c->r;
    if (cdn && (c->authorization[0] || strncmp(c->host, "localhost", 9) != 0))
        return error_answer(c, 400, "", "the token came along");
    if (r->body[0]) return answer(c, r->status > 0 ? (int)r->status : 200, "", r->body, -1, 0, strlen(r->body));
    if (r->status > 0) return error_answer(c, (int)r->status, r->error, r->message);
    if (r->file[0]) return answer_text(c, r->file);
    char *query = strchr(c->target, '?');
    if (query) *query = '\0';
    if (sscanf(c->target, "/api/models/%199[^/]/%199[^/]/revision/%199[^/]", a, b, revision) == 3) {
        snprintf(path, sizeof path, "%s/%s", a, b);
        return answer_listing(c, path, revision);
    }
    if (sscanf(c->target + (cdn ? 4 : 0), "/%199[^/]/%199[^/]/resolve/%199[^/]/%1023s", a, b, revision, path) == 4) {
        char repository[512];
        snprintf(repository, sizeof repository, "%s/%s", a, b);
        return answer_resolve(c, repository, revision, path, cdn);
    }
    return error_answer(c, 404, "", "not found");
}

static void header_value(const char *request, const char *name, char *out, size_t cap)
{
    const char *at = strcasestr(request, name);
    size_t n = 0;
    out[0] = '\0';
    if (!at) return;
    at += strlen(name);
    while (*at == ' ') at++;
    while (n + 1 < cap && at[n] && at[n] != '\r') n++;
    memcpy(out, at, n);
    out[n] = '\0';
}

/* Which rule is for the request, and one line of the log. */
static void note_request(client *c)
{
    hub_server *s = c->s;
    char line[4096];
    snprintf(line, sizeof line, "%s %s%s%s%s", c->method, c->target, c->authorization[0] ? " token" : "",
             c->range[0] ? " " : "", c->range);
    c->r = (rule){.status = -1, .cut = -1, .length = -1, .retry = -1};
    pthread_mutex_lock(&s->lock);
    if (s->log_count < LOG) s->log[s->log_count++] = strdup(line);
    for (size_t i = 0; i < s->rule_count; i++) {
        if (!s->rules[i].times || !strstr(c->target, s->rules[i].part)) continue;
        if (s->rules[i].times > 0) s->rules[i].times--;
        c->r = s->rules[i];
        break;
    }
    pthread_mutex_unlock(&s->lock);
}

static bool read_request(client *c)
{
    size_t have = 0;
    c->request[0] = '\0';
    while (!strstr(c->request, "\r\n\r\n")) {
        if (have + 1 >= sizeof c->request) return false;
        ssize_t n = recv(c->fd, c->request + have, sizeof c->request - 1 - have, 0);
        if (n <= 0) return false;
        have += (size_t)n;
        c->request[have] = '\0';
        if (c->request[0] == 0x16) return false; /* the beginning of TLS, which is not spoken here */
    }
    if (sscanf(c->request, "%7s %2047s", c->method, c->target) != 2) return false;
    header_value(c->request, "\r\nAuthorization:", c->authorization, sizeof c->authorization);
    header_value(c->request, "\r\nRange:", c->range, sizeof c->range);
    header_value(c->request, "\r\nHost:", c->host, sizeof c->host);
    return true;
}

static void *serve(void *ud)
{
    start *st = ud;
    client *c = calloc(1, sizeof *c);
    if (c) {
        c->s = st->s;
        c->fd = st->fd;
        bool more = true;
        while (more && read_request(c)) {
            note_request(c);
            if (c->r.close) break;
            if (c->r.hang && c->r.cut < 0) wait_for_end(c);
            else more = route(c);
        }
    }
    shutdown(st->fd, SHUT_RDWR);
    pthread_mutex_lock(&st->s->lock);
    st->s->finished[st->place] = true;
    pthread_mutex_unlock(&st->s->lock);
    free(c);

    free(st);
    return NULL;
}

/* A place for one more connection, after those that ended were cleared away; CONNECTIONS: none. The lock is held. */
static size_t free_place(hub_server *s)
{
    size_t place = CONNECTIONS;
    unsigned open = 1; /* the new one */
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (s->fds[i] >= 0 && s->finished[i]) {
            pthread_join(s->threads[i], NULL);
            close(s->fds[i]);
            s->fds[i] = -1;
        }
        if (s->fds[i] < 0) place = i;
        else open++;
    }
    if (open > s->peak) s->peak = open;
    return place;
}

static void *accept_all(void *ud)
{
    hub_server *s = ud;
    for (;;) {
        int fd = accept(s->listener, NULL, NULL);
        pthread_mutex_lock(&s->lock);
        bool stop = s->stopping || fd < 0;
        size_t place = stop ? CONNECTIONS : free_place(s);
        start *st = place < CONNECTIONS ? malloc(sizeof *st) : NULL;
        if (st) {
            *st = (start){s, fd, place};
            s->finished[place] = false;
            if (pthread_create(&s->threads[place], NULL, serve, st) == 0) s->fds[place] = fd;
            else abort();
        }
        pthread_mutex_unlock(&s->lock);
        if (!st && fd >= 0) close(fd);
        if (stop) return NULL;
    }
}

hub_server *hub_server_start(const char *root)
{
    hub_server *s = calloc(1, sizeof *s);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (!s) return NULL;
    for (size_t i = 0; i < CONNECTIONS; i++) s->fds[i] = -1;
    snprintf(s->root, sizeof s->root, "%s", root);
    pthread_mutex_init(&s->lock, NULL);
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = s->listener >= 0 && bind(s->listener, (struct sockaddr *)&address, size) == 0 &&
              listen(s->listener, 16) == 0 && getsockname(s->listener, (struct sockaddr *)&address, &size) == 0;
    s->port = ntohs(address.sin_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
    if (ok && pthread_create(&s->acceptor, NULL, accept_all, s) == 0) return s;
    if (s->listener >= 0) close(s->listener);
    free(s);
    return NULL;
}

void hub_server_stop(hub_server *s)
{
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    for (size_t i = 0; i < CONNECTIONS; i++)
        if (s->fds[i] >= 0) shutdown(s->fds[i], SHUT_RDWR);
    pthread_mutex_unlock(&s->lock);
    shutdown(s->listener, SHUT_RDWR);
    pthread_join(s->acceptor, NULL);
    for (size_t i = 0; i < CONNECTIONS; i++) {
        if (s->fds[i] < 0) continue;
        pthread_join(s->threads[i], NULL);
        close(s->fds[i]);
    }
    close(s->listener);
    hub_server_forget(s);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const char *hub_server_url(const hub_server *s)
{
    return s->url;
}

static bool take_action(rule *r, const char *action)
{
    const struct {
        const char *name;
        long *number;
        char *text;
        size_t cap;
        bool *flag;
    } actions[] = {
        {"status=", &r->status, NULL, 0, NULL},
        {"cut=", &r->cut, NULL, 0, NULL},
        {"length=", &r->length, NULL, 0, NULL},
        {"retry=", &r->retry, NULL, 0, NULL},
        {"slow=", &r->slow, NULL, 0, NULL},
        {"error=", NULL, r->error, sizeof r->error, NULL},
        {"message=", NULL, r->message, sizeof r->message, NULL},
        {"location=", NULL, r->location, sizeof r->location, NULL},
        {"body=", NULL, r->body, sizeof r->body, NULL},
        {"id=", NULL, r->id, sizeof r->id, NULL},
        {"file=", NULL, r->file, sizeof r->file, NULL},
        {"range=no", NULL, NULL, 0, &r->no_range},
        {"range=shift", NULL, NULL, 0, &r->shift},
        {"blobs=no", NULL, NULL, 0, &r->no_blobs},
        {"sum=plain", NULL, NULL, 0, &r->plain},
        {"packed", NULL, NULL, 0, &r->packed},
        {"close", NULL, NULL, 0, &r->close},
        {"hang", NULL, NULL, 0, &r->hang},
    };
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        size_t n = strlen(actions[i].name);
        if (strncmp(action, actions[i].name, n) != 0) continue;
        if (actions[i].number) *actions[i].number = strtol(action + n, NULL, 10);
        if (actions[i].flag) *actions[i].flag = true;
        for (size_t k = 0; actions[i].text && k + 1 < actions[i].cap; k++) {
            char ch = action[n + k];
            bool plain = actions[i].text == r->location || actions[i].text == r->file;
            actions[i].text[k] = ch == '_' && !plain ? ' ' : ch;
            if (!ch) break;
        }
        return true;
    }
    return false;
}

bool hub_server_rule(hub_server *s, const char *text)
{
    rule r = {.status = -1, .cut = -1, .length = -1, .retry = -1, .times = -1};
    char actions[1024] = "", times[16] = "";
    if (sscanf(text, "%199s %1023s x%15s", r.part, actions, times) < 2) return false;
    if (times[0]) r.times = strtol(times, NULL, 10);
    char *rest = NULL;
    for (char *a = strtok_r(actions, ",", &rest); a; a = strtok_r(NULL, ",", &rest))
        if (!take_action(&r, a)) return false;
    pthread_mutex_lock(&s->lock);
    bool room = s->rule_count < RULES;
    if (room) s->rules[s->rule_count++] = r;
    pthread_mutex_unlock(&s->lock);
    return room;
}

void hub_server_forget(hub_server *s)
{
    pthread_mutex_lock(&s->lock);
    for (size_t i = 0; i < s->log_count; i++) free(s->log[i]);
    s->log_count = s->rule_count = s->sent = 0;
    s->peak = 0;
    pthread_mutex_unlock(&s->lock);
}

const char *hub_server_log(const hub_server *s, size_t i)
{
    return i < s->log_count ? s->log[i] : NULL;
}

unsigned hub_server_peak(const hub_server *s)
{
    return s->peak;
}

size_t hub_server_sent(const hub_server *s)
{
    return s->sent;
}
