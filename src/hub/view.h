/* A folder that looks like the part of a repository that was chosen: links to whole files and to headers. */
#ifndef HUB_VIEW_H
#define HUB_VIEW_H

#include "hub/fetch.h"

/* `key` keeps the views of one commit apart that hold different files. */
const char *view_folder(const hub_session *s, const char *key, pg_error *e);
/* Makes or renews the link; *path is it. */
pg_code view_add(const char **path, const hub_session *s, const char *view, str name, const char *target, pg_error *e);

#endif
