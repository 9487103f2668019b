#ifndef PHANTOM_NO_HUB

#include "price/sqlite.h"

#include "hub/library.h"

#include <pthread.h>

static sqlite_api api;
static bool loaded;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    static const char *const libraries[] = {"libsqlite3.so.0", "libsqlite3.dylib"};
#define FUNCTION(name)                               \
    {                                                \
        "sqlite3_" #name, offsetof(sqlite_api, name) \
    }
    static const library_function functions[] = {
        FUNCTION(libversion_number), FUNCTION(open_v2),     FUNCTION(close_v2),
        FUNCTION(db_config),         FUNCTION(limit),       FUNCTION(busy_timeout),
        FUNCTION(system_errno),      FUNCTION(errstr),      FUNCTION(exec),
        FUNCTION(prepare_v2),        FUNCTION(step),        FUNCTION(reset),
        FUNCTION(finalize),          FUNCTION(bind_text),   FUNCTION(bind_double),
        FUNCTION(bind_int64),        FUNCTION(bind_null),   FUNCTION(column_type),
        FUNCTION(column_bytes),      FUNCTION(column_text), FUNCTION(column_double),
        FUNCTION(column_int64),      FUNCTION(db_readonly),
    };
#undef FUNCTION
    loaded = library_load(&api, libraries, sizeof libraries / sizeof libraries[0], functions,
                          sizeof functions / sizeof functions[0]) &&
             api.libversion_number() >= SQLITE_OLDEST;
}

const sqlite_api *sqlite_load(void)
{
    pthread_once(&once, load);
    return loaded ? &api : NULL;
}

#endif
