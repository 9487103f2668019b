#include "base/error.h"
#include "gpu/catalog.h"

static name_slot *slot_of(name_slot *slots, size_t cap, str folded)
{
    size_t i = (size_t)str_hash(folded) & (cap - 1);
    while (slots[i].folded.ptr && !str_eq(slots[i].folded, folded)) i = (i + 1) & (cap - 1);
    return &slots[i];
}

static ptrdiff_t find_folded(const gpu_catalog *c, str folded)
{
    if (!c->names_cap || !folded.len) return -1;
    const name_slot *s = slot_of(c->names, c->names_cap, folded);
    return s->folded.ptr ? (ptrdiff_t)s->entry : -1;
}

/* "RTX PRO 5000 Blackwell" where the table has the maker's name in front. */
static ptrdiff_t find_branded(const gpu_catalog *c, str folded)
{
    static const char *const brands[] = {"nvidia", "nvidiageforce", "nvidiatesla", "tesla", "amd"};
    char buffer[GPU_NAME_MAX];
    for (size_t i = 0; i < sizeof brands / sizeof brands[0] && folded.len; i++) {
        size_t n = strlen(brands[i]);
        if (n + folded.len > sizeof buffer) continue;
        memcpy(buffer, brands[i], n);
        memcpy(buffer + n, folded.ptr, folded.len);
        ptrdiff_t found = find_folded(c, (str){buffer, n + folded.len});
        if (found >= 0) return found;
    }
    return -1;
}

ptrdiff_t names_find(const gpu_catalog *c, str name)
{
    static const char *const prefixes[] = {"", "nvidia", "geforce", "tesla"};
    char buffer[GPU_NAME_MAX];
    if (name.len >= sizeof buffer) return -1;
    str folded = {buffer, str_fold(buffer, sizeof buffer, name)};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (!str_starts(folded, prefixes[i])) continue;
        size_t n = strlen(prefixes[i]);
        folded = (str){folded.ptr + n, folded.len - n};
        ptrdiff_t found = find_folded(c, folded);
        if (found >= 0) return found;
    }
    return find_branded(c, folded);
}

static bool names_grow(gpu_catalog *c)
{
    size_t cap = c->names_cap ? c->names_cap * 2 : 1024;
    name_slot *slots = ARENA_ARRAY(&c->a, name_slot, cap);
    if (!slots) return false;
    for (size_t i = 0; i < c->names_cap; i++)
        if (c->names[i].folded.ptr) *slot_of(slots, cap, c->names[i].folded) = c->names[i];
    c->names = slots;
    c->names_cap = cap;
    return true;
}

pg_code names_add(gpu_catalog *c, str name, size_t entry, bool weak, size_t *owner, pg_error *e)
{
    char buffer[GPU_NAME_MAX];
    str folded = {buffer, str_fold(buffer, sizeof buffer, name)};
    if (c->names_used * 2 >= c->names_cap && !names_grow(c)) return error_nomem(e, &c->a);
    name_slot *s = slot_of(c->names, c->names_cap, folded);
    if (!s->folded.ptr) {
        str copy = str_copy(&c->a, folded);
        if (!copy.ptr) return error_nomem(e, &c->a);
        *s = (name_slot){copy, (uint32_t)entry, weak};
        c->names_used++;
    } else if (s->weak && !weak) {
        *s = (name_slot){s->folded, (uint32_t)entry, false};
    } else if (s->entry != entry && !weak) {
        *owner = s->entry;
        return PG_E_CONFIG;
    }
    return PG_E_OK;
}
