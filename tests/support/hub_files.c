#include "support/hub_files.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void put(bytes *b, const void *from, size_t n)
{
    size_t cap = 64;
    while (cap < b->len) cap *= 2;
    if (!b->ptr || b->len + n > cap) { /* doubled: under ASan each step is a copy that stays around for a while */
        while (cap < b->len + n) cap *= 2;
        b->ptr = realloc(b->ptr, cap);
        if (!b->ptr) abort();
    }
    memcpy(b->ptr + b->len, from, n);
    b->len += n;
}

/* The order in which put_number writes. */
static bool big;

void put_number(bytes *b, uint64_t x, size_t n)
{
    unsigned char raw[8];
    for (size_t i = 0; i < n; i++) raw[big ? n - 1 - i : i] = (unsigned char)(x >> (8 * i));
    put(b, raw, n);
}

void put_string(bytes *b, const char *text)
{
    put_number(b, strlen(text), 8);
    put(b, text, strlen(text));
}

bytes hub_safetensors_header(size_t n)
{
    static const char text[] = "{\"w\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,16]}}";
    bytes b = {NULL, 0};
    put_number(&b, n, 8);
    put(&b, text, sizeof text - 1);
    while (b.len < n + 8) put(&b, " ", 1);
    return b;
}

bytes gguf_header(unsigned words)
{
    bytes b = {NULL, 0};
    put(&b, "GGUF", 4);
    put_number(&b, 3, 4);
    put_number(&b, 1, 8);
    put_number(&b, 4, 8);
    put_string(&b, "general.architecture");
    put_number(&b, 8, 4);
    put_string(&b, "llama");
    put_string(&b, "some.floats");
    put_number(&b, 9, 4);
    put_number(&b, 6, 4);
    put_number(&b, 3, 8);
    put(&b, "            ", 12);
    put_string(&b, "some.flag");
    put_number(&b, 7, 4);
    put(&b, "\1", 1);
    put_string(&b, "tokenizer.words");
    put_number(&b, 9, 4);
    put_number(&b, 8, 4);
    put_number(&b, words, 8);
    for (unsigned i = 0; i < words; i++) put_string(&b, "a word of some length");
    put_string(&b, "blk.0.weight");
    put_number(&b, 2, 4);
    put_number(&b, 32, 8);
    put_number(&b, 32, 8);
    put_number(&b, 2, 4);
    put_number(&b, 0, 8);
    return b;
}

bytes gguf_header_big(unsigned words)
{
    big = true;
    bytes b = gguf_header(words);
    big = false;
    return b;
}
