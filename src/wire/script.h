/* TorchScript's source as it stands in archives: a subset of Python, to a tree.
 *
 * 1. Lines; blocks by indentation; inside of brackets line ends don't count. '#' begins a comment.
 * 2. File: class NAME(BASE): and def, assignments.
 * 3. Class: NAME : TYPE, NAME : Final[TYPE] = VALUE, __parameters__ = [...], def.
 * 4. def NAME(ARG: TYPE=VALUE, ...) -> TYPE: BLOCK
 * 5. Statements: targets = value (also with a type, also a, b, = value), expression, return, if/elif/else, for NAME in EXPRESSION,
 *    while, with EXPRESSION as NAME, pass, break, continue, assert, del, raise.
 * 6. Expressions: names, numbers (inf and nan are names), text, (...), [...], {...}, a.b, a(b, c=d), a[b], a[b:c], unary and binary
 *    operators, a if b else c, lambda is not.
 *
 * Text points into the source. */
#ifndef WIRE_SCRIPT_H
#define WIRE_SCRIPT_H

#include "wire/span.h"

typedef enum script_kind {
    /* expressions */
    SCRIPT_NAME,  /* text */
    SCRIPT_INT,   /* i */
    SCRIPT_FLOAT, /* f */
    SCRIPT_TEXT,  /* text, quotes removed, escapes as they stand */
    SCRIPT_NONE,
    SCRIPT_BOOL,      /* i */
    SCRIPT_TUPLE,     /* items */
    SCRIPT_LIST,      /* items */
    SCRIPT_DICT,      /* items: key, value, ... */
    SCRIPT_ATTRIBUTE, /* a . text */
    SCRIPT_CALL,      /* a ( items ), SCRIPT_KEYWORD among them */
    SCRIPT_KEYWORD,   /* text = a */
    SCRIPT_INDEX,     /* a [ b ] */
    SCRIPT_SLICE,     /* a : b : c, each may be NULL */
    SCRIPT_OPERATOR,  /* a text b; unary: b NULL */
    SCRIPT_CHOICE,    /* a if b else c */
    /* statements */
    SCRIPT_ASSIGN, /* items (targets) = a; b: the type, if one is given */
    SCRIPT_DO,     /* a */
    SCRIPT_RETURN, /* a, or NULL */
    SCRIPT_IF,     /* a: items, else: others */
    SCRIPT_FOR,    /* b in a: items */
    SCRIPT_WHILE,  /* a: items */
    SCRIPT_WITH,   /* a: items */
    SCRIPT_PASS,
    SCRIPT_BREAK,
    SCRIPT_CONTINUE,
    SCRIPT_RAISE,   /* a, or NULL */
    SCRIPT_CLASS,   /* text: items; a: its base */
    SCRIPT_DEF,     /* text(others: SCRIPT_ARGUMENT) -> a: items */
    SCRIPT_ARGUMENT /* text : b = a, each may be NULL */
} script_kind;

typedef struct script_node script_node;

typedef struct script_list {
    const script_node **v;
    uint32_t n, cap;
} script_list;

struct script_node {
    uint8_t kind; /* script_kind */
    uint32_t line;
    union {
        str text;
        int64_t i;
        double f;
    } v;
    const script_node *a, *b, *c;
    script_list items, others;
};

enum { SCRIPT_DEPTH = 200 };

/* The statements of a source file. Errors have the line. */
pg_code script_parse(span source, arena *a, script_list *out, pg_error *e);

#endif
