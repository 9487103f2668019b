/* JSON text to jansson's tree, within bounds: the tree of a hostile text takes 80 times its length. */
#ifndef WIRE_JSON_TEXT_H
#define WIRE_JSON_TEXT_H

#include "wire/span.h"

#include <jansson.h>

enum { JSON_TEXT_MOST = 64 << 20, JSON_VALUES_MOST = 1 << 20, JSON_DEPTH_MOST = 128 };

/* The tree, to be freed with json_decref; NULL: *e says what is wrong, with line and column. `what` names the text in messages
 * ("config.json"). Of what Python's json writes and JSON has not, Infinity is read as
 * null and NaN as 0. */
json_t *json_text_read(span text, const char *what, pg_error *e);

/* Members of an object; the fallback where they are not there, null, or of another type. */
int64_t json_get_int(const json_t *object, const char *key, int64_t fallback);
double json_get_real(const json_t *object, const char *key, double fallback);
const char *json_get_text(const json_t *object, const char *key, const char *fallback);
bool json_get_bool(const json_t *object, const char *key, bool fallback);

#endif
