/* Runs a command while a Hub of our own listens, and tells the command of it:
 *
 *   hub_server [--log] ROOT [RULE]... -- COMMAND...
 *
 * HF_ENDPOINT is set for the command, and the addresses of the clouds' prices (/aws, /azure and /gcp of this server); the
 * command's exit status is passed on. --log prints the requests to stderr afterwards. The rules are in support/hub_server.h; a
 * single "-" as ROOT means an empty Hub. */
#define _POSIX_C_SOURCE 200809L
#include "support/hub_server.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int run(char **command)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execvp(command[0], command);
        perror(command[0]);
        _exit(127);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0) return 126;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 125;
}

int main(int argc, char **argv)
{
    int i = 1;
    bool log = i < argc && strcmp(argv[i], "--log") == 0;
    if (log) i++;
    hub_server *s = i < argc ? hub_server_start(argv[i++]) : NULL;
    bool ok = s != NULL;
    for (; ok && i < argc && strcmp(argv[i], "--") != 0; i++) {
        ok = hub_server_rule(s, argv[i]);
        if (!ok) fprintf(stderr, "hub_server: no such rule: %s\n", argv[i]);
    }
    if (!ok || i + 1 >= argc) {
        fprintf(stderr, "usage: hub_server [--log] ROOT [RULE]... -- COMMAND...\n");
        hub_server_stop(s);
        return 2;
    }
    setenv("HF_ENDPOINT", hub_server_url(s), 1);
    static const char *const clouds[] = {"AWS", "AZURE", "GCP"}, *const paths[] = {"aws", "azure", "gcp"};
    for (size_t k = 0; k < 3; k++) {
        char name[64], value[128];
        snprintf(name, sizeof name, "PHANTOM_GPU_%s_PRICES", clouds[k]);
        snprintf(value, sizeof value, "%s/%s", hub_server_url(s), paths[k]);
        setenv(name, value, 1);
    }
    setenv("PHANTOM_GPU_AWS_SPOT", hub_server_url(s), 1);
    setenv("no_proxy", "127.0.0.1,localhost", 1);
    int status = run(argv + i + 1);
    const char *line;
    for (size_t k = 0; log && (line = hub_server_log(s, k)); k++) fprintf(stderr, "hub: %s\n", line);
    if (log) fprintf(stderr, "hub: %zu bytes\n", hub_server_sent(s));
    hub_server_stop(s);
    return status;
}
