#include "wire/zip.h"

#include <zlib.h>

enum { END = 22, LOCATOR = 20, END64 = 56, ENTRY = 46, LOCAL = 30, COMMENT_MOST = 0xffff };

static uint64_t get(span s, uint64_t at, int bytes)
{
    uint64_t v = 0;
    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | s.ptr[at + (uint64_t)i];
    return v;
}

static bool is_at(span s, uint64_t at, const char *magic)
{
    return at <= s.len && s.len - at >= 4 && !memcmp(s.ptr + at, magic, 4);
}

bool zip_is(span file)
{
    return is_at(file, 0, "PK\3\4") || is_at(file, 0, "PK\5\6");
}

/* The offset of the end record; the file's length when there is none. */
static uint64_t find_end(span f)
{
    if (f.len < END) return f.len;
    for (uint64_t at = f.len - END, most = at > COMMENT_MOST ? at - COMMENT_MOST : 0;; at--) {
        if (is_at(f, at, "PK\5\6") && get(f, at + 20, 2) <= f.len - at - END) return at;
        if (at == most) return f.len;
    }
}

static pg_code cut_off(span f, pg_error *e)
{
    return error_at(e, PG_E_TRUNCATED, f.len,
                    "the zip archive has no directory at its end; the file is cut off, fetch it again");
}

typedef struct directory {
    uint64_t count, size, offset;
} directory;

static pg_code read_end(span f, directory *d, pg_error *e)
{
    uint64_t at = find_end(f);
    if (at == f.len) return cut_off(f, e);
    *d = (directory){get(f, at + 10, 2), get(f, at + 12, 4), get(f, at + 16, 4)};
    if (get(f, at + 4, 2) != get(f, at + 6, 2))
        return error_at(e, PG_E_UNSUPPORTED, at, "the zip archive is in several parts; join them first");
    if (at >= LOCATOR && is_at(f, at - LOCATOR, "PK\6\7")) {
        uint64_t end64 = get(f, at - LOCATOR + 8, 8);
        if (end64 > f.len || f.len - end64 < END64 || !is_at(f, end64, "PK\6\6"))
            return error_at(e, PG_E_FORMAT, at - LOCATOR,
                            "the zip archive's 64-bit end record is not where it should be");
        *d = (directory){get(f, end64 + 32, 8), get(f, end64 + 40, 8), get(f, end64 + 48, 8)};
    }
    if (d->offset > f.len || d->size > f.len - d->offset || d->count > d->size / ENTRY)
        return error_at(e, PG_E_FORMAT, at, "the zip archive's directory of %llu entries does not fit into the file",
                        (unsigned long long)d->count);
    if (d->count > ZIP_ENTRIES)
        return error_at(e, PG_E_LIMIT, at, "the zip archive has more than %d entries", ZIP_ENTRIES);
    return PG_E_OK;
}

/* Sizes and offset that don't fit into 32 bits. False: they are missing. */
static bool read_extra(zip_entry *z, span extra)
{
    while (extra.len >= 4) {
        uint64_t id = get(extra, 0, 2), len = get(extra, 2, 2), at = 4;
        if (len > extra.len - 4) return false;
        uint64_t *wide[] = {&z->size, &z->packed, &z->header};
        for (size_t i = 0; id == 1 && i < 3; i++) {
            if (*wide[i] != UINT32_MAX) continue;
            if (at + 8 > len + 4) return false;
            *wide[i] = get(extra, at, 8);
            at += 8;
        }
        if (id == 1) return true;
        extra = (span){extra.ptr + 4 + len, extra.len - 4 - (size_t)len, 0};
    }
    return z->size != UINT32_MAX && z->packed != UINT32_MAX && z->header != UINT32_MAX;
}

pg_code zip_open(zip *z, span file, arena *a, pg_error *e)
{
    directory d = {0};
    pg_code code = read_end(file, &d, e);
    if (code) return code;
    zip_entry *list = ARENA_ARRAY(a, zip_entry, d.count);
    if (!list) return error_nomem(e, a);
    uint64_t at = d.offset, end = d.offset + d.size;
    for (uint64_t i = 0; i < d.count; i++) {
        if (end - at < ENTRY || !is_at(file, at, "PK\1\2"))
            return error_at(e, PG_E_FORMAT, at, "entry %llu of the zip archive's directory is damaged",
                            (unsigned long long)i);
        uint64_t name = get(file, at + 28, 2), extra = get(file, at + 30, 2), comment = get(file, at + 32, 2);
        if (end - at - ENTRY < name + extra + comment)
            return error_at(e, PG_E_FORMAT, at,
                            "entry %llu of the zip archive's directory is longer than the directory",
                            (unsigned long long)i);
        list[i] = (zip_entry){.name = {(const char *)file.ptr + at + ENTRY, (size_t)name},
                              .size = get(file, at + 24, 4),
                              .packed = get(file, at + 20, 4),
                              .header = get(file, at + 42, 4),
                              .method = (uint16_t)get(file, at + 10, 2)};
        if (get(file, at + 8, 2) & 1)
            return error_at(e, PG_E_UNSUPPORTED, at, "the zip archive is encrypted; unpack it first");
        if (!read_extra(&list[i], (span){file.ptr + at + ENTRY + name, (size_t)extra, 0}))
            return error_at(e, PG_E_FORMAT, at, "entry %llu of the zip archive lacks its 64-bit sizes",
                            (unsigned long long)i);
        at += ENTRY + name + extra + comment;
    }
    *z = (zip){file, list, (uint32_t)d.count};
    return PG_E_OK;
}

bool zip_has(span file, const char *name)
{
    pg_error ignored = PG_ERROR_INIT;
    directory d = {0};
    if (read_end(file, &d, &ignored)) return false;
    uint64_t at = d.offset, end = d.offset + d.size;
    size_t n = strlen(name);
    for (uint64_t i = 0; i < d.count && end - at >= ENTRY && is_at(file, at, "PK\1\2"); i++) {
        uint64_t len = get(file, at + 28, 2), more = get(file, at + 30, 2) + get(file, at + 32, 2);
        if (end - at - ENTRY < len + more) return false;
        str have = {(const char *)file.ptr + at + ENTRY, (size_t)len};
        if (str_ends(have, name) && (have.len == n || have.ptr[have.len - n - 1] == '/')) return true;
        at += ENTRY + len + more;
    }
    return false;
}

const zip_entry *zip_find(const zip *z, const char *name)
{
    const zip_entry *below = NULL;
    size_t n = strlen(name);
    for (uint32_t i = 0; i < z->count; i++) {
        str have = z->entries[i].name;
        if (str_is(have, name)) return &z->entries[i];
        if (!below && have.len > n && have.ptr[have.len - n - 1] == '/' && str_ends(have, name)) below = &z->entries[i];
    }
    return below;
}

static pg_code unpack(span packed, uint64_t size, arena *a, span *out, pg_error *e)
{
    uint8_t *to = arena_alloc(a, (size_t)size);
    if (!to) return error_nomem(e, a);
    z_stream s = {.next_in = (Bytef *)(uintptr_t)packed.ptr,
                  .avail_in = (uInt)packed.len,
                  .next_out = to,
                  .avail_out = (uInt)size};
    int status = inflateInit2(&s, -MAX_WBITS);
    if (status == Z_OK) status = inflate(&s, Z_FINISH);
    inflateEnd(&s);
    if (status != Z_STREAM_END || s.total_out != size)
        return error_at(e, PG_E_FORMAT, packed.base,
                        "an entry of the zip archive can't be unpacked; the file is damaged");
    *out = (span){to, (size_t)size, 0};
    return PG_E_OK;
}

pg_code zip_read(const zip *z, const zip_entry *entry, uint64_t most, arena *a, span *out, pg_error *e)
{
    uint64_t at = entry->header, room = z->file.len;
    if (at > room || room - at < LOCAL || !is_at(z->file, at, "PK\3\4"))
        return error_at(e, PG_E_FORMAT, at, "'%.*s' is not where the zip archive's directory says",
                        STR_ARG(entry->name));
    at += LOCAL + get(z->file, at + 26, 2) + get(z->file, at + 28, 2);
    if (at > room || room - at < entry->packed)
        return error_at(e, PG_E_TRUNCATED, at, "'%.*s' ends behind the end of the file", STR_ARG(entry->name));
    span packed = {z->file.ptr + at, (size_t)entry->packed, z->file.base + at};
    if (entry->method == 0) {
        if (entry->size != entry->packed)
            return error_at(e, PG_E_FORMAT, at, "'%.*s' has two sizes", STR_ARG(entry->name));
        *out = packed;
        return PG_E_OK;
    }
    if (entry->method != 8)
        return error_at(e, PG_E_UNSUPPORTED, at,
                        "'%.*s' is packed with method %u; only stored and deflated entries are read",
                        STR_ARG(entry->name), entry->method);
    if (entry->size > most || entry->packed > UINT32_MAX || entry->size > UINT32_MAX)
        return error_at(e, PG_E_LIMIT, at, "'%.*s' of %llu bytes is larger than this reader takes",
                        STR_ARG(entry->name), (unsigned long long)entry->size);
    /* deflate gains a factor of 1032 at most: a size that lies is found before memory is taken for it */
    if (entry->size / 1032 > entry->packed)
        return error_at(e, PG_E_FORMAT, at, "'%.*s' can't unpack to so many bytes", STR_ARG(entry->name));
    return unpack(packed, entry->size, a, out, e);
}
