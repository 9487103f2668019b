/* Shared by hdf5*.c. */
#ifndef WIRE_HDF5_INTERNAL_H
#define WIRE_HDF5_INTERNAL_H

#include "wire/hdf5.h"

/* A place in the file and the end of what may be read there. A read past the end gives zeros and sets `bad`, once and for all. */
typedef struct hdf5_cursor {
    const hdf5 *h;
    uint64_t at, end;
    bool bad;
} hdf5_cursor;

/* At most `room` bytes from `at` on; bad at once when `at` is not in the file. */
hdf5_cursor hdf5_at(const hdf5 *h, uint64_t at, uint64_t room);
uint64_t hdf5_take(hdf5_cursor *c, unsigned bytes); /* at most 8 */
void hdf5_skip(hdf5_cursor *c, uint64_t bytes);
bool hdf5_magic(hdf5_cursor *c, const char *four);

static inline uint64_t hdf5_offset(hdf5_cursor *c)
{
    return hdf5_take(c, c->h->o);
}
static inline uint64_t hdf5_length(hdf5_cursor *c)
{
    return hdf5_take(c, c->h->l);
}
static inline bool hdf5_none(const hdf5 *h, uint64_t offset)
{
    return offset == (h->o >= 8 ? UINT64_MAX : (1ull << (8 * h->o)) - 1);
}

/* Counts one step; an error once there were too many. */
pg_code hdf5_step(hdf5 *h, pg_error *e);
pg_code hdf5_damaged(const hdf5 *h, uint64_t at, const char *what, pg_error *e);

pg_code hdf5_add_link(hdf5 *h, hdf5_object *out, hdf5_cursor message, pg_error *e);
pg_code hdf5_add_attr(hdf5 *h, hdf5_object *out, hdf5_cursor message, pg_error *e);
/* hdf5_heap.c: links or attributes that a fractal heap holds, by the tree of their names. */
pg_code hdf5_read_dense(hdf5 *h, hdf5_object *out, uint64_t heap, uint64_t tree, pg_error *e);

#endif
