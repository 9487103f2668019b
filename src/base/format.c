#include "base/format.h"

typedef struct sink {
    char *out;
    size_t cap, len;
} sink;

static void put(sink *s, char c)
{
    if (s->len + 1 < s->cap) s->out[s->len] = c;
    s->len++;
}

static void put_text(sink *s, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) put(s, p[i]);
}

static void put_unsigned(sink *s, unsigned long long v, unsigned base, int width, char fill)
{
    char tmp[24];
    int n = 0;
    do tmp[n++] = "0123456789abcdef"[v % base];
    while (v /= base);
    for (int i = n; i < width; i++) put(s, fill);
    while (n) put(s, tmp[--n]);
}

static void put_signed(sink *s, long long v, int width, char fill)
{
    if (v < 0) {
        put(s, '-');
        put_unsigned(s, 0ull - (unsigned long long)v, 10, width - 1, fill);
    } else {
        put_unsigned(s, (unsigned long long)v, 10, width, fill);
    }
}

/* 10^e, exact up to 10^22. */
static double power10(int e)
{
    static const double exact[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (e >= 0 && e <= 22) return exact[e];
    return pow(10.0, e);
}

static void put_fixed(sink *s, double x, int digits)
{
    if (x < 0) {
        put(s, '-');
        x = -x;
    }
    if (digits > 15) digits = 15;
    if (x >= 1e15) { /* beyond what 64 bits scaled hold: no fraction is meaningful */
        char tmp[320];
        int n = 0;
        x = floor(x);
        while (x >= 1 && n < 319) {
            double q = floor(x / 10);
            double d = x - q * 10;
            tmp[n++] = (char)('0' + (int)(d < 0 ? 0 : d > 9 ? 9 : d));
            x = q;
        }
        while (n) put(s, tmp[--n]);
        digits = 0;
        return;
    }
    double whole = floor(x);
    double scale = power10(digits);
    double frac = floor((x - whole) * scale + 0.5);
    if (frac >= scale) {
        frac -= scale;
        whole += 1;
    }
    put_unsigned(s, (unsigned long long)whole, 10, 0, '0');
    if (digits) {
        put(s, '.');
        put_unsigned(s, (unsigned long long)frac, 10, digits, '0');
    }
}

/* `digits` significant digits as %g does it: fixed for exponents -5 < e < digits, else scientific; zeros trimmed. */
static void put_general(sink *s, double x, int digits)
{
    if (x == 0) {
        put(s, '0');
        return;
    }
    if (x < 0) {
        put(s, '-');
        x = -x;
    }
    if (digits < 1) digits = 1;
    if (digits > 17) digits = 17;
    int e = (int)floor(log(x) / 2.302585092994045684);
    double m;
    for (int guard = 0; guard < 4; guard++) { /* log may be one off at powers of ten */
        int shift = digits - 1 - e;
        m = shift > 300 ? x * power10(300) * power10(shift - 300)
          : shift >= 0  ? x * power10(shift)
                        : x / power10(-shift);
        m = floor(m + 0.5);
        if (m >= power10(digits)) e++;
        else if (m < power10(digits - 1)) e--;
        else break;
    }
    char d[24];
    unsigned long long v = (unsigned long long)m;
    for (int i = digits - 1; i >= 0; i--) {
        d[i] = (char)('0' + v % 10);
        v /= 10;
    }
    int n = digits;
    while (n > 1 && d[n - 1] == '0') n--;
    if (e < -5 || e >= (digits > 15 ? 21 : digits < 6 ? 6 : digits)) {
        put(s, d[0]);
        if (n > 1) put(s, '.');
        put_text(s, d + 1, (size_t)(n - 1));
        put(s, 'e');
        put(s, e < 0 ? '-' : '+');
        put_unsigned(s, (unsigned long long)(e < 0 ? -e : e), 10, 2, '0');
        return;
    }
    if (e < 0) {
        put(s, '0');
        put(s, '.');
        for (int i = -1; i > e; i--) put(s, '0');
        put_text(s, d, (size_t)n);
        return;
    }
    for (int i = 0; i <= e || i < n; i++) {
        if (i == e + 1) put(s, '.');
        put(s, i < n ? d[i] : '0');
    }
}

static void put_double(sink *s, double x, char kind, int digits)
{
    if (isnan(x)) put_text(s, "nan", 3);
    else if (!isfinite(x)) put_text(s, x < 0 ? "-inf" : "inf", x < 0 ? 4 : 3);
    else if (kind == 'f') put_fixed(s, x, digits < 0 ? 6 : digits);
    else put_general(s, x, digits < 0 ? 6 : digits);
}

typedef struct spec {
    int width, precision, longs;
    bool size, zero;
} spec;

static void put_spec(sink *s, char kind, const spec *p, va_list *args)
{
    char fill = p->zero ? '0' : ' ';
    switch (kind) {
    case 's': {
        const char *t = va_arg(*args, const char *);
        if (!t) t = "(null)";
        for (int i = 0; (p->precision < 0 || i < p->precision) && t[i]; i++) put(s, t[i]);
        break;
    }
    case 'c': put(s, (char)va_arg(*args, int)); break;
    case 'd':
        put_signed(s,
                   p->size         ? (long long)va_arg(*args, ptrdiff_t)
                   : p->longs == 2 ? va_arg(*args, long long)
                   : p->longs      ? va_arg(*args, long)
                                   : va_arg(*args, int),
                   p->width, fill);
        break;
    case 'u':
    case 'x':
        put_unsigned(s,
                     p->size         ? (unsigned long long)va_arg(*args, size_t)
                     : p->longs == 2 ? va_arg(*args, unsigned long long)
                     : p->longs      ? va_arg(*args, unsigned long)
                                     : va_arg(*args, unsigned),
                     kind == 'x' ? 16 : 10, p->width, fill);
        break;
    case 'f':
    case 'g': put_double(s, va_arg(*args, double), kind, p->precision); break;
    case '%': put(s, '%'); break;
    default: put_text(s, "%?", 2); break;
    }
}

size_t format_textv(char *out, size_t cap, const char *fmt, va_list list)
{
    sink s = {out, cap, 0};
    va_list args;
    va_copy(args, list);
    for (const char *f = fmt; *f; f++) {
        if (*f != '%') {
            put(&s, *f);
            continue;
        }
        spec p = {0, -1, 0, false, false};
        f++;
        if (*f == '0') {
            p.zero = true;
            f++;
        }
        while (*f >= '0' && *f <= '9') p.width = p.width * 10 + (*f++ - '0');
        if (*f == '.') {
            f++;
            p.precision = 0;
            if (*f == '*') {
                p.precision = va_arg(args, int);
                f++;
            } else {
                while (*f >= '0' && *f <= '9') p.precision = p.precision * 10 + (*f++ - '0');
            }
        }
        while (*f == 'l') {
            p.longs++;
            f++;
        }
        if (*f == 'z') {
            p.size = true;
            f++;
        }
        if (!*f) break;
        put_spec(&s, *f, &p, &args);
    }
    va_end(args);
    if (cap) out[s.len < cap ? s.len : cap - 1] = '\0';
    return s.len;
}

size_t format_text(char *out, size_t cap, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    size_t n = format_textv(out, cap, fmt, args);
    va_end(args);
    return n;
}

size_t format_double(char *out, size_t cap, double x)
{
    if (!isfinite(x)) return format_text(out, cap, "null");
    if (floor(x) == x && fabs(x) < 9007199254740992.0) return format_text(out, cap, "%lld", (long long)x);
    return format_text(out, cap, "%.10g", x);
}
