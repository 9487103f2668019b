/* The database of fetched prices, opened so that nothing in it can make us do anything but read two tables. */
#ifndef PRICE_CACHE_DB_H
#define PRICE_CACHE_DB_H

#include "price/cache.h"
#include "price/sqlite.h"

#include <sys/stat.h>

/* A full table has 4 MB. */
enum { CACHE_SIZE_MOST = 16 << 20, CACHE_READ_MS = 1000, CACHE_WRITE_MS = 5000 };

#define CACHE_NO_LIBRARY "libsqlite3 3.37 or newer, which is not installed (Debian: libsqlite3-0)"

typedef struct cache_db {
    const sqlite_api *s;
    sqlite3 *h;
    bool empty; /* cache_db_check: nothing was ever written */
} cache_db;

/* What follows gives a code of SQLite. cache_db_open: close also what failed. write: makes the file. */
int cache_db_open(cache_db *db, const sqlite_api *s, const char *path, bool write);
void cache_db_close(cache_db *db);
/* SQLITE_CORRUPT: it is not ours, of another version, or damaged. To be called within a transaction. */
int cache_db_check(cache_db *db);
/* Makes the tables in an empty one. */
int cache_db_make(cache_db *db);
/* Empties it, whatever it holds; to be called first of all. */
int cache_db_empty(cache_db *db);
/* cache.c: all prices. SQLITE_CORRUPT: one makes no sense. */
int cache_db_rows(const cache_db *db, price_rows *rows, arena *a);
int cache_db_run(cache_db *db, const char *sql);
/* Whether the code says that the contents are bad, not that they can't be reached. */
bool cache_db_damaged(int code);

#endif
