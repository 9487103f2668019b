/* SQLite, loaded when fetched prices are read or kept: what starts without them should not pay for it. */
#ifndef PRICE_SQLITE_H
#define PRICE_SQLITE_H

#include <sqlite3.h>

typedef struct sqlite_api {
    int (*libversion_number)(void);
    int (*open_v2)(const char *path, sqlite3 **db, int flags, const char *vfs);
    int (*close_v2)(sqlite3 *db);
    int (*db_config)(sqlite3 *db, int option, ...);
    int (*limit)(sqlite3 *db, int what, int most);
    int (*busy_timeout)(sqlite3 *db, int ms);
    int (*system_errno)(sqlite3 *db);
    int (*db_readonly)(sqlite3 *db, const char *name);
    const char *(*errstr)(int code);
    int (*exec)(sqlite3 *db, const char *sql, int (*row)(void *, int, char **, char **), void *ud, char **message);
    int (*prepare_v2)(sqlite3 *db, const char *sql, int size, sqlite3_stmt **out, const char **rest);
    int (*step)(sqlite3_stmt *s);
    int (*reset)(sqlite3_stmt *s);
    int (*finalize)(sqlite3_stmt *s);
    int (*bind_text)(sqlite3_stmt *s, int at, const char *text, int size, void (*drop)(void *));
    int (*bind_double)(sqlite3_stmt *s, int at, double value);
    int (*bind_int64)(sqlite3_stmt *s, int at, sqlite3_int64 value);
    int (*bind_null)(sqlite3_stmt *s, int at);
    int (*column_type)(sqlite3_stmt *s, int at);
    int (*column_bytes)(sqlite3_stmt *s, int at);
    const unsigned char *(*column_text)(sqlite3_stmt *s, int at);
    double (*column_double)(sqlite3_stmt *s, int at);
    sqlite3_int64 (*column_int64)(sqlite3_stmt *s, int at);
} sqlite_api;

/* The functions; NULL: the library is not installed, or older than SQLITE_OLDEST. Loaded once for the whole process. */
const sqlite_api *sqlite_load(void);

enum { SQLITE_OLDEST = 3037000 }; /* has strict tables */

#endif
