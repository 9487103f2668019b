/* A Hub of our own on the loopback, for tests: speaks as much of the protocol as a reader needs, and misbehaves on demand.
 *
 * ROOT/ORG/NAME/PATH are the files of the repository ORG/NAME, which has one commit, known as "main" and by its number. Files of
 * weights (.safetensors, .gguf, .onnx, .bin) are redirected to the host "localhost", as the Hub does to its CDN: another
 * origin than http://127.0.0.1, which refuses whoever brings the token along.
 *
 * A rule is "PART ACTION[,ACTION]... [xN]": requests whose target holds PART are treated so, N times or always. Actions:
 *
 *   status=N error=CODE message=TEXT retry=S   an error as the Hub words it
 *   location=URL        Location of a redirect (with status=); "%" in it stands for this server's port
 *   cut=N               the connection ends after N bytes of the body
 *   length=N            N is said to be the Content-Length
 *   range=no            200 and the whole file, whatever was asked for
 *   range=shift         206, but another part
 *   packed              says that the body is packed
 *   body=TEXT           that is the body ("_" is a blank)
 *   file=PATH           the body is that file below ROOT, with "@URL@" in it replaced by this server's address
 *   blobs=no            the listing has no sizes and no etags
 *   sum=plain           small files are called by their plain SHA-1, as some mirrors do
 *   slow=MS             so long before each 64 KiB of the body
 *   close               not a word
 *   hang                an answer never comes, or after cut=N bytes no more
 *   id=ORG/NAME         the listing's name for the repository
 */
#ifndef SUPPORT_HUB_SERVER_H
#define SUPPORT_HUB_SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct hub_server hub_server;

/* NULL: it could not be started. */
hub_server *hub_server_start(const char *root);
void hub_server_stop(hub_server *s);
/* "http://127.0.0.1:PORT" */
const char *hub_server_url(const hub_server *s);
bool hub_server_rule(hub_server *s, const char *rule);
void hub_server_forget(hub_server *s); /* rules and log */
/* The requests so far: "GET /api/models/a/b/revision/main?blobs=true token bytes=0-9"; NULL past the end. */
const char *hub_server_log(const hub_server *s, size_t i);
unsigned hub_server_peak(const hub_server *s); /* connections that were open at the same time */
size_t hub_server_sent(const hub_server *s);   /* bytes of bodies */
/* The commit that a repository has. */
void hub_server_commit(const char *repository, char out[41]);

#endif
