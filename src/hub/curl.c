#include "hub/curl.h"

#include "hub/library.h"

#include <pthread.h>

static curl_api api;
static bool loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const char *const libraries[] = {"libcurl.so.4", "libcurl-gnutls.so.4", "libcurl.4.dylib"};
    static const library_function functions[] = {
        {"curl_global_init", offsetof(curl_api, global_init)},
        {"curl_easy_init", offsetof(curl_api, easy_init)},
        {"curl_easy_setopt", offsetof(curl_api, easy_setopt)},
        {"curl_easy_perform", offsetof(curl_api, easy_perform)},
        {"curl_easy_getinfo", offsetof(curl_api, easy_getinfo)},
        {"curl_easy_reset", offsetof(curl_api, easy_reset)},
        {"curl_easy_cleanup", offsetof(curl_api, easy_cleanup)},
        {"curl_easy_strerror", offsetof(curl_api, easy_strerror)},
        {"curl_slist_append", offsetof(curl_api, slist_append)},
        {"curl_slist_free_all", offsetof(curl_api, slist_free_all)},
        {"curl_multi_init", offsetof(curl_api, multi_init)},
        {"curl_multi_add_handle", offsetof(curl_api, multi_add_handle)},
        {"curl_multi_remove_handle", offsetof(curl_api, multi_remove_handle)},
        {"curl_multi_perform", offsetof(curl_api, multi_perform)},
        {"curl_multi_poll", offsetof(curl_api, multi_poll)},
        {"curl_multi_info_read", offsetof(curl_api, multi_info_read)},
        {"curl_multi_cleanup", offsetof(curl_api, multi_cleanup)},
    };
    loaded = library_load(&api, libraries, sizeof libraries / sizeof libraries[0], functions,
                          sizeof functions / sizeof functions[0]) &&
             api.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

const curl_api *curl_load(pg_error *e)
{
    pthread_once(&once, load);
    if (loaded) return &api;
    error_set(
        e, PG_E_UNSUPPORTED,
        "libcurl is needed for the network and is not installed (Debian: libcurl4); without it, files and built-in "
        "models work");
    return NULL;
}
