/* The names in a snapshot of the cache. */
#define _DEFAULT_SOURCE
#include "hub/cache.h"
#include "hub/name.h"
#include "hub/text.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { DEPTH_MOST = 8, FILES_MOST = 100000 };

typedef struct walk {
    const hub_cache *c;
    str commit;
    cache_visit *visit;
    void *ud;
    unsigned count;
} walk;

/* A link to a folder is none: it may lead anywhere. */
static bool known_folder(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* `below`: "" or "onnx/". */
static bool walk_folder(walk *w, const char *below, unsigned depth)
{
    struct dirent **entries = NULL;
    bool more = true;
    const char *folder = hub_text(w->c->a, "%s/snapshots/%.*s/%s", w->c->repository, STR_ARG(w->commit), below);
    int n = folder ? scandir(folder, &entries, NULL, alphasort) : -1;
    for (int i = 0; i < n; i++) {
        struct stat st;
        const char *name = hub_text(w->c->a, "%s%s", below, entries[i]->d_name);
        const char *path = name ? hub_text(w->c->a, "%s%s", folder, entries[i]->d_name) : NULL;
        bool known = path && entries[i]->d_name[0] != '.' && hub_path_ok(str_c(name)) && stat(path, &st) == 0;
        free(entries[i]);
        if (!known || !more || ++w->count > FILES_MOST) continue;
        if (S_ISREG(st.st_mode)) more = w->visit(w->ud, str_c(name), (uint64_t)st.st_size);
        if (!known_folder(path) || depth == DEPTH_MOST) continue;
        const char *inner = hub_text(w->c->a, "%s/", name);
        more = inner && walk_folder(w, inner, depth + 1);
    }
    if (n >= 0) free(entries);
    return more;
}

void cache_files(const hub_cache *c, str commit, cache_visit *visit, void *ud)
{
    walk w = {c, commit, visit, ud, 0};
    if (hub_id_ok(commit)) walk_folder(&w, "", 0);
}
