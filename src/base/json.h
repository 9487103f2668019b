/* A growing text buffer, and a JSON writer (RFC 8259) on top of it.
 *
 * Both are sticky: after a failed allocation every call does nothing and `failed` says so, so that only the end has to
 * be checked. A buffer is always terminated once something was written to it. Names begin with jsonw_, since those with json_ are
 * libjansson's, which reads. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/format.h"
#include "base/str.h"

typedef struct buffer {
    allocator alloc;
    char *ptr; /* NULL until something was written */
    size_t len, cap;
    bool failed;
} buffer;

void buffer_init(buffer *b, allocator alloc);
void buffer_free(buffer *b);
void buffer_put(buffer *b, const char *bytes, size_t len);
void buffer_text(buffer *b, const char *text); /* NULL: nothing */
void buffer_char(buffer *b, char c);
void buffer_fill(buffer *b, char c, size_t count);
void buffer_format(buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* One character of UTF-8 at p: stores its length (1 for a byte that is not part of valid UTF-8) and returns the code
 * point, or UINT32_MAX where the bytes are not valid (overlong, surrogate, cut off, over U+10FFFF). len must not be 0. */
uint32_t utf8_next(const char *p, size_t len, size_t *used);

/* The members of an object or array stand on lines of their own, indented by two spaces, unless it or one around it was
 * begun inline. The writer puts commas and colons; balancing begin and end is the caller's. */
enum { JSONW_DEPTH = 32 };

typedef struct jsonw {
    buffer *out;
    int depth, inline_from;   /* containers deeper than inline_from stay on one line */
    bool member[JSONW_DEPTH]; /* the container of this depth holds something */
    char close[JSONW_DEPTH];
    bool after_key;
} jsonw;

typedef enum jsonw_layout { JSONW_LINES, JSONW_INLINE } jsonw_layout;

void jsonw_init(jsonw *j, buffer *out);
void jsonw_object(jsonw *j, jsonw_layout layout);
void jsonw_array(jsonw *j, jsonw_layout layout);
void jsonw_end(jsonw *j);
void jsonw_key(jsonw *j, const char *key);
/* Invalid UTF-8 becomes U+FFFD; control characters, DEL and C1 are escaped. NULL: null. */
void jsonw_text(jsonw *j, const char *text);
void jsonw_str(jsonw *j, str text);
/* Infinite and not a number: null. */
void jsonw_number(jsonw *j, double x);
/* The same, and a negative number is null too: how the library says "not known". */
void jsonw_known(jsonw *j, double x);
void jsonw_integer(jsonw *j, int64_t x);
void jsonw_bool(jsonw *j, bool x);
void jsonw_null(jsonw *j);
/* The end of a document: the closing line break. */
void jsonw_finish(jsonw *j);

#endif
