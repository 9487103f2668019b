/* What the Hub's client reads: names, addresses, headers, listings, the environment; and which files it chooses. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "hub/answer.h"
#include "hub/choose.h"
#include "hub/config.h"
#include "hub/extent.h"
#include "hub/text.h"
#include "hub/url.h"
#include "support/heap.h"
#include "support/hub_files.h"

static char dir[128];

static const allocator plain = {heap_plain, NULL};

static void test_names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *repository, *revision, *file;
    } good[] = {
        {"org/name", "org/name", "main", ""},
        {"org/name@v1.0", "org/name", "v1.0", ""},
        {"org/name@refs/pr/1", "org/name", "refs/pr/1", ""},
        {"org/name:model.gguf", "org/name", "main", "model.gguf"},
        {"org/name@v1:onnx/model.onnx", "org/name", "v1", "onnx/model.onnx"},
        {"Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", "main", ""},
        {"hf://gpt2", "gpt2", "main", ""},
        {"hf://org/name", "org/name", "main", ""},
        {"hf://org/name@v1/onnx/model.onnx", "org/name", "v1", "onnx/model.onnx"},
        {"hf://org/name/", "org/name", "main", ""},
        {"hf://org/name/a.gguf", "org/name", "main", "a.gguf"},
        {"hf://org/name@refs/pr/1:a.gguf", "org/name", "refs/pr/1", "a.gguf"},
        {"https://huggingface.co/org/name", "org/name", "main", ""},
        {"https://huggingface.co/org/name/", "org/name", "main", ""},
        {"https://huggingface.co/org/name/tree/v1", "org/name", "v1", ""},
        {"https://huggingface.co/org/name/blob/main/a/b.gguf?x=y", "org/name", "main", "a/b.gguf"},
        {"https://hf.co/org/name/resolve/main/a.onnx?download=true", "org/name", "main", "a.onnx"},
        {"http://localhost:8000/org/name", "org/name", "main", ""},
    };
    static const char *const bad[] = {
        "",
        "name",
        "/org/name",
        "./org",
        "../org/name",
        "org/",
        "org/name/more",
        "org/../name",
        "org/na me",
        "org/name@",
        "org/name:",
        "org/name@v1:",
        "org/name:../x",
        "org/name:/etc/passwd",
        "org/name@../x",
        "-org/name",
        "org/name.",
        "org/na--me",
        "org/name.git",
        "C:/models/x",
        "hf://",
        "hf:///x",
        "https://huggingface.co/",
        "https://huggingface.co/org",
        "https://huggingface.co.evil.example/org/name",
        "https://example.org/org/name",
        "https://huggingface.co/org/name/wiki/x",
        "org/name:a\nb",
        "org/name@a\\b",
        "org/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
    };
    hub_name n;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!hub_name_read(&n, str_c(good[i].text), "http://localhost:8000")) fail_msg("%s is a name", good[i].text);
        if (!str_is(n.repository, good[i].repository) || !str_is(n.revision, good[i].revision) ||
            !str_is(n.file, good[i].file))
            fail_msg("%s was read as %.*s @ %.*s : %.*s", good[i].text, STR_ARG(n.repository), STR_ARG(n.revision),
                     STR_ARG(n.file));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (hub_name_read(&n, str_c(bad[i]), "http://localhost:8000")) fail_msg("'%s' is no name", bad[i]);
}

static void test_origins(void **state)
{
    (void)state;
    char origin[URL_ORIGIN_SIZE];
    static const char *const bad[] = {
        "ftp://a/b",       "a/b",          "http://",     "https://user@host/", "https://a@b:443/", "http://a:port/",
        "http://a:99999/", "http://a\\b/", "http://a b/", "http://[::1/",       "https://a%2eb/",   "http://a:/",
        "//a/b",           "https:/a/b"};
    assert_true(url_origin(origin, STR("HTTPS://HuggingFace.co/a?b")));
    assert_string_equal(origin, "https://huggingface.co:443");
    assert_true(url_origin(origin, STR("http://[::1]:80/x")));
    assert_string_equal(origin, "http://[::1]:80");
    assert_true(url_same_origin(STR("http://a/x"), STR("http://A:80")));
    assert_false(url_same_origin(STR("http://a/x"), STR("https://a/x")));
    assert_false(url_same_origin(STR("http://a:1/x"), STR("http://a:2/x")));
    assert_false(url_same_origin(STR("http://127.0.0.1:1/"), STR("http://localhost:1/")));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (url_origin(origin, str_c(bad[i]))) fail_msg("'%s' is no address to go to", bad[i]);
}

static void test_joined_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *base, *location, *result;
    } cases[] = {
        {"https://a/b/c?d", "https://x/y", "https://x/y"},
        {"https://a/b/c?d", "//x/y", "https://x/y"},
        {"https://a/b/c?d", "/y", "https://a/y"},
        {"https://a/b/c?d", "y", "https://a/b/y"},
        {"https://a", "y", "https://a/y"},
        {"https://a/b?c", "?d", "https://a/b?d"},
        {"https://a/b", "ftp://x/y", NULL},
        {"https://a/b", "javascript:x", NULL},
        {"https://a/b", "", NULL},
        {"https://a/b", "https://u@x/", NULL},
        {"https://a/b", "/y\nz", NULL},
        {"https://a/b", "\\\\x\\y", NULL},
    };
    arena a;
    arena_init(&a, plain, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *url = url_join(&a, str_c(cases[i].base), str_c(cases[i].location));
        if (!cases[i].result != !url || (url && strcmp(url, cases[i].result) != 0))
            fail_msg("%s + %s: %s", cases[i].base, cases[i].location, url ? url : "nothing");
    }
    assert_string_equal(url_encode(&a, STR("a b/\303\244.bin"), false), "a%20b/%C3%A4.bin");
    assert_string_equal(url_encode(&a, STR("refs/pr/1"), true), "refs%2Fpr%2F1");
    arena_free(&a);
}

static http_answer answer_of(const char *const *lines)
{
    http_answer h;
    http_answer_init(&h);
    for (size_t i = 0; lines[i]; i++) http_answer_line(&h, str_c(lines[i]));
    return h;
}

static void test_answers(void **state)
{
    (void)state;
    http_answer h = answer_of((const char *[]){
        "HTTP/1.1 100 Continue\r\n", "Retry-After: 9\r\n", "\r\n", "HTTP/2 206\r\n", "content-length: 10\r\n",
        "Content-Range: bytes 5-14/100\r\n", "etag: W/\"abc\"\r\n", "X-Linked-ETag: \"def\"\r\n", "ETag: \"ghi\"\r\n",
        "X-Repo-Commit: 0123\r\n", "X-Linked-Size: 77\r\n", "ratelimit: \"api\";r=0;t=55\r\n",
        "X-Error-Message: a\x01\xff b\r\n", NULL});
    assert_int_equal(h.status, 206);
    assert_int_equal(h.length, 10);
    assert_int_equal(h.first, 5);
    assert_int_equal(h.total, 100);
    assert_int_equal(h.linked_size, 77);
    assert_int_equal(h.wait_s, 55);
    assert_string_equal(h.etag, "def");
    assert_string_equal(h.commit, "0123");
    assert_string_equal(h.message, "a?? b");
    assert_false(h.broken);
    static const char *const broken[] = {"Content-Length: -1",
                                         "Content-Length: 99999999999999999999",
                                         "Content-Length: 1x",
                                         "Content-Range: bytes 5-4/100",
                                         "Content-Range: bytes 5-100/100",
                                         "Content-Range: items 5-6/100",
                                         "Content-Range: bytes 5-6",
                                         "Content-Range: bytes 5"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        h = answer_of((const char *[]){"HTTP/1.1 206 x", broken[i], NULL});
        if (!h.broken) fail_msg("%s makes no sense", broken[i]);
    }
    h = answer_of((const char *[]){"HTTP/1.1 200 x", "Content-Length: 1", "Content-Length: 2", NULL});
    assert_true(h.broken);
}

/* Fed byte by byte, the header must be found at the same place, and never earlier than its end. */
static void check_extent(pg_code (*extent)(span, uint64_t, uint64_t *, pg_error *), const bytes *b)
{
    uint64_t need, size = b->len + 1000;
    for (size_t n = 0; n <= b->len; n++) {
        pg_error e = PG_ERROR_INIT;
        if (extent((span){b->ptr, n, 0}, size, &need, &e)) fail_msg("at %zu: %s", n, e.text);
        if (n < b->len) assert_true(need > n && need <= b->len);
        else assert_int_equal(need, b->len);
    }
    for (size_t n = 0; n < b->len; n++) { /* and a file that ends within its header is none */
        pg_error e = PG_ERROR_INIT;
        pg_code code = extent((span){b->ptr, n, 0}, n, &need, &e);
        assert_true(code == PG_E_FORMAT || code == PG_E_TRUNCATED);
    }
}

static void test_extents(void **state)
{
    (void)state;
    bytes s = hub_safetensors_header(200), g = gguf_header(5), other = gguf_header_big(5);
    check_extent(extent_safetensors, &s);
    check_extent(extent_gguf, &g);
    check_extent(extent_gguf, &other);
    free(other.ptr);
    free(s.ptr);
    free(g.ptr);
    static const struct {
        const char *bytes;
        size_t n;
        pg_code code;
    } cases[] = {
        {"GGUX\3\0\0\0", 8, PG_E_FORMAT},
        {"GGUF\1\0\0\0", 8, PG_E_FORMAT},
        {"GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\377\377\377\377\377\377\377\377", 32, PG_E_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t need;
        pg_error e = PG_ERROR_INIT;
        span f = {(const uint8_t *)cases[i].bytes, cases[i].n, 0};
        assert_int_equal(extent_gguf(f, 1u << 30, &need, &e), cases[i].code);
    }
    uint64_t need;
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(
        extent_safetensors((span){(const uint8_t *)"\377\377\377\377\0\0\0\0", 8, 0}, UINT64_MAX / 2, &need, &e),
        PG_E_LIMIT);
}

static void test_listings(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        pg_code code;
        const char *words;
    } bad[] = {
        {"", PG_E_FORMAT, "JSON"},
        {"[]", PG_E_FORMAT, "siblings"},
        {"{\"sha\":\"0123456789\"}", PG_E_FORMAT, "siblings"},
        {"{\"siblings\":[]}", PG_E_FORMAT, "sha"},
        {"{\"siblings\":[],\"sha\":\"../../x\"}", PG_E_FORMAT, "sha"},
        {"{\"siblings\":[],\"sha\":\"0123456789\",\"id\":\"../../x\"}", PG_E_FORMAT, "repository"},
        {"{\"siblings\":[}", PG_E_FORMAT, "JSON"},
    };
    arena a;
    hub_listing l;
    arena_init(&a, plain, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pg_error e = PG_ERROR_INIT;
        span json = {(const uint8_t *)bad[i].json, strlen(bad[i].json), 0};
        if (listing_read(&l, json, &a, &e) != bad[i].code || !strstr(e.text, bad[i].words))
            fail_msg("%s: %s", bad[i].json, e.text);
    }
    static const char good[] =
        "{\"id\":\"a/b\",\"sha\":\"0123456789\",\"siblings\":[{\"rfilename\":\"x.bin\",\"size\":3,"
        "\"blobId\":\"aa\",\"lfs\":{\"sha256\":\"bb\",\"size\":5}},{\"rfilename\":\"../x\"},"
        "{\"rfilename\":\"a/../../x\"},{\"rfilename\":\"/etc/x\"},{\"rfilename\":7},{},"
        "{\"rfilename\":\"a\\u0000b\"},{\"rfilename\":\"y\",\"blobId\":\"../c\",\"size\":-4}]}";
    pg_error e = PG_ERROR_INIT;
    assert_int_equal(listing_read(&l, (span){(const uint8_t *)good, sizeof good - 1, 0}, &a, &e), PG_E_OK);
    assert_int_equal(l.count, 2);
    assert_int_equal(l.refused, 6);
    assert_true(str_is(l.files[0].etag, "bb") && l.files[0].size == 5);
    assert_true(l.files[1].etag.len == 0 && l.files[1].size == SIZE_UNKNOWN);
    arena_free(&a);
}

/* What of these files is taken: names separated by blanks, the one that is loaded in brackets. */
static void check_choice(const char *files, const char *asked, const char *wanted)
{
    arena a;
    hub_listing l = {.count = 0};
    hub_choice c;
    hub_name name = {.repository = STR("a/b"), .revision = STR("main"), .file = str_c(asked)};
    char got[1024] = "";
    size_t n = 0;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, plain, 0);
    for (const char *p = files; *p;) {
        size_t len = strcspn(p, " ");
        assert_true(listing_add(&l, (str){p, len}, 1000, STR("aa"), &a));
        p += len + (p[len] == ' ');
    }
    if (choose(&c, &l, &name, &a, &e)) {
        snprintf(got, sizeof got, "%s", e.text);
        if (!strstr(got, wanted)) fail_msg("of %s %s: '%s'", files, asked, got);
    } else {
        for (size_t i = 0; i < c.count; i++)
            n += (size_t)snprintf(got + n, sizeof got - n, "%s%s%.*s%s", i ? " " : "", c.files[i] == c.file ? "[" : "",
                                  STR_ARG(c.files[i]->path), c.files[i] == c.file ? "]" : "");
        if (strcmp(got, wanted) != 0) fail_msg("of %s %s: %s, not %s", files, asked, got, wanted);
    }
    arena_free(&a);
}

static void test_choices(void **state)
{
    (void)state;
    static const char ggufs[] = "README.md m-Q4_K_M.gguf m-Q4_K_S.gguf m-Q8_0-00001-of-00002.gguf "
                                "m-Q8_0-00002-of-00002.gguf mmproj-f16.gguf";
    static const char *const cases[][3] = {
        {"config.json model.safetensors pytorch_model.bin", "", "model.safetensors config.json"},
        {"config.json model.safetensors quantize_config.json x.gguf", "",
         "model.safetensors config.json quantize_config.json"},
        {"config.json model.safetensors.index.json model-1.safetensors model-2.safetensors", "",
         "model.safetensors.index.json config.json"},
        {"config.json only.safetensors", "", "only.safetensors config.json"},
        {"config.json pytorch_model.bin tokenizer.json", "", "config.json"},
        {"config.json onnx/model.onnx onnx/model_int8.onnx", "", "[onnx/model.onnx]"},
        {"onnx/decoder.onnx onnx/encoder.onnx", "", "several ONNX files"},
        {"config.json", "", "config.json"},
        {"config.json m.gguf", "", "[m.gguf]"},
        {"m-00001-of-00002.gguf m-00002-of-00002.gguf", "", "[m-00001-of-00002.gguf] m-00002-of-00002.gguf"},
        {ggufs, "", "several GGUF files; say which with :FILE or a part of its name: m-Q4_K_M.gguf (1000 B), "},
        {ggufs, "Q4_K_M", "[m-Q4_K_M.gguf]"},
        {ggufs, "q4_k_s", "[m-Q4_K_S.gguf]"},
        {ggufs, "Q4_K", "several files of that name"},
        {ggufs, "Q8_0", "[m-Q8_0-00001-of-00002.gguf] m-Q8_0-00002-of-00002.gguf"},
        {ggufs, "m-Q8_0-00002-of-00002.gguf", "[m-Q8_0-00001-of-00002.gguf] m-Q8_0-00002-of-00002.gguf"},
        {ggufs, "Q2_K", "has no file 'Q2_K'"},
        {ggufs, "m-Q4_K_X.gguf", "did you mean 'm-Q4_K_M.gguf'?"},
        {"Q4/m-00001-of-00001.gguf Q8/m.gguf", "Q4", "[Q4/m-00001-of-00001.gguf]"},
        {"model_index.json unet/config.json unet/diffusion_pytorch_model.safetensors vae/x.safetensors", "unet",
         "unet/diffusion_pytorch_model.safetensors unet/config.json"},
        {"model_index.json unet/config.json unet/diffusion_pytorch_model.safetensors vae/x.safetensors", "",
         "pipeline of several models"},
        {"adapter_config.json adapter_model.safetensors", "", "[adapter_model.safetensors] adapter_config.json"},
        {"model.tflite README.md", "", "[model.tflite]"},
        {"a.tflite b.tflite", "", "several model files"},
        {"saved_model.pb keras_metadata.pb variables/variables.index variables/variables.data-00000-of-00001", "",
         "saved_model.pb keras_metadata.pb variables/variables.index"},
        {"README.md", "", "holds no model that can be read"},
        {"", "", "holds no model that can be read"},
        {"README.md config.json", "README.md", "[README.md]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) check_choice(cases[i][0], cases[i][1], cases[i][2]);
}

static void set_variables(const char *const *pairs)
{
    static const char *const names[] = {"HF_HOME",
                                        "HF_HUB_CACHE",
                                        "HUGGINGFACE_HUB_CACHE",
                                        "HF_TOKEN",
                                        "HF_TOKEN_PATH",
                                        "HUGGING_FACE_HUB_TOKEN",
                                        "HF_ENDPOINT",
                                        "HF_HUB_OFFLINE",
                                        "TRANSFORMERS_OFFLINE",
                                        "HF_HUB_DISABLE_IMPLICIT_TOKEN",
                                        "HF_HUB_ETAG_TIMEOUT",
                                        "HF_HUB_DOWNLOAD_TIMEOUT",
                                        "XDG_CACHE_HOME",
                                        "PHANTOM_GPU_HUB_RETRIES",
                                        "SSL_CERT_FILE",
                                        "REQUESTS_CA_BUNDLE",
                                        "CURL_CA_BUNDLE"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) unsetenv(names[i]);
    setenv("HOME", dir, 1);
    for (size_t i = 0; pairs[i]; i += 2) setenv(pairs[i], pairs[i + 1], 1);
}

static void test_environment(void **state)
{
    (void)state;
    char path[300], expected[300];
    hub_config c;
    arena a;
    pg_error e = PG_ERROR_INIT;
    arena_init(&a, plain, 0);
    set_variables((const char *[]){NULL});
    assert_int_equal(hub_config_read(&c, &a, &e), PG_E_OK);
    snprintf(expected, sizeof expected, "%s/.cache/huggingface/hub", dir);
    assert_string_equal(c.cache, expected);
    snprintf(expected, sizeof expected, "%s/.cache/phantom-gpu/hub", dir);
    assert_string_equal(c.own, expected);
    assert_string_equal(c.endpoint, "https://huggingface.co");
    assert_true(!c.token && !c.offline && c.connect_ms == 10000 && c.read_ms == 10000 && c.retries == 4);

    snprintf(path, sizeof path, "%s/home/token", dir);
    assert_int_equal(hub_file_write(&a, path, STR(" hf_file\n"), &e), PG_E_OK);
    set_variables((const char *[]){"HF_HOME", "~/${WHERE}", "WHERE", "home", "HF_ENDPOINT", "http://127.0.0.1:5000//",
                                   "XDG_CACHE_HOME", "/xdg", "HF_HUB_OFFLINE", "Yes", "HF_HUB_ETAG_TIMEOUT", "3",
                                   NULL});
    assert_int_equal(hub_config_read(&c, &a, &e), PG_E_OK);
    snprintf(expected, sizeof expected, "%s/home/hub", dir);
    assert_string_equal(c.cache, expected);
    assert_string_equal(c.own, "/xdg/phantom-gpu/hub");
    assert_string_equal(c.endpoint, "http://127.0.0.1:5000");
    assert_string_equal(c.token, "hf_file");
    assert_true(c.offline && c.connect_ms == 3000);

    set_variables(
        (const char *[]){"HF_HOME", "~/home", "HF_HUB_CACHE", "$NOWHERE/x", "HF_TOKEN", "\r\nhf_own \n", NULL});
    assert_int_equal(hub_config_read(&c, &a, &e), PG_E_OK);
    assert_string_equal(c.cache, "$NOWHERE/x");
    assert_string_equal(c.token, "hf_own");
    set_variables(
        (const char *[]){"HF_HOME", "~/home", "HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", "XDG_CACHE_HOME", "rel", NULL});
    assert_int_equal(hub_config_read(&c, &a, &e), PG_E_OK);
    assert_null(c.token);
    snprintf(expected, sizeof expected, "%s/.cache/phantom-gpu/hub", dir);
    assert_string_equal(c.own, expected);

    static const char *const bad[][3] = {{"HF_ENDPOINT", "huggingface.co", "HF_ENDPOINT"},
                                         {"HF_ENDPOINT", "https://user@huggingface.co", "HF_ENDPOINT"},
                                         {"HF_HUB_ETAG_TIMEOUT", "0", "HF_HUB_ETAG_TIMEOUT"},
                                         {"HF_HUB_DOWNLOAD_TIMEOUT", "9999999999", "seconds"},
                                         {"PHANTOM_GPU_HUB_RETRIES", "-1", "RETRIES"},
                                         {"HF_TOKEN", "hf_a\tX-Header: b", "HF_TOKEN"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pg_error why = PG_ERROR_INIT;
        set_variables((const char *[]){bad[i][0], bad[i][1], NULL});
        assert_int_equal(hub_config_read(&c, &a, &why), PG_E_CONFIG);
        if (!strstr(why.text, bad[i][2])) fail_msg("%s", why.text);
    }
    set_variables((const char *[]){NULL});
    unsetenv("HOME");
    pg_error why = PG_ERROR_INIT;
    assert_int_equal(hub_config_read(&c, &a, &why), PG_E_CONFIG);
    arena_free(&a);
    set_variables((const char *[]){NULL});
}

static int set_up(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/phantom-hub-XXXXXX");
    return !mkdtemp(dir);
}

static int tear_down(void **state)
{
    (void)state;
    char path[200];
    snprintf(path, sizeof path, "%s/home/token", dir);
    remove(path);
    snprintf(path, sizeof path, "%s/home", dir);
    rmdir(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),   cmocka_unit_test(test_origins),     cmocka_unit_test(test_joined_addresses),
        cmocka_unit_test(test_answers), cmocka_unit_test(test_extents),     cmocka_unit_test(test_listings),
        cmocka_unit_test(test_choices), cmocka_unit_test(test_environment),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
