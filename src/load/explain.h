/* What a file or folder is that isn't read, and what to do about it: for the error. */
#ifndef LOAD_EXPLAIN_H
#define LOAD_EXPLAIN_H

#include "load/load.h"

/* What Git puts in the place of a large file that wasn't fetched. */
bool load_is_pointer(span file);
/* Whether the bytes are known to be something that no reader takes. */
bool load_is_other(span file);
/* `names`: of the formats that are read. */
void load_explain(const load_input *in, const char *names, pg_error *e);
void load_explain_folder(const load_input *in, pg_error *e);

#endif
