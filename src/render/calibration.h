/* What calibrate shows: which rows were used, errors before and after on what was held out, and the profile. */
#ifndef RENDER_CALIBRATION_H
#define RENDER_CALIBRATION_H

#include "bench/calibrate.h"
#include "render/render.h"

typedef struct render_calibration {
    const calibration *c;
    const char *written; /* the file; NULL: none */
    const char *refused; /* why it wasn't written though that was asked for; NULL: it was, or wasn't asked for */
    const char *profile; /* the file's text */
    bool verbose;
    render_warnings warnings;
} render_calibration;

void render_calibration_report(report *r, const render_calibration *v);

#endif
