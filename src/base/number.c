#include "base/number.h"

static bool unknown(double x)
{
    return !isfinite(x) || x < 0;
}

/* To three significant digits, so that a unit is chosen for what will be shown: 999.6 is "1.00 k", not "1000". */
static double round3(double x)
{
    if (x <= 0 || !isfinite(x)) return 0;
    double scale = pow(10.0, 2 - floor(log(x) / 2.302585092994045684 + 1e-12));
    double rounded = floor(x * scale + 0.5) / scale;
    return isfinite(rounded) ? rounded : x;
}

/* 0.00123 0.123 1.23 12.3 123; larger ones with no fraction. */
static size_t put3(char *out, size_t cap, double x)
{
    int digits = x >= 99.95 ? 0 : x >= 9.995 ? 1 : x >= 0.9995 ? 2 : x >= 0.09995 ? 3 : x >= 0.009995 ? 4 : 5;
    if (x < 0.000005) digits = 0;
    return format_text(out, cap, "%.*f", digits, x);
}

static char *none(char *out, size_t cap)
{
    format_text(out, cap, "-");
    return out;
}

char *number_whole(char *out, size_t cap, double x)
{
    char digits[NUMBER_SIZE * 2];
    if (unknown(x) || x > 1e18) return none(out, cap);
    size_t len = format_text(digits, sizeof digits, "%llu", (unsigned long long)(x + 0.5)), n = 0;
    for (size_t i = 0; i < len && n + 2 < cap; i++) {
        if (i && (len - i) % 3 == 0) out[n++] = ',';
        out[n++] = digits[i];
    }
    if (cap) out[n] = '\0';
    return out;
}

static char *scaled(char *out, size_t cap, double x, const char *const *units, size_t count)
{
    size_t i = 0;
    for (x = round3(x); i + 1 < count && x >= 1000; i++) x /= 1000;
    size_t n = put3(out, cap, x);
    if (units[i][0] && n < cap) format_text(out + n, cap - n, " %s", units[i]);
    return out;
}

char *number_plain(char *out, size_t cap, double x)
{
    if (unknown(x)) return none(out, cap);
    x = round3(x);
    if (x >= 1e6) return number_count(out, cap, x);
    if (x >= 1000) return number_whole(out, cap, x);
    put3(out, cap, x);
    return out;
}

static char *counted(char *out, size_t cap, double x, const char *const *units, size_t count)
{
    if (unknown(x)) return none(out, cap);
    if (x < 999.5 && x == floor(x)) {
        format_text(out, cap, "%.0f", x);
        return out;
    }
    return scaled(out, cap, x, units, count);
}

char *number_count(char *out, size_t cap, double x)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
    return counted(out, cap, x, units, sizeof units / sizeof units[0]);
}

char *number_parameters(char *out, size_t cap, double x)
{
    static const char *const units[] = {"", "k", "M", "B", "T"};
    return counted(out, cap, x, units, sizeof units / sizeof units[0]);
}

char *number_bytes(char *out, size_t cap, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    if (unknown(bytes)) return none(out, cap);
    if (bytes < 1023.5) {
        format_text(out, cap, "%.0f B", bytes);
        return out;
    }
    size_t i = 0;
    while (i + 1 < sizeof units / sizeof units[0] && bytes >= 1023.5) {
        bytes /= 1024;
        i++;
    }
    bytes = bytes >= 999.5 ? floor(bytes + 0.5) : round3(bytes);
    size_t n = put3(out, cap, bytes);
    if (n < cap) format_text(out + n, cap - n, " %s", units[i]);
    return out;
}

char *number_time(char *out, size_t cap, double ms, bool unicode)
{
    const char *units[] = {"ns", unicode ? "\xc2\xb5s" : "us", "ms", "s"};
    if (unknown(ms)) return none(out, cap);
    if (ms >= 99950) { /* minutes read better than thousands of seconds */
        size_t n = put3(out, cap, round3(ms / 60000));
        if (n < cap) format_text(out + n, cap - n, " min");
        return out;
    }
    if (ms == 0) {
        format_text(out, cap, "0 ms");
        return out;
    }
    return scaled(out, cap, ms * 1e6, units, 4);
}

char *number_percent(char *out, size_t cap, double share)
{
    if (unknown(share)) return none(out, cap);
    double percent = share * 100;
    if (percent > 0 && percent < 0.05) {
        format_text(out, cap, "<0.1 %%");
        return out;
    }
    format_text(out, cap, "%.*f %%", percent > 0 && percent < 0.95 ? 1 : 0, percent);
    return out;
}

char *number_watts(char *out, size_t cap, double watts)
{
    if (unknown(watts)) return none(out, cap);
    char number[NUMBER_SIZE];
    format_text(out, cap, "%s W", number_whole(number, sizeof number, watts));
    return out;
}
