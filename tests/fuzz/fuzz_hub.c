/* Any bytes as what a Hub may answer, or a person may type. The first byte says as what, so that the corpus of each stays its own:
 *
 *   L listing (and what is chosen of it)   I index of weights   H header lines   N name   U address   S safetensors   G GGUF
 *
 * What comes out must be safe to put into a path, a header or a message. */
#include "hub/answer.h"
#include "hub/choose.h"
#include "hub/extent.h"
#include "hub/text.h"
#include "hub/url.h"

#include <stdio.h>
#include <stdlib.h>

#include "support/check.h"
#include "support/heap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const pg_error *e, pg_code code)
{
    check(e->code == code && (code == PG_E_OK) == !e->text[0], "an error has its code and a text");
    for (const char *p = e->text; *p; p++) check((unsigned char)*p >= 0x20, "an error is one line");
}

static void check_path(str path)
{
    for (size_t i = 0; i < path.len; i++)
        check((unsigned char)path.ptr[i] >= 0x20 && path.ptr[i] != '\\', "a path has no control characters");
    check(path.len && path.ptr[0] != '/' && !str_starts(path, "../") && !str_ends(path, "/.."), "a path stays below");
    for (size_t i = 0; i + 4 <= path.len; i++) check(memcmp(path.ptr + i, "/../", 4) != 0, "a path stays below");
}

static void fuzz_choice(const hub_listing *l, str asked, arena *a)
{
    hub_choice c;
    pg_error e = PG_ERROR_INIT;
    hub_name name = {STR("org/name"), STR("main"), asked, false};
    check_error(&e, choose(&c, l, &name, a, &e));
    if (e.code) return;
    bool found = !c.file;
    for (size_t i = 0; i < c.count; i++) {
        check(c.files[i] >= l->files && c.files[i] < l->files + l->count, "what is chosen is listed");
        found = found || c.files[i] == c.file;
    }
    check(found, "the file that is loaded is among the chosen");
}

static void fuzz_listing(span text, arena *a)
{
    static const str asked[] = {{"", 0}, {"Q4_K_M", 6}, {"unet", 4}, {"model.onnx", 10}, {"m.gguf", 6}};
    hub_listing l;
    pg_error e = PG_ERROR_INIT;
    check_error(&e, listing_read(&l, text, a, &e));
    if (e.code) return;
    check(hub_id_ok(l.commit), "a commit can be a file's name");
    for (size_t i = 0; i < l.count; i++) {
        check_path(l.files[i].path);
        check(!l.files[i].etag.len || hub_id_ok(l.files[i].etag), "an etag can be a file's name");
    }
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) fuzz_choice(&l, asked[i], a);
}

static void fuzz_index(span text, arena *a)
{
    static const char *const names[] = {"a.safetensors", "b.safetensors", "model-00001-of-00002.safetensors"};
    hub_listing l = {.count = 0};
    const hub_file **shards;
    size_t n;
    pg_error e = PG_ERROR_INIT;
    for (size_t i = 0; i < 3; i++) check(listing_add(&l, str_c(names[i]), 1, STR("aa"), a), "there is memory");
    check_error(&e, listing_shards(&shards, &n, &l, STR(""), text, a, &e));
    check(e.code || n <= 3, "no file twice");
}

static void fuzz_headers(span text)
{
    http_answer h;
    http_answer_init(&h);
    for (size_t at = 0, end; at < text.len; at = end + 1) {
        for (end = at; end < text.len && text.ptr[end] != '\n'; end++) continue;
        http_answer_line(&h, (str){(const char *)text.ptr + at, end - at});
    }
    for (const char *p = h.message; *p; p++) check((unsigned char)*p >= 0x20, "a message is one line");
    check(h.broken || h.first == ANSWER_UNKNOWN || h.total == ANSWER_UNKNOWN || h.first < h.total, "a range is within");
    check(strlen(h.etag) < sizeof h.etag && strlen(h.location) < sizeof h.location, "texts end");
}

static void fuzz_name(span text)
{
    hub_name n;
    if (!hub_name_read(&n, span_str(text), "http://127.0.0.1:5000")) return;
    check_path(n.repository);
    check_path(n.revision);
    if (n.file.len) check_path(n.file);
}

static void fuzz_url(span text, arena *a)
{
    static const char base[] = "https://huggingface.co/org/name/resolve/main/x?y";
    char origin[URL_ORIGIN_SIZE];
    const char *url = url_join(a, STR("https://huggingface.co/org/name/resolve/main/x?y"), span_str(text));
    check(!url || url_origin(origin, str_c(url)), "an address that is followed has an origin");
    for (const char *p = url; p && *p; p++) check((unsigned char)*p > 0x20, "an address is one word");
    if (url && url_same_origin(str_c(base), str_c(url)))
        check(strncmp(url, "https://", 8) == 0 || (url[0] | 32) == 'h', "the same origin is https");
    check(url_encode(a, span_str(text), true) != NULL, "anything can be encoded");
}

/* From all bytes at once, and from half of them: the end of a header doesn't depend on how much is at hand. */
static void fuzz_extent(pg_code (*extent)(span, uint64_t, uint64_t *, pg_error *), span text)
{
    uint64_t whole = 0, half = 0;
    pg_error e = PG_ERROR_INIT, f = PG_ERROR_INIT;
    check_error(&e, extent(text, text.len + 4096, &whole, &e));
    check_error(&f, extent((span){text.ptr, text.len / 2, 0}, text.len + 4096, &half, &f));
    if (!e.code) check(whole <= text.len + 4096 && !f.code, "a header ends within its file");
    if (!e.code && half <= text.len / 2) check(whole == half, "a header has one end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    test_heap heap = {.fail_at = -1};
    arena a;
    if (!size) return 0;
    span text = {data + 1, size - 1, 0};
    arena_init(&a, (allocator){heap_resize, &heap}, 16 << 20);
    switch (data[0]) {
    case 'L': fuzz_listing(text, &a); break;
    case 'I': fuzz_index(text, &a); break;
    case 'H': fuzz_headers(text); break;
    case 'N': fuzz_name(text); break;
    case 'U': fuzz_url(text, &a); break;
    case 'S': fuzz_extent(extent_safetensors, text); break;
    case 'G': fuzz_extent(extent_gguf, text); break;
    default: break;
    }
    arena_free(&a);
    check(heap.live == 0 && heap.bytes == 0, "all memory is given back");
    return 0;
}
