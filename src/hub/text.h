/* Small things that the files of hub/ share: texts in an arena, files by path. */
#ifndef HUB_TEXT_H
#define HUB_TEXT_H

#include "base/error.h"
#include "wire/span.h"

/* As printf, into the arena; NULL: out of memory. */
char *hub_text(arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Text from a server for a message: one line, no control characters, at most cap - 1 bytes. */
void hub_clean(char *out, size_t cap, str text);

/* The whole of a small file into the arena; ptr NULL: not there, or more than `most` bytes. */
str hub_file_read(arena *a, const char *path, size_t most);
/* Whether that is what the file holds. */
bool hub_file_has(const char *path, str bytes);
/* Makes the folder and those above it. */
pg_code hub_folder_make(const char *path, pg_error *e);
/* The same for the folder that the file lies in. */
pg_code hub_folder_for(const char *file, pg_error *e);
/* Whole or not at all: a temporary file beside it, renamed. The folder is made. Not synced: what is written so is checked when it
 * is read, and asked for again where a crash emptied it. */
pg_code hub_file_write(arena *a, const char *path, str bytes, pg_error *e);
/* A new file beside `path`, with a name that nobody else has; -1 with *e set. *name is what to rename or remove. */
int hub_temporary(arena *a, const char *path, const char **name, pg_error *e);
/* Syncs where asked to, closes and renames; on failure the temporary file is gone. */
pg_code hub_keep(int fd, const char *temporary, const char *path, bool sync, pg_error *e);
/* What errno says of writing below a cache, and what helps. */
pg_code hub_write_error(pg_error *e, int err, const char *path);

#endif
