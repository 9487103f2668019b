/* Where the Hub is, where its cache lies, and who asks: the variables that huggingface_hub knows too. */
#ifndef HUB_CONFIG_H
#define HUB_CONFIG_H

#include "base/error.h"

typedef struct hub_config {
    const char *endpoint;   /* $HF_ENDPOINT, without a slash at its end */
    const char *cache;      /* $HF_HUB_CACHE: the cache that is shared with Python */
    const char *own;        /* $XDG_CACHE_HOME/phantom-gpu/hub: headers of large files, and views of them */
    const char *token;      /* NULL: none */
    const char *token_from; /* where it came from, for messages */
    const char *ca_file;    /* certificates to trust instead of the system's; NULL: the system's */
    bool offline;
    unsigned connect_ms, read_ms; /* most time without an answer */
    unsigned retries;
    uint64_t deadline_ms; /* http_clock_ms() after which nothing is waited for any more; 0: none */
    const char *service;  /* who answers, in messages; NULL: "the Hub" */
    /* Sleeps; NULL: really. Tests want to know how long, not to wait. */
    void (*wait)(void *ud, unsigned ms);
    void *wait_ud;
    /* Called while something is fetched; `total` 0: not known. NULL: nobody wants to know. */
    void (*progress)(void *ud, const char *what, uint64_t done, uint64_t total);
    void *progress_ud;
} hub_config;

/* From the environment. Texts lie in the arena. PG_E_CONFIG: a variable holds what it can't. */
pg_code hub_config_read(hub_config *c, arena *a, pg_error *e);
/* $HF_ENDPOINT alone, or the default. */
const char *hub_config_endpoint(void);

#endif
