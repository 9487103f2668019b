/* The data files that the build puts into the library; see gpu/embedded.h for the GPUs'. */
#ifndef API_EMBEDDED_H
#define API_EMBEDDED_H

#include <stddef.h>

extern const char data_runtimes_toml[];
extern const size_t data_runtimes_toml_len;
extern const char data_cost_constants_toml[];
extern const size_t data_cost_constants_toml_len;

#endif
