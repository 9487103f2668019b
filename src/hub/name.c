#include "hub/name.h"

enum { REPOSITORY_MOST = 96, PATH_MOST = 1024, ID_MOST = 128 };

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* The rules of the Hub for an owner or a name, so that no path is taken for one. */
static bool part_ok(str s)
{
    if (!s.len || s.ptr[0] == '-' || s.ptr[0] == '.') return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if (!is_alnum(c) && c != '_' && c != '-' && c != '.') return false;
        if (i && (c == '-' || c == '.') && s.ptr[i - 1] == c) return false;
    }
    return s.ptr[s.len - 1] != '-' && s.ptr[s.len - 1] != '.' && !str_ends(s, ".git");
}

static size_t find(str s, char c)
{
    size_t i = 0;
    while (i < s.len && s.ptr[i] != c) i++;
    return i;
}

static str from(str s, size_t at)
{
    return at < s.len ? (str){s.ptr + at, s.len - at} : (str){s.ptr + s.len, 0};
}

static bool repository_ok(str s, bool single)
{
    size_t slash = find(s, '/');
    if (s.len > REPOSITORY_MOST || !part_ok((str){s.ptr, slash})) return false;
    return slash == s.len ? single : part_ok(from(s, slash + 1));
}

bool hub_path_ok(str path)
{
    if (!path.len || path.len > PATH_MOST || path.ptr[0] == '/') return false;
    for (size_t i = 0, start = 0; i <= path.len; i++) {
        if (i < path.len && ((unsigned char)path.ptr[i] < 0x20 || path.ptr[i] == 0x7f || path.ptr[i] == '\\'))
            return false;
        if (i < path.len && path.ptr[i] != '/') continue;
        str part = {path.ptr + start, i - start};
        if (!part.len || part.len > 255 || str_is(part, ".") || str_is(part, "..")) return false;
        start = i + 1;
    }
    return true;
}

bool hub_id_ok(str id)
{
    if (!id.len || id.len > ID_MOST) return false;
    for (size_t i = 0; i < id.len; i++)
        if (!is_alnum(id.ptr[i]) && id.ptr[i] != '-' && id.ptr[i] != '_') return false;
    return true;
}

static bool finish(hub_name *out, bool single)
{
    if (!out->revision.len) out->revision = STR("main");
    return repository_ok(out->repository, single) && hub_path_ok(out->revision) && find(out->revision, '@') &&
           (!out->file.len || hub_path_ok(out->file));
}

/* "[@revision][:file]" */
static bool read_rest(hub_name *out, str rest)
{
    if (rest.len && rest.ptr[0] == '@') {
        size_t colon = find(rest, ':');
        out->revision = (str){rest.ptr + 1, colon - 1};
        if (!out->revision.len) return false;
        rest = from(rest, colon);
    }
    if (!rest.len) return true;
    out->file = from(rest, 1);
    return rest.ptr[0] == ':' && out->file.len;
}

static size_t repository_end(str s)
{
    size_t at = find(s, '@'), colon = find(s, ':');
    return at < colon ? at : colon;
}

/* Behind "hf://": a third "/" begins the file, unless a ":" did. */
static bool read_marked(hub_name *out, str s)
{
    size_t end = repository_end(s), slash = find(s, '/');
    size_t second = slash < s.len ? slash + 1 + find(from(s, slash + 1), '/') : s.len;
    if (slash > end) second = slash; /* name@revision/file of a repository without an owner */
    if (find(s, ':') < s.len || second >= s.len) {
        out->repository = (str){s.ptr, end};
        return read_rest(out, from(s, end)) && finish(out, true);
    }
    str head = {s.ptr, second};
    end = repository_end(head);
    out->repository = (str){s.ptr, end};
    out->file = from(s, second + 1);
    return read_rest(out, from(head, end)) && finish(out, true);
}

/* Behind "https://huggingface.co/". */
static bool read_page(hub_name *out, str s)
{
    static const char *const pages[] = {"tree", "blob", "resolve", "raw"};
    s.len = find(s, '?');
    s.len = find(s, '#');
    while (s.len && s.ptr[s.len - 1] == '/') s.len--;
    size_t slash = find(s, '/');
    size_t end = slash < s.len ? slash + 1 + find(from(s, slash + 1), '/') : s.len;
    out->repository = (str){s.ptr, end};
    str rest = from(s, end + 1);
    size_t page = find(rest, '/');
    for (size_t i = 0; page < rest.len && i < sizeof pages / sizeof pages[0]; i++) {
        if (!str_is((str){rest.ptr, page}, pages[i])) continue;
        rest = from(rest, page + 1);
        out->revision = (str){rest.ptr, find(rest, '/')};
        out->file = from(rest, out->revision.len + 1);
        return finish(out, false);
    }
    return !rest.len && finish(out, false);
}

bool hub_name_read(hub_name *out, str text, const char *endpoint)
{
    static const char *const hosts[] = {"https://huggingface.co", "https://www.huggingface.co", "https://hf.co"};
    *out = (hub_name){.marked = true};
    if (str_starts(text, "hf://")) return read_marked(out, from(text, 5));
    if (endpoint && endpoint[0] && str_starts(text, endpoint) && from(text, strlen(endpoint)).len > 1 &&
        text.ptr[strlen(endpoint)] == '/')
        return read_page(out, from(text, strlen(endpoint) + 1));
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (str_starts(text, hosts[i]) && text.len > strlen(hosts[i]) + 1 && text.ptr[strlen(hosts[i])] == '/')
            return read_page(out, from(text, strlen(hosts[i]) + 1));
    out->marked = false;
    size_t end = repository_end(text);
    out->repository = (str){text.ptr, end};
    return read_rest(out, from(text, end)) && finish(out, false);
}
