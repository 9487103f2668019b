#include "base/str.h"

bool str_starts(str s, const char *prefix)
{
    size_t n = strlen(prefix);
    return s.len >= n && memcmp(s.ptr, prefix, n) == 0;
}

bool str_ends(str s, const char *suffix)
{
    size_t n = strlen(suffix);
    return s.len >= n && memcmp(s.ptr + s.len - n, suffix, n) == 0;
}

str str_copy(arena *a, str s)
{
    char *p = arena_alloc(a, s.len + 1);
    if (!p) return (str){NULL, 0};
    if (s.len) memcpy(p, s.ptr, s.len);
    return (str){p, s.len};
}

uint64_t str_hash(str s)
{
    uint64_t h = 0xcbf29ce484222325u ^ s.len, word; /* FNV by words of eight bytes; the mixing keeps low bits usable */
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        memcpy(&word, s.ptr + i, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    word = 0;
    if (i < s.len) memcpy(&word, s.ptr + i, s.len - i);
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ (h >> 29);
}

size_t str_fold(char *out, size_t cap, str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len && n + 1 < cap; i++) {
        char c = s.ptr[i];
        if (c == ' ' || c == '-' || c == '_') continue;
        out[n++] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    if (cap) out[n] = '\0';
    return n;
}

unsigned str_distance(str a, str b, unsigned most)
{
    enum { MAX = 64 };
    unsigned row[3][MAX + 1];
    if (a.len > MAX || b.len > MAX) return most + 1;
    for (unsigned j = 0; j <= b.len; j++) row[0][j] = j;
    unsigned *before = row[2], *prev = row[0], *cur = row[1];
    for (unsigned i = 1; i <= a.len; i++) {
        cur[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned d = prev[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]);
            if (prev[j] + 1 < d) d = prev[j] + 1;
            if (cur[j - 1] + 1 < d) d = cur[j - 1] + 1;
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1] && before[j - 2] + 1 < d)
                d = before[j - 2] + 1;
            cur[j] = d;
        }
        unsigned *t = before;
        before = prev;
        prev = cur;
        cur = t;
    }
    return prev[b.len] > most ? most + 1 : prev[b.len];
}
