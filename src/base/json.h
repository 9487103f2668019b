/* A growing text buffer, and a JSON writer (RFC 8259) on top of it.
 *
 * Both are sticky: after a failed allocation every call does nothing and `failed` says so, so that only the end has to
 * be checked. A buffer is always terminated once something was written to it. */
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
enum { JSON_DEPTH = 32 };

typedef struct json {
    buffer *out;
    int depth, inline_from;  /* containers deeper than inline_from stay on one line */
    bool member[JSON_DEPTH]; /* the container of this depth holds something */
    char close[JSON_DEPTH];
    bool after_key;
} json;

typedef enum json_layout { JSON_LINES, JSON_INLINE } json_layout;

void json_init(json *j, buffer *out);
void json_open_object(json *j, json_layout layout);
void json_open_array(json *j, json_layout layout);
void json_end(json *j);
void json_key(json *j, const char *key);
/* Invalid UTF-8 becomes U+FFFD; control characters, DEL and C1 are escaped. NULL: null. */
void json_text(json *j, const char *text);
void json_str(json *j, str text);
/* Infinite and not a number: null. */
void json_number(json *j, double x);
/* The same, and a negative number is null too: how the library says "not known". */
void json_known(json *j, double x);
void json_put_integer(json *j, int64_t x);
void json_bool(json *j, bool x);
void json_put_null(json *j);
/* The end of a document: the closing line break. */
void json_finish(json *j);

#endif
