#define _POSIX_C_SOURCE 200809L
#include "hub/view.h"

#include "hub/text.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

const char *view_folder(const hub_session *s, const char *key, pg_error *e)
{
    const char *folder = hub_text(s->a, "%s/views/%.*s/%s", s->cache.own, STR_ARG(s->listing.commit), key);
    if (!folder) error_nomem(e, s->a);
    if (!folder || hub_folder_make(folder, e)) return NULL;
    return folder;
}

static bool links_to(const char *path, const char *target)
{
    char now[4096];
    ssize_t n = readlink(path, now, sizeof now);
    return n >= 0 && str_eq((str){now, (size_t)n}, str_c(target));
}

pg_code view_add(const char **path, const hub_session *s, const char *view, str name, const char *target, pg_error *e)
{
    const char *temporary, *link = hub_text(s->a, "%s/%.*s", view, STR_ARG(name));
    *path = link;
    if (!link) return error_nomem(e, s->a);
    if (links_to(link, target)) return PG_E_OK;
    pg_code code = hub_folder_for(link, e);
    int fd = code ? -1 : hub_temporary(s->a, link, &temporary, e); /* takes a name that is free */
    if (fd < 0) return code ? code : e ? e->code : PG_E_IO;
    close(fd);
    unlink(temporary);
    if (symlink(target, temporary) != 0) return hub_write_error(e, errno, link);
    if (rename(temporary, link) == 0) return PG_E_OK;
    code = hub_write_error(e, errno, link);
    unlink(temporary);
    return code;
}
