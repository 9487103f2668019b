/* URLs as far as a client needs them that sends a secret to one host and to no other. */
#ifndef HUB_URL_H
#define HUB_URL_H

#include "base/error.h"

/* "scheme://host:port" of a URL, in lower case and with the scheme's port written out, so that equal origins are equal texts.
 * false for anything but http and https, for user names, and for characters that no host has: parsers disagree on those. */
enum { URL_ORIGIN_SIZE = 300, URL_MOST = 8192 };
bool url_origin(char out[URL_ORIGIN_SIZE], str url);
bool url_same_origin(str a, str b);
bool url_is_https(str url);
/* The host alone, for messages. */
str url_host(str url);
/* What a Location header means, seen from `base`; NULL: it can't be followed, or out of memory. */
const char *url_join(arena *a, str base, str location);
/* Percent-encodes what isn't safe in a path; '/' only where it does not separate (`whole`). Appends; NULL on no memory. */
const char *url_encode(arena *a, str text, bool whole);

#endif
