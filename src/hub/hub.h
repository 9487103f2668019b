/* A model of the Hugging Face Hub on this machine: what says how it is built, and never its weights. */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "hub/config.h"
#include "hub/name.h"

enum { HUB_NOTES = 4 };

typedef struct hub_result {
    const char *path;             /* a file or a folder, as any other model's */
    const char *name;             /* "org/name", with the file behind it where one was asked for */
    const char *notes[HUB_NOTES]; /* what a person should know */
    size_t note_count;
    bool unlisted;     /* of an error: already what the repository holds could not be found out */
    unsigned requests; /* HTTP requests and bytes of bodies */
    uint64_t bytes;
} hub_result;

/* Fetches what is not in the cache yet. Texts of the result lie in the arena. The errors' texts go behind the name:
 * "org/name: has no revision 'x'". */
pg_code hub_open(hub_result *out, const hub_name *name, const hub_config *config, arena *a, pg_error *e);

#endif
