#include "gpu/suggest.h"

#include "base/format.h"

enum { SUGGEST_MAX = 3, NOT_CLOSE = 1000, BEGINS = 8, WORDS = 16, WINDOW = 12 };

static bool contains(str s, str part)
{
    for (size_t i = 0; part.len && i + part.len <= s.len; i++)
        if (memcmp(s.ptr + i, part.ptr, part.len) == 0) return true;
    return false;
}

/* Every word of the query ("RTX 6000": "rtx", "6000") occurs in the folded name. */
static bool has_words(str query, str folded)
{
    size_t i = 0, letters = 0;
    while (i < query.len) {
        char buffer[GPU_NAME_MAX];
        size_t start = i;
        while (i < query.len && query.ptr[i] != ' ' && query.ptr[i] != '-' && query.ptr[i] != '_') i++;
        str word = {buffer, str_fold(buffer, sizeof buffer, (str){query.ptr + start, i - start})};
        if (!str_is(word, "nvidia")) {
            if (word.len && !contains(folded, word)) return false;
            letters += word.len;
        }
        if (i < query.len) i++;
    }
    return letters >= 2;
}

/* 0 is best: ten a typed letter that differs, less what the beginnings share. */
static int score_name(str query, str name)
{
    char a[GPU_NAME_MAX], b[GPU_NAME_MAX];
    str x = {a, str_fold(a, sizeof a, query)}, y = {b, str_fold(b, sizeof b, name)};
    unsigned most = (unsigned)(x.len / 3) + 1;
    if (most > 4) most = 4;
    unsigned distance = str_distance(x, y, most);
    int score = NOT_CLOSE, prefix = 0;
    while ((size_t)prefix < x.len && (size_t)prefix < y.len && x.ptr[prefix] == y.ptr[prefix]) prefix++;
    if (distance <= most && distance < x.len) score = 10 * (int)distance - prefix + 10;
    int words = (size_t)prefix == x.len ? BEGINS : WORDS;
    return has_words(query, y) && score > words ? words : score;
}

static int score_entry(str query, const gpu_entry *g)
{
    int best = score_name(query, g->f.spec.key), score = score_name(query, g->f.spec.name);
    if (score < best) best = score;
    for (size_t i = 0; i < g->alias_count; i++) {
        score = score_name(query, g->aliases[i]);
        if (score < best) best = score;
    }
    return best;
}

void suggest_names(const gpu_catalog *c, str name, const gpu_entry *skip, char *out, size_t cap)
{
    size_t found[SUGGEST_MAX], n = 0, used = 0;
    int scores[SUGGEST_MAX];
    out[0] = '\0';
    if (name.len >= GPU_NAME_MAX) return;
    for (size_t i = 0; i < c->count; i++) {
        int score = c->entries[i] == skip ? NOT_CLOSE : score_entry(name, c->entries[i]);
        if (score >= NOT_CLOSE) continue;
        size_t k = n < SUGGEST_MAX ? n++ : SUGGEST_MAX; /* insertion: the first of equals stays first */
        if (k == SUGGEST_MAX && score >= scores[--k]) continue;
        for (; k > 0 && scores[k - 1] > score; k--) {
            found[k] = found[k - 1];
            scores[k] = scores[k - 1];
        }
        found[k] = i;
        scores[k] = score;
    }
    while (n && scores[n - 1] > scores[0] + WINDOW) n--;
    for (size_t i = 0; i < n && used < cap; i++)
        used += format_text(out + used, cap - used, "%s%.*s",
                            i == 0       ? ""
                            : i + 1 == n ? " or "
                                         : ", ",
                            STR_ARG(c->entries[found[i]]->f.spec.key));
}
