#include "fit_write.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/api.h"

/* What stands behind a constant of the cost model: unit and meaning, as constants.def has them. */
static void comment_of(char *out, size_t size, const char *name, const char *old)
{
    snprintf(out, size, "%s", old ? old : "");
    for (int i = 0; i < COST_CONSTANTS; i++) {
        const cost_constant_info *info = &cost_constant_table[i];
        char full[80];
        snprintf(full, sizeof full, "%s.%s", info->table, info->name);
        if (!strcmp(full, name)) snprintf(out, size, "# %s: %s\n", info->unit, info->meaning);
    }
}

/* Replaces the number behind "name =" in the right table of a TOML file, keeping everything else of the file. */
static bool rewrite(const char *folder, const char *file, const char *table, const fit_constant *c)
{
    char path[4096], temporary[4200], line[1024], comment[1024], current[128] = "";
    snprintf(path, sizeof path, "%s/%s", folder, file);
    snprintf(temporary, sizeof temporary, "%s.new", path);
    FILE *in = fopen(path, "r"), *out = in ? fopen(temporary, "w") : NULL;
    const char *name = strrchr(c->name, '.') + 1;
    size_t len = strlen(name);
    bool found = false;
    while (out && fgets(line, sizeof line, in)) {
        if (line[0] == '[') sscanf(line, "[%127[^]]", current);
        bool hit = !strcmp(current, table) && !strncmp(line, name, len) && (line[len] == ' ' || line[len] == '=');
        found |= hit;
        if (hit) comment_of(comment, sizeof comment, c->name, strchr(line, '#'));
        if (!hit) fputs(line, out);
        else if (comment[0]) fprintf(out, "%s = %.5g  %s", name, *c->at, comment);
        else fprintf(out, "%s = %.5g\n", name, *c->at);
    }
    if (in) fclose(in);
    if (!found) fprintf(stderr, "%s has no line for %s\n", path, c->name);
    return out && !fclose(out) && found && !rename(temporary, path);
}

bool fit_write(const pg_catalog *catalog, const fit_constant *constants, int count, const char *folder)
{
    bool ok = true;
    for (int i = 0; i < count && ok; i++) {
        char table[96], full[128];
        bool runtime = false;
        snprintf(table, sizeof table, "%s", constants[i].name);
        *strrchr(table, '.') = '\0';
        bool step = !strcmp(table, "predict");
        for (uint32_t k = 0; k < catalog->config.n_runtimes; k++)
            runtime |= str_is(catalog->config.runtimes[k].key, table);
        const char *quote = runtime && strchr(table, '.') ? "\"" : ""; /* runtimes."llama.cpp" */
        snprintf(full, sizeof full, "%s%s%s%s", runtime ? "runtimes." : "", quote, table, quote);
        bool config = runtime || step || !strncmp(full, "levels.", 7);
        ok = rewrite(folder, config ? "runtimes.toml" : "cost_constants.toml", full, &constants[i]);
    }
    return ok;
}
