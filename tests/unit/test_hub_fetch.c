/* The Hub's client against a Hub of our own on the loopback (support/hub_server.h): what is fetched, what is kept, and what a
 * person reads when it doesn't work. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hub/cache.h"
#include "hub/choose.h"
#include "hub/fetch.h"
#include "hub/hub.h"
#include "hub/text.h"
#include "phantom/phantom.h"
#include "support/heap.h"
#include "support/hub_files.h"
#include "support/hub_server.h"
#include "support/onnx_write.h"

static char dir[128], repos[160], cache[160], own[160];
static hub_server *server;
static unsigned waits, waited_ms;

static const allocator plain = {heap_plain, NULL};

static void count_wait(void *ud, unsigned ms)
{
    (void)ud;
    waits++;
    waited_ms += ms;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st, (void)type, (void)walk;
    return remove(path);
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- files ---- */

static void write_file(const char *path, const void *from, size_t n, uint64_t size)
{
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(hub_folder_for(path, &e), PG_E_OK);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, from, n), (ssize_t)n);
    assert_int_equal(ftruncate(fd, (off_t)(size > n ? size : n)), 0);
    close(fd);
}

/* A file of a repository; `size`: its size with the weights, which are holes. */
static void add_file(const char *repository, const char *path, const void *from, size_t n, uint64_t size)
{
    char full[1024];
    snprintf(full, sizeof full, "%s/%s/%s", repos, repository, path);
    write_file(full, from, n, size);
}

static void add_text(const char *repository, const char *path, const char *text)
{
    add_file(repository, path, text, strlen(text), 0);
}

/* ---- opening ---- */

static hub_config config_for(const char *token)
{
    return (hub_config){.endpoint = hub_server_url(server),
                        .cache = cache,
                        .own = own,
                        .token = token,
                        .token_from = token ? "HF_TOKEN" : NULL,
                        .connect_ms = 20000,
                        .read_ms = 20000,
                        .retries = 4,
                        .wait = count_wait};
}

static pg_code open_with(const char *text, const hub_config *config, hub_result *r, arena *a, pg_error *e)
{
    hub_name name;
    assert_true(hub_name_read(&name, str_c(text), config->endpoint));
    arena_init(a, plain, 0);
    waits = waited_ms = 0;
    *e = (pg_error)PG_ERROR_INIT;
    pg_code code = hub_open(r, &name, config, a, e);
    assert_int_equal(code, e->code);
    for (const char *p = e->text; *p; p++) assert_true((unsigned char)*p >= 0x20);
    return code;
}

static void expect_error(const char *text, const hub_config *config, pg_code code, const char *words)
{
    hub_result r;
    arena a;
    pg_error e;
    open_with(text, config, &r, &a, &e);
    if (e.code != code || !strstr(e.text, words))
        fail_msg("%s: expected %d '%s', got %d '%s'", text, (int)code, words, (int)e.code, e.text);
    arena_free(&a);
}

static void expect_works(const char *text, const hub_config *config, const char *note)
{
    hub_result r;
    arena a;
    pg_error e;
    struct stat st;
    if (open_with(text, config, &r, &a, &e)) fail_msg("%s: %s", text, e.text);
    assert_int_equal(stat(r.path, &st), 0);
    if (note && (!r.note_count || !strstr(r.notes[0], note)))
        fail_msg("%s: expected the note '%s', got '%s'", text, note, r.note_count ? r.notes[0] : "");
    if (!note && r.note_count) fail_msg("%s: '%s'", text, r.notes[0]);
    arena_free(&a);
}

static unsigned requests_with(const char *words)
{
    unsigned n = 0;
    for (size_t i = 0; hub_server_log(server, i); i++) n += strstr(hub_server_log(server, i), words) != NULL;
    return n;
}

static unsigned requests(void)
{
    return requests_with("");
}

static void forget(void)
{
    remove_tree(cache);
    remove_tree(own);
    hub_server_forget(server);
}

/* ---- what is fetched ---- */

enum { MANY = 75 };

static const char config_json[] = "{\"model_type\": \"bert\"}";

static void make_repositories(void)
{
    bytes small = hub_safetensors_header(500), large = hub_safetensors_header(300000), g = gguf_header(40000),
          s = gguf_header(3);
    add_text("acme/bert", "config.json", config_json);
    add_file("acme/bert", "model.safetensors", small.ptr, small.len, 400000000);
    add_text("acme/bert", "pytorch_model.bin", "weights");
    add_text("acme/wide", "config.json", config_json);
    add_file("acme/wide", "model.safetensors", large.ptr, large.len, (uint64_t)5 << 30);
    add_text("acme/shards", "config.json", config_json);
    add_text("acme/shards", "model.safetensors.index.json",
             "{\"weight_map\": {\"a\": \"m-1.safetensors\", \"b\": \"m-1.safetensors\", \"c\": \"m-2.safetensors\"}}");
    add_file("acme/shards", "m-1.safetensors", small.ptr, small.len, 3000000);
    add_file("acme/shards", "m-2.safetensors", small.ptr, small.len, 3000001);
    add_text("acme/many", "config.json", config_json);
    char index[8192] = "{\"weight_map\": {";
    for (int i = 0; i < MANY; i++) {
        char name[64];
        size_t n = strlen(index);
        snprintf(name, sizeof name, "m-%d.safetensors", i);
        snprintf(index + n, sizeof index - n, "%s\"w%d\": \"%s\"", i ? ", " : "", i, name);
        if (i == 7) add_file("acme/many", name, large.ptr, large.len, (uint64_t)1 << 30);
        else add_file("acme/many", name, small.ptr, small.len, (uint64_t)1 << 30 | (uint64_t)i);
    }
    strncat(index, "}}", sizeof index - strlen(index) - 1);
    add_text("acme/many", "model.safetensors.index.json", index);
    add_text("acme/lost", "config.json", config_json);
    add_text("acme/lost", "model.safetensors.index.json", "{\"weight_map\": {\"a\": \"../../x.safetensors\"}}");
    add_file("acme/gguf", "m-Q4_K_M.gguf", g.ptr, g.len, 700000000);
    add_file("acme/gguf", "m-Q8_0.gguf", s.ptr, s.len, 900000);
    add_text("acme/net", "model.onnx", "not really a network, but nobody looks");
    add_text("acme/resnet", "model.onnx", "");
    char path[1024];
    pg_error e = PG_ERROR_INIT;
    snprintf(path, sizeof path, "%s/acme/resnet/model.onnx", repos);
    assert_true(onnx_write_builtin("resnet50", path, &(onnx_write_options){.no_weights = true}, &e) == PG_E_OK);
    add_text("acme/broken", "config.json", config_json);
    add_text("acme/broken", "model.safetensors", "\377\377\377\377\377\377\377\177 nonsense");
    add_text("acme/bin", "config.json", config_json);
    add_text("acme/bin", "pytorch_model.bin", "weights");
    free(small.ptr);
    free(large.ptr);
    free(g.ptr);
    free(s.ptr);
}

static uint64_t size_of(const char *folder, const char *name)
{
    char path[2048];
    struct stat st;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* Two small requests for a header, whatever the weights take; the second time nothing but a look at the listing. */
static void test_headers_not_weights(void **state)
{
    (void)state;
    static const struct {
        const char *name, *file;
        uint64_t size;
        unsigned requests; /* redirects are requests too */
        size_t bytes;
    } cases[] = {
        {"acme/bert", "model.safetensors", 400000000, 1 + 1 + 2, 110000},
        {"acme/wide", "model.safetensors", (uint64_t)5 << 30, 1 + 1 + 3, 310000},
        {"acme/shards", "m-2.safetensors", 3000001, 1 + 2 + 4, 210000},
        {"acme/gguf:Q4_K_M", "", 700000000, 1 + 4, 2200000},
        {"acme/net", "", 38, 1 + 2, 1000},
        {"acme/bin", "config.json", sizeof config_json - 1, 2, 1000},
    };
    hub_config c = config_for(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hub_result r;
        arena a;
        pg_error e;
        struct stat st;
        forget();
        if (open_with(cases[i].name, &c, &r, &a, &e)) fail_msg("%s: %s", cases[i].name, e.text);
        uint64_t size = cases[i].file[0] ? size_of(r.path, cases[i].file) : size_of(r.path, "");
        if (!cases[i].file[0] && stat(r.path, &st) == 0) size = (uint64_t)st.st_size;
        if (size != cases[i].size) fail_msg("%s: %s has %llu bytes", cases[i].name, r.path, (unsigned long long)size);
        if (requests() != cases[i].requests || r.requests != cases[i].requests)
            fail_msg("%s: %u requests", cases[i].name, requests());
        if (hub_server_sent(server) > cases[i].bytes) fail_msg("%s: %zu bytes", cases[i].name, hub_server_sent(server));
        print_message("%s: %u requests, %zu bytes\n", cases[i].name, requests(), hub_server_sent(server));
        arena_free(&a);
        expect_works(cases[i].name, &c, i == 5 ? "not in safetensors" : NULL);
        assert_int_equal(requests(), cases[i].requests + 1);
        c.offline = true;
        expect_works(cases[i].name, &c, i == 5 ? "not in safetensors" : NULL);
        c.offline = false;
        assert_int_equal(requests(), cases[i].requests + 1);
    }
}

/* What lies in the sparse file is what the server has, and it takes no room for the weights. */
static void test_sparse_files(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    hub_result r;
    arena a;
    pg_error e;
    char path[2048], raw[400];
    struct stat st;
    forget();
    assert_int_equal(open_with("acme/bert", &c, &r, &a, &e), PG_E_OK);
    snprintf(path, sizeof path, "%s/model.safetensors", r.path);
    bytes header = hub_safetensors_header(500);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, raw, sizeof raw), (ssize_t)sizeof raw);
    assert_memory_equal(raw, header.ptr, sizeof raw);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(st.st_blocks * 512 < 1 << 20);
    close(fd);
    free(header.ptr);
    /* never in the shared cache, where it would be taken for the whole */
    assert_int_equal(size_of(cache, "models--acme--bert/snapshots"), size_of(cache, "models--acme--bert/blobs"));
    hub_cache hc;
    str commit;
    assert_int_equal(cache_open(&hc, &c, STR("acme/bert"), &a, &e), PG_E_OK);
    commit = cache_commit(&hc, STR("main"));
    assert_non_null(cache_find(&hc, commit, STR("config.json"), &e));
    assert_null(cache_find(&hc, commit, STR("model.safetensors"), &e));
    arena_free(&a);
}

/* The parts of a large model are asked for several at a time; what goes wrong there is put right one by one. */
static void test_many_files(void **state)
{
    (void)state;
    hub_config c = config_for("hf_x");
    hub_result r;
    arena a;
    pg_error e;
    forget();
    assert_true(hub_server_rule(server, "/cdn/ status=503 x2"));
    assert_true(hub_server_rule(server, "/cdn/ close x2"));
    assert_true(hub_server_rule(server, "/cdn/ cut=500 x2"));
    if (open_with("acme/many", &c, &r, &a, &e)) fail_msg("%s", e.text);
    for (int i = 0; i < MANY; i++) {
        char name[64];
        snprintf(name, sizeof name, "m-%d.safetensors", i);
        assert_int_equal(size_of(r.path, name), i == 7 ? 1 << 30 : 1 << 30 | i);
    }
    assert_int_equal(waits, 0);
    print_message("acme/many: %u requests, %zu bytes, at most %u at once\n", requests(), hub_server_sent(server),
                  hub_server_peak(server));
    assert_true(hub_server_peak(server) > 1);
    arena_free(&a);
}

static void test_token_stays_home(void **state)
{
    (void)state;
    hub_config c = config_for("hf_secret");
    forget();
    expect_works("acme/net", &c, NULL);
    assert_int_equal(requests_with(" token"), 2);
    assert_int_equal(requests_with("/cdn/"), 1);

    /* and to no other host that an endpoint sends us to */
    forget();
    hub_server_rule(server, "/api/ status=307,location=http://localhost:%/cdn/elsewhere");
    expect_error("acme/net", &c, PG_E_NOT_FOUND, "nothing of that name");
    assert_int_equal(requests_with(" token"), 1);
    assert_int_equal(requests_with("GET /cdn/elsewhere"), 1);
}

static void test_layout_of_the_cache(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    char commit[41], path[1024], link[256];
    struct stat st;
    forget();
    expect_works("acme/shards", &c, NULL);
    hub_server_commit("acme/shards", commit);
    snprintf(path, sizeof path, "%s/models--acme--shards/snapshots/%s/config.json", cache, commit);
    ssize_t n = readlink(path, link, sizeof link - 1);
    assert_true(n > 0);
    link[n] = '\0';
    assert_true(strncmp(link, "../../blobs/", 12) == 0 && strlen(link) == 12 + 40);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, sizeof config_json - 1);
    snprintf(path, sizeof path, "%s/models--acme--shards/refs/main", cache);
    int fd = open(path, O_RDONLY);
    n = read(fd, link, sizeof link);
    close(fd);
    assert_int_equal(n, 40);
    assert_memory_equal(link, commit, 40);
    assert_true(size_of(cache, "CACHEDIR.TAG") > 43);
    snprintf(path, sizeof path, "%s/.locks/models--acme--shards", cache);
    assert_int_equal(stat(path, &st), 0);
}

/* As huggingface_hub leaves it: no listing, blobs behind links. */
static void python_cache(const char *name, const char *commit)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/models--%s/refs/main", cache, name);
    write_file(path, commit, 40, 0);
    snprintf(path, sizeof path, "%s/models--%s/blobs/aaaa", cache, name);
    write_file(path, config_json, sizeof config_json - 1, 0);
    snprintf(path, sizeof path, "%s/models--%s/snapshots/%s/config.json", cache, name, commit);
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(hub_folder_for(path, &e), PG_E_OK);
    assert_int_equal(symlink("../../blobs/aaaa", path), 0);
    snprintf(path, sizeof path, "%s/models--%s/snapshots/%s/model.safetensors", cache, name, commit);
    bytes b = hub_safetensors_header(200);
    write_file(path, b.ptr, b.len, 1000); /* a plain file: from where links don't work */
    free(b.ptr);
}

static void test_what_python_fetched(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    static const char commit[] = "0123456789012345678901234567890123456789";
    hub_result r;
    arena a;
    pg_error e;
    forget();
    python_cache("org--offline", commit);
    c.offline = true;
    assert_int_equal(open_with("org/offline", &c, &r, &a, &e), PG_E_OK);
    assert_int_equal(size_of(r.path, "config.json"), sizeof config_json - 1);
    assert_int_equal(size_of(r.path, "model.safetensors"), 1000);
    assert_string_equal(r.name, "org/offline");
    arena_free(&a);
    expect_works("org/offline@0123456789012345678901234567890123456789:config.json", &c, NULL);
    expect_error("org/offline@v2", &c, PG_E_NETWORK, "revision 'v2' is not in the cache");
    expect_error("org/offline:x.onnx", &c, PG_E_NOT_FOUND, "has no file 'x.onnx'");
    expect_error("org/other", &c, PG_E_NETWORK, "is not in the cache");
    assert_int_equal(requests(), 0);
    /* without network it is as good as offline, and a note says so */
    c.offline = false;
    c.endpoint = "http://127.0.0.1:1";
    expect_works("org/offline", &c, "no network: 127.0.0.1 can't be reached; what the cache knows was used");
    expect_error("org/other", &c, PG_E_NETWORK, "no network: 127.0.0.1 can't be reached");
    assert_int_equal(waits, 0); /* nobody wants to wait for that */
}

/* Only some parts of a model were fetched by whoever filled the cache: what is there is used. */
static void test_part_of_a_model_in_the_cache(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    static const char commit[] = "0123456789012345678901234567890123456789";
    char path[1024];
    forget();
    python_cache("org--part", commit);
    snprintf(path, sizeof path, "%s/models--org--part/snapshots/%s/model.safetensors", cache, commit);
    assert_int_equal(unlink(path), 0);
    static const char index[] = "{\"weight_map\": {\"a\": \"m-1.safetensors\", \"b\": \"m-2.safetensors\"}}";
    snprintf(path, sizeof path, "%s/models--org--part/snapshots/%s/model.safetensors.index.json", cache, commit);
    write_file(path, index, sizeof index - 1, 0);
    c.offline = true;
    expect_works("org/part", &c, NULL);
}

/* A branch that moved on must not take from who is offline what they have. */
static void test_reference_of_python_stays(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    char path[1024], text[64], commit[41];
    forget();
    python_cache("acme--bert", "0123456789012345678901234567890123456789");
    expect_works("acme/bert", &c, NULL);
    snprintf(path, sizeof path, "%s/models--acme--bert/refs/main", cache);
    int fd = open(path, O_RDONLY);
    assert_int_equal(read(fd, text, sizeof text), 40);
    close(fd);
    assert_memory_equal(text, "0123456789", 10);
    hub_cache hc;
    arena a;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, plain, 0);
    assert_int_equal(cache_open(&hc, &c, STR("acme/bert"), &a, &e), PG_E_OK);
    hub_server_commit("acme/bert", commit);
    assert_true(str_is(cache_commit(&hc, STR("main")), commit));
    arena_free(&a);
}

static void test_links_that_lead_out(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    char path[1024], secret[512];
    static const char commit[] = "0123456789012345678901234567890123456789";
    forget();
    snprintf(secret, sizeof secret, "%s/secret", dir);
    write_file(secret, config_json, sizeof config_json - 1, 0);
    c.offline = true;
    static const char *const targets[] = {"../../../../secret", "../../../../../secret", NULL};
    for (int i = 0; i < 3; i++) {
        forget();
        python_cache("org--evil", commit);
        snprintf(path, sizeof path, "%s/models--org--evil/snapshots/%s/config.json", cache, commit);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink(targets[i] ? targets[i] : secret, path), 0);
        if (i == 0) { /* leads to nothing: as if it were not there */
            expect_error("org/evil:config.json", &c, PG_E_NOT_FOUND, "has no file");
            continue;
        }

        expect_error("org/evil", &c, PG_E_FORMAT, "leads out of its repository's folder");
    }
    /* a folder that is a link is none, and nothing is written through one */
    forget();
    c.offline = false;
    snprintf(path, sizeof path, "%s/models--acme--net", cache);
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(hub_folder_make(path, &e), PG_E_OK);
    snprintf(path, sizeof path, "%s/models--acme--net/blobs", cache);
    assert_int_equal(symlink(dir, path), 0);
    expect_error("acme/net", &c, PG_E_FORMAT, "leads out of its repository's folder");
    unlink(secret);
}

/* ---- what goes wrong ---- */

/* A download that can't begin holds nothing: neither the lock, for which others would wait, nor a descriptor. */
static void test_a_failed_beginning_frees_its_lock(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    hub_cache hc;
    cache_blob b;
    arena a;
    char path[1024];
    static const char etag[] = "0123456789abcdef";
    pg_error e = PG_ERROR_INIT;
    forget();
    arena_init(&a, plain, 0);
    assert_int_equal(cache_open(&hc, &c, STR("acme/net"), &a, &e), PG_E_OK);
    snprintf(path, sizeof path, "%s/models--acme--net/blobs/%s.70a47023.incomplete", cache, etag);
    assert_int_equal(hub_folder_make(path, &e), PG_E_OK); /* a folder where the partial file should be */
    assert_int_equal(cache_blob_begin(&b, &hc, &c, str_c(etag), &e), PG_E_IO);
    snprintf(path, sizeof path, "%s/.locks/models--acme--net/%s.lock", cache, etag);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
    assert_true(b.fd < 0 && b.lock < 0);
    arena_free(&a);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *name;
        bool token;
        pg_code code;
        const char *words;
    } cases[] = {
        {"/api/ status=401,error=GatedRepo", "acme/bert", false, PG_E_DENIED, "is gated: accept its terms at http"},
        {"/api/ status=403,error=GatedRepo", "acme/bert", true, PG_E_DENIED, "the token of HF_TOKEN has no access yet"},
        {"resolve status=403,error=GatedRepo", "acme/bert", false, PG_E_DENIED, "is gated: accept its terms at http"},
        {"/api/ status=401,error=RepoNotFound", "acme/bert", false, PG_E_NOT_FOUND,
         "no such repository, or it is private"},
        {"/api/ status=401,message=Invalid_credentials", "acme/bert", true, PG_E_DENIED,
         "does not take the token of HF_TOKEN: Invalid credentials"},
        {"/api/ status=403,message=Access_is_disabled.", "acme/bert", false, PG_E_DENIED,
         "refuses access: Access is disabled."},
        {"nothing status=500", "acme/none", false, PG_E_NOT_FOUND, "the Hub has no such repository"},
        {"nothing status=500", "acme/bert@v7", false, PG_E_NOT_FOUND, "has no revision 'v7'"},
        {"nothing status=500", "acme/bert:no.onnx", false, PG_E_NOT_FOUND, "has no file 'no.onnx'"},
        {"config.json status=404,error=EntryNotFound", "acme/bert", false, PG_E_NOT_FOUND,
         "has no file 'config.json' at revision 'main'"},
        {"/api/ status=404", "acme/bert", false, PG_E_NOT_FOUND, "has nothing of that name"},
        {"/api/ status=418,message=a_teapot", "acme/bert", false, PG_E_NETWORK, "answered with status 418: a teapot"},
        {"/api/ status=429,retry=3600", "acme/bert", false, PG_E_NETWORK,
         "no more requests for now: try again in 3600 s; with a token"},
        {"/api/ status=429,retry=30", "acme/bert", false, PG_E_NETWORK, "try again in 30 s"},
        {"/api/ status=503", "acme/bert", false, PG_E_NETWORK, "the Hub fails (status 503)"},
        {"/api/ body=<html>Please_log_in", "acme/bert", false, PG_E_FORMAT, "a page to log in to a network?"},
        {"/api/ body={\"sha\":", "acme/bert", false, PG_E_FORMAT, "is not valid JSON"},
        {"/api/ body={}", "acme/bert", false, PG_E_FORMAT, "has no list of files"},
        {"/api/ status=307,location=/api/models/acme/bert/revision/main", "acme/bert", false, PG_E_NETWORK,
         "from address to address"},
        {"/api/ status=307,location=gopher://x/", "acme/bert", false, PG_E_FORMAT, "makes no sense"},
        {"nothing status=500", "acme/lost", false, PG_E_FORMAT, "which the repository does not have"},
        {"nothing status=500", "acme/gguf", false, PG_E_AMBIGUOUS, "m-Q4_K_M.gguf (668 MiB), m-Q8_0.gguf (879 KiB)"},
        {"nothing status=500", "acme/broken", false, PG_E_LIMIT, "safetensors allows 100000000"},
        {"config.json packed", "acme/bert", false, PG_E_FORMAT, "packed the bytes although"},
        {"config.json length=7", "acme/bert", false, PG_E_FORMAT,
         "the server's size is not the one that the Hub lists (7, not 22)"},
        {"config.json length=700", "acme/bert", false, PG_E_FORMAT, "not the one that the Hub lists (700, not 22)"},
        {"model.safetensors range=shift", "acme/bert", false, PG_E_FORMAT, "another part than was asked for"},
        {"/api/ cut=20", "acme/bert", false, PG_E_NETWORK, "broke off the transfer"},
        {"/api/ close", "acme/bert", false, PG_E_NETWORK, "broke off the transfer"},
        {"config.json cut=5", "acme/bert", false, PG_E_NETWORK, "broke off the transfer"},
        {"/api/ hang", "acme/bert", false, PG_E_NETWORK, "did not answer in time"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        hub_config c = config_for(cases[i].token ? "hf_x" : NULL);
        c.retries = strstr(cases[i].rule, "hang") ? 0 : 2;
        if (!c.retries) c.read_ms = 1000; /* elsewhere a busy machine must not look like a slow server */
        forget();
        assert_true(hub_server_rule(server, cases[i].rule));
        expect_error(cases[i].name, &c, cases[i].code, cases[i].words);
    }
}

/* What passes is tried again; what was fetched is not fetched twice. */
static void test_what_passes(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *name;
        unsigned waits, waited_ms;
        size_t bytes; /* at most */
    } cases[] = {
        {"/api/ status=503 x2", "acme/bert", 2, 750, 110000},
        {"/api/ status=429,retry=2 x1", "acme/bert", 1, 2000, 110000},
        {"/api/ status=500 x4", "acme/net", 4, 3750, 1000},
        {"/api/ close x1", "acme/bert", 1, 250, 110000},
        {"config.json cut=5 x2", "acme/bert", 2, 750, 110000},
        {"/cdn/ cut=50000 x1", "acme/wide", 1, 250, 310000},
        {"/cdn/ status=502 x1", "acme/net", 1, 250, 1000},
        {"config.json hang,cut=3 x1", "acme/bert", 1, 250, 110000},
    };
    hub_config c = config_for(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        c.read_ms = strstr(cases[i].rule, "hang") ? 1000 : 20000;
        forget();
        assert_true(hub_server_rule(server, cases[i].rule));
        expect_works(cases[i].name, &c, NULL);
        if (waits != cases[i].waits || waited_ms != cases[i].waited_ms)
            fail_msg("%s: waited %u times, %u ms", cases[i].rule, waits, waited_ms);
        if (hub_server_sent(server) > cases[i].bytes) fail_msg("%s: %zu bytes", cases[i].rule, hub_server_sent(server));
    }
    forget();
    assert_true(hub_server_rule(server, "config.json cut=5 x2"));
    expect_works("acme/bert", &c, NULL);
    assert_int_equal(requests_with("config.json bytes=5-"), 1); /* goes on where it stopped */
    assert_int_equal(requests_with("config.json bytes=10-"), 1);
}

/* A server that knows no ranges is read as far as is needed, and no further. */
static void test_ranges_refused(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    static const char *const names[] = {"acme/bert", "acme/wide", "acme/gguf:Q4_K_M"};
    for (size_t i = 0; i < 3; i++) {
        forget();
        assert_true(hub_server_rule(server, "/cdn/ range=no"));
        expect_works(names[i], &c, NULL);
        assert_true(hub_server_sent(server) < 64 << 20); /* what lies in the sockets' buffers counts as sent */
    }
    forget();
    assert_true(hub_server_rule(server, "config.json cut=5 x1"));
    assert_true(hub_server_rule(server, "config.json range=no"));
    expect_works("acme/bert", &c, NULL);
    hub_result r;
    arena a;
    pg_error e;
    c.offline = true;
    assert_int_equal(open_with("acme/bert:config.json", &c, &r, &a, &e), PG_E_OK);
    str text = hub_file_read(&a, r.path, 100);
    assert_true(str_is(text, config_json));
    arena_free(&a);
}

/* A download that ended with its process is taken up by the next. */
static void test_resumed_later(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    c.retries = 0;
    forget();
    assert_true(hub_server_rule(server, "config.json cut=5 x1"));
    expect_error("acme/bert", &c, PG_E_NETWORK, "broke off");
    expect_works("acme/bert", &c, NULL);
    assert_int_equal(requests_with("config.json bytes=5-"), 1);
}

/* As many bytes as the Hub lists, but others: nothing of them stays, and the next time asks for all of them. */
static void test_wrong_contents(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    c.retries = 0;
    forget();
    assert_true(hub_server_rule(server, "/cdn/ body=not_really_a_network:_but_nobody_looks x1"));
    expect_error("acme/net", &c, PG_E_FORMAT, "is not what the Hub lists (its SHA-256 begins with");
    char blobs[1024];
    snprintf(blobs, sizeof blobs, "%s/models--acme--net/blobs", cache);
    assert_int_equal(rmdir(blobs), 0); /* empty */
    expect_works("acme/net", &c, NULL);
    assert_int_equal(requests_with("/cdn/"), 2);
    assert_int_equal(requests_with("bytes="), 0);

    forget(); /* the first part came in an earlier run, and was another file's */
    assert_true(hub_server_rule(server, "/cdn/ body=NOT_really_a_network:_but_nobody_looks,cut=5 x1"));
    expect_error("acme/net", &c, PG_E_NETWORK, "broke off");
    expect_error("acme/net", &c, PG_E_FORMAT, "nothing of it is kept, try again");
    expect_works("acme/net", &c, NULL);
}

/* The same of files that are not in Git LFS, which are called by Git's SHA-1 of them. */
static void test_wrong_contents_of_small_files(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    static const char wrong[] = "config.json body={\"model_type\":_\"bart\"} x1";
    char blobs[1024];
    snprintf(blobs, sizeof blobs, "%s/models--acme--bert/blobs", cache);
    c.retries = 0;
    forget();
    assert_true(hub_server_rule(server, wrong));
    expect_error("acme/bert", &c, PG_E_FORMAT, "'config.json' is not what the Hub lists (its SHA-1 begins with");
    assert_int_equal(rmdir(blobs), 0); /* empty */
    expect_works("acme/bert", &c, NULL);
    forget(); /* nothing listed: the file's own answer says what it is called */
    assert_true(hub_server_rule(server, "/api/ blobs=no"));
    expect_works("acme/bert", &c, NULL);
    forget(); /* a mirror that names files by their plain sum */
    assert_true(hub_server_rule(server, "acme/bert sum=plain"));
    expect_works("acme/bert", &c, NULL);
    forget();
    assert_true(hub_server_rule(server, wrong));
    assert_true(hub_server_rule(server, "acme/bert sum=plain"));
    expect_error("acme/bert", &c, PG_E_FORMAT, "its SHA-1 begins with");
}

static void test_renamed(void **state)
{
    (void)state;
    hub_config c = config_for("hf_x");
    forget();
    hub_server_rule(server, "/api/models/old/name status=307,location=/api/models/acme/net/revision/main?blobs=true");
    expect_works("old/name", &c, "'old/name' is called 'acme/net' now");
    assert_int_equal(requests_with("/acme/net/resolve/"), 2);
    assert_int_equal(requests_with(" token"), 3);
    c.offline = true; /* and is found again by the name that was asked for */
    expect_works("old/name", &c, "'old/name' is called 'acme/net' now");
}

/* A mirror whose listing has no sizes: asked for each file by HEAD. */
static void test_listing_without_sizes(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    forget();
    hub_server_rule(server, "/api/ blobs=no");
    expect_works("acme/bert", &c, NULL);
    assert_int_equal(requests_with("HEAD "), 2);
    assert_int_equal(requests_with("/cdn/"), 1);
}

/* One of those processes: a program of its own, since the server's threads may hold any lock when we fork. */
static int open_alone(char **argv)
{
    hub_config c = {
        .endpoint = argv[2], .cache = argv[3], .own = argv[4], .connect_ms = 20000, .read_ms = 20000, .retries = 4};
    hub_result r;
    arena a;
    pg_error e = PG_ERROR_INIT;
    hub_name name;
    arena_init(&a, plain, 0);
    bool ok = hub_name_read(&name, STR("acme/shards"), NULL) && hub_open(&r, &name, &c, &a, &e) == PG_E_OK;
    arena_free(&a);
    return !ok;
}

/* Many at once end with one and the same cache. */
static void test_processes_at_once(void **state)
{
    (void)state;
    enum { PROCESSES = 6 };
    pid_t children[PROCESSES];
    hub_config c = config_for(NULL);
    c.wait = NULL;
    forget();
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        assert_true(children[i] >= 0);
        if (children[i]) continue;
        execl("/proc/self/exe", "test_hub_fetch", "--open", c.endpoint, c.cache, c.own, (char *)NULL);
        _exit(2);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status = 1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    c.offline = true;
    expect_works("acme/shards", &c, NULL);
    char command[400];
    snprintf(command, sizeof command, "test -z \"$(find '%s' '%s' -name '*.incomplete')\"", cache, own);
    assert_int_equal(system(command), 0);
}

static void test_without_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"acme/shards", "acme/gguf:Q8_0"};
    hub_config c = config_for("hf_x");
    for (size_t i = 0; i < 2; i++) {
        for (long n = 0;; n++) {
            test_heap heap = {.fail_at = n};
            hub_result r;
            arena a;
            pg_error e = PG_ERROR_INIT;
            hub_name name;
            forget();
            assert_true(hub_name_read(&name, str_c(names[i]), NULL));
            arena_init(&a, (allocator){heap_resize, &heap}, 0);
            pg_code code = hub_open(&r, &name, &c, &a, &e);
            arena_free(&a);
            assert_int_equal(heap.live, 0);
            assert_int_equal(heap.bytes, 0);
            if (!code) break;
            if (code != PG_E_NOMEM) fail_msg("allocation %ld: %s", n, e.text);
            assert_true(n < 10000);
        }
    }
}

static void test_disk_that_is_full(void **state)
{
    (void)state;
    hub_config c = config_for(NULL);
    char path[200];
    forget();
    snprintf(path, sizeof path, "%s/file", dir);
    write_file(path, "x", 1, 0);
    c.cache = path;
    expect_error("acme/bert", &c, PG_E_IO, "can't be written");
    pg_error e = PG_ERROR_INIT;
    hub_write_error(&e, ENOSPC, "x");
    assert_non_null(strstr(e.text, "no space is left"));
    unlink(path);
}

/* ---- through the library ---- */

static pg_code open_model(const char *name, pg_hub hub, pg_error *e)
{
    pg_model *m = NULL;
    *e = (pg_error)PG_ERROR_INIT;
    pg_code code = pg_model_open(&m, name, &(pg_model_options){.hub = hub}, e);
    pg_model_free(m);
    return code;
}

static void test_library(void **state)
{
    (void)state;
    pg_error e;
    forget();
    setenv("HOME", dir, 1);
    setenv("HF_HUB_CACHE", cache, 1);
    setenv("XDG_CACHE_HOME", own, 1);
    setenv("HF_ENDPOINT", hub_server_url(server), 1);
    assert_int_equal(open_model("acme/net", PG_HUB_NEVER, &e), PG_E_IO);
    assert_int_equal(open_model("hf://acme/net", PG_HUB_NEVER, &e), PG_E_IO);
    assert_int_equal(open_model("acme/net", PG_HUB_CACHE, &e), PG_E_NETWORK);
    assert_int_equal(requests(), 0);
    pg_model *m;
    e = (pg_error)PG_ERROR_INIT;
    pg_code code = pg_model_open(&m, "acme/resnet@main", NULL, &e);
    if (code) fail_msg("%s", e.text);
    assert_string_equal(pg_model_describe(m)->name, "acme/resnet");
    assert_string_equal(pg_model_describe(m)->path, "acme/resnet@main");
    assert_true(pg_model_describe(m)->macs > 4e9);
    pg_model_free(m);
    assert_int_equal(requests(), 3);
    assert_int_equal(open_model("acme/resnet", PG_HUB_CACHE, &e), PG_E_OK);
    assert_int_equal(requests(), 3);
    assert_int_equal(open_model("acme/none", PG_HUB_NETWORK, &e), PG_E_NOT_FOUND);
    assert_int_equal(open_model("acme/resnet50", PG_HUB_NETWORK, &e), PG_E_NOT_FOUND);
    assert_non_null(strstr(e.text, "'resnet50' is built in and needs no network"));
    assert_int_equal(open_model("acme/resnet5o", PG_HUB_NETWORK, &e), PG_E_NOT_FOUND);
    assert_non_null(strstr(e.text, "'resnet50' is built in"));
    unsigned before = requests();
    assert_int_equal(open_model("google-bert/bert-base-uncased", PG_HUB_NETWORK, &e), PG_E_OK); /* built in */
    assert_int_equal(open_model("acme/net.onnx", PG_HUB_NETWORK, &e), PG_E_IO); /* a path, by its ending */
    assert_int_equal(requests(), before);
    assert_int_equal(chdir(repos), 0);
    assert_int_equal(open_model("acme/nothing", PG_HUB_NETWORK, &e),
                     PG_E_IO); /* a path, since there is a folder acme */
    assert_non_null(strstr(e.text, "hf://acme/nothing asks the Hub"));
    assert_int_equal(open_model("acme/broken", PG_HUB_NETWORK, &e), PG_E_FORMAT); /* the folder that is here */
    (void)open_model("acme/broken", PG_HUB_NETWORK, &e);                          /* the folder that is here */
    assert_int_equal(requests(), before);
    assert_int_equal(chdir("/"), 0);
}

static int set_up(void **state)
{
    (void)state;
    /* in memory where that can be: nothing here is about disks, and each of some hundred runs would wait for one */
    snprintf(dir, sizeof dir, "%s/phantom-hub-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(dir)) return 1;
    snprintf(repos, sizeof repos, "%s/repos", dir);
    snprintf(cache, sizeof cache, "%s/cache/hub", dir);
    snprintf(own, sizeof own, "%s/own", dir);
    setenv("no_proxy", "127.0.0.1,localhost", 1);
    make_repositories();
    server = hub_server_start(repos);
    return !server;
}

static int tear_down(void **state)
{
    (void)state;
    hub_server_stop(server);
    remove_tree(dir);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "--open")) return open_alone(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_headers_not_weights),
        cmocka_unit_test(test_sparse_files),
        cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_token_stays_home),
        cmocka_unit_test(test_layout_of_the_cache),
        cmocka_unit_test(test_what_python_fetched),
        cmocka_unit_test(test_part_of_a_model_in_the_cache),
        cmocka_unit_test(test_reference_of_python_stays),
        cmocka_unit_test(test_links_that_lead_out),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_what_passes),
        cmocka_unit_test(test_ranges_refused),
        cmocka_unit_test(test_resumed_later),
        cmocka_unit_test(test_a_failed_beginning_frees_its_lock),
        cmocka_unit_test(test_wrong_contents),
        cmocka_unit_test(test_wrong_contents_of_small_files),
        cmocka_unit_test(test_renamed),
        cmocka_unit_test(test_listing_without_sizes),
        cmocka_unit_test(test_processes_at_once),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_disk_that_is_full),
        cmocka_unit_test(test_library),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
