/* What a person writes for a model on the Hugging Face Hub:
 *
 *   1. org/name[@revision][:file]          "name" alone only behind hf://
 *   2. hf://[org/]name[@revision][/file]   as in Python's HfFileSystem; ":file" too
 *   3. https://huggingface.co/org/name[/(tree|blob|resolve)/revision[/file]], or the same at $HF_ENDPOINT: what a browser shows
 */
#ifndef HUB_NAME_H
#define HUB_NAME_H

#include "base/error.h"

typedef struct hub_name {
    str repository; /* "org/name" */
    str revision;   /* "main" where none was given */
    str file;       /* a file, a folder, or a part of a file's name; len 0: none was given */
    bool marked;    /* written as 2. or 3., so that it can be nothing else */
} hub_name;

/* Whether the text is one; all views point into it. `endpoint` may be NULL. Nothing is looked up. */
bool hub_name_read(hub_name *out, str text, const char *endpoint);
/* A name of a file within a repository that is safe to put below a folder: no "..", no empty part, no control characters. */
bool hub_path_ok(str path);
/* Names of commits and of blobs become file names. */
bool hub_id_ok(str id);

#endif
