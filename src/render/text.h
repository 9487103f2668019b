/* Text for a terminal: how wide it is, what of it is safe to print, and where it may be broken. */
#ifndef RENDER_TEXT_H
#define RENDER_TEXT_H

#include "base/json.h"

/* Columns that valid UTF-8 takes: 0 for combining characters, 2 for East Asian wide ones and most emoji. */
size_t text_width(str s);
/* Appends names from files so that they can't control the terminal or reorder the line: control characters, bytes that
 * are not UTF-8 and direction marks become visible ("\x1b"). ascii: everything beyond ASCII becomes '?'. */
void text_clean(buffer *out, str s, bool ascii);
/* The first bytes that take at most `width` columns. */
str text_cut(str s, size_t width);
/* Appends s broken at spaces so that no line passes `width` columns; the first line starts at column `at`, the others
 * are indented by `indent`. A word that is wider than a line is not broken. No line break at the end. */
void text_wrap(buffer *out, str s, size_t at, size_t indent, size_t width);

#endif
