/* Python pickles, protocols 0 to 5, as data: a tree of values; nothing is imported, nothing is called.
 *
 * 1. A pickle is a program for a stack machine: one byte says what to do, what it needs follows; '.' ends it.
 * 2. Protocol: \x80 and a byte; \x95 (a frame) and 8 bytes of length, which can be passed over.
 * 3. Plain values: N; \x88 \x89 (bools); I L F (a line of text); K M J (1, 2, 4 bytes), \x8a \x8b (length of 1 or 4 bytes, then an
 *    integer of so many bytes, all little-endian); G (8 bytes, big-endian).
 * 4. Text and bytes: S V (a line), T X B (4 bytes of length), U \x8c C (1), \x8d \x8e \x96 (8).
 * 5. Containers: ( marks a place; t l d make a tuple, list or dict of what lies above the mark; ) ] } \x8f empty ones;
 *    \x85 \x86 \x87 tuples of 1, 2, 3; a e append one or all above the mark, s u set one or all pairs, \x90 \x91 sets.
 * 6. Memo: p (a line), q (1 byte), r (4), \x94 (the next number) keep the top; g h j fetch it. 0, 1, 2: drop, drop to the mark, again.
 * 7. Names: c (lines: module, name), \x93 (from the stack); \x82 \x83 \x84 (a registry that files can't carry: refused).
 * 8. Objects: R (callable, arguments), \x81 (class, arguments), \x92 (and keywords), i o (older ones), b (sets an object's state), P Q
 *    (an object that is kept elsewhere: "persistent"), \x97 \x98 (buffers outside of the file: refused).
 *
 * Values are shared as the memo shares them, and may form cycles: who walks them bounds depth and steps. */
#ifndef WIRE_PICKLE_H
#define WIRE_PICKLE_H

#include "wire/span.h"

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,
    PICKLE_LONG, /* an integer of more than 64 bits: its bytes are `text` */
    PICKLE_FLOAT,
    PICKLE_TEXT,
    PICKLE_BYTES,
    PICKLE_TUPLE,
    PICKLE_LIST,
    PICKLE_SET,
    PICKLE_DICT,       /* items: key, value, key, value, ... */
    PICKLE_GLOBAL,     /* text: "module.name" */
    PICKLE_OBJECT,     /* what calling `of` with the tuple `args` would have made; items: what was put into it */
    PICKLE_PERSISTENT, /* of: its id */
    PICKLE_MARK        /* only inside of the reader */
} pickle_kind;

typedef struct pickle_value pickle_value;

struct pickle_value {
    uint8_t kind;    /* pickle_kind */
    bool pairs;      /* OBJECT: its items are pairs, as a dict's */
    uint32_t n, cap; /* items */
    union {
        int64_t i;
        double f;
        str text;
        struct {
            const pickle_value *of, *args;
        } object;
    } v;
    const pickle_value **items;
    const pickle_value *state; /* OBJECT: what BUILD gave it; NULL: nothing */
};

typedef enum pickle_call {
    PICKLE_MAKE, /* an instance of a class: its name and its attributes are taken, nothing else */
    PICKLE_RUN,  /* a function or class is called with arguments */
} pickle_call;

/* Whether what the name stands for is known to be harmless data when it is made or called in this way. */
typedef bool pickle_allow(str name, pickle_call how);

/* Reads one pickle from the front of *in, which then begins behind it. What `allow` does not know is PG_E_UNSUPPORTED, with
 * the name of what the pickle wanted to call. Values point into `in` and live in the arena. */
pg_code pickle_read(span *in, pickle_allow *allow, arena *a, const pickle_value **out, pg_error *e);

/* The value of a text key in a dict, or in an object's items or state; NULL: not there. */
const pickle_value *pickle_get(const pickle_value *dict, const char *key);
/* An OBJECT made by calling or instantiating this global. */
bool pickle_is(const pickle_value *v, const char *name);
/* Argument or item i of an OBJECT, tuple or list; NULL: not there. */
const pickle_value *pickle_arg(const pickle_value *object, uint32_t i);
const pickle_value *pickle_item(const pickle_value *list, uint32_t i);

#endif
