/* Shared by script_token.c, which takes the source apart, and script.c, which puts it together as a tree. */
#ifndef WIRE_SCRIPT_INTERNAL_H
#define WIRE_SCRIPT_INTERNAL_H

#include "wire/script.h"

enum { SCRIPT_INDENTS = 100 };

typedef enum script_token_kind {
    TOKEN_END,
    TOKEN_LINE_END,
    TOKEN_INDENT,
    TOKEN_DEDENT,
    TOKEN_NAME,
    TOKEN_NUMBER,
    TOKEN_TEXT,
    TOKEN_SIGN
} script_token_kind;

typedef struct script_token {
    script_token_kind kind;
    str text;
    uint32_t line;
} script_token;

typedef struct script_parser {
    str in;
    size_t at;
    arena *a;
    pg_error *e;
    script_token t; /* the current one */
    uint32_t line;
    int brackets, depth;
    bool line_start;
    int dedents; /* still to be given out */
    size_t indents[SCRIPT_INDENTS];
    int n_indents;
    pg_code code;
} script_parser;

/* The source is damaged at the current token; says so once. */
pg_code script_fail(script_parser *p, const char *what);
/* The next token; TOKEN_END once something failed. */
void script_next(script_parser *p);
bool script_is_sign(const script_parser *p, const char *s);
bool script_is_word(const script_parser *p, const char *s);
/* Takes the token if it is this sign or word. */
bool script_accept(script_parser *p, const char *s);
void script_expect(script_parser *p, const char *s);

#endif
