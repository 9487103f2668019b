#include "load/constant.h"

#include <math.h>
#include <string.h>

bool constant_is_kept(dtype d, double elements)
{
    enum { FLOATS_MAX = 64 };
    const dtype_info *info = dtype_get(d);
    if (d == DT_UNKNOWN || d == DT_COMPLEX64 || d == DT_FP8E4M3 || d == DT_FP8E5M2) return false;
    if (!info->bits || info->bits % 8 || info->bits > 64) return false;
    return elements <= (info->floating ? FLOATS_MAX : FOLD_MAX);
}

/* IEEE 754 binary16: a sign, five bits of exponent, ten of mantissa. */
static double half_to_double(uint16_t h)
{
    int exponent = h >> 10 & 31;
    double m = h & 1023;
    double v = exponent == 0 ? m / 16777216.0 : exponent == 31 ? INFINITY : (1 + m / 1024) * pow(2, exponent - 15);
    return h & 0x8000 ? -v : v;
}

static double float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

num constant_number(uint64_t bits, dtype d)
{
    num n = num_int((int64_t)bits);
    switch (d) {
    case DT_FP32: n.v.f = float_of((uint32_t)bits); break;
    case DT_FP64: memcpy(&n.v.f, &bits, sizeof bits); break;
    case DT_FP16: n.v.f = half_to_double((uint16_t)bits); break;
    case DT_BF16: n.v.f = float_of((uint32_t)bits << 16); break;
    case DT_INT8: n.v.i = (int8_t)bits; break;
    case DT_INT16: n.v.i = (int16_t)bits; break;
    case DT_INT32: n.v.i = (int32_t)bits; break;
    default: break;
    }
    return n;
}

num constant_element(const uint8_t *bytes, dtype d)
{
    uint64_t bits = 0;
    unsigned size = dtype_get(d)->bits / 8;
    for (unsigned i = 0; i < size; i++) bits |= (uint64_t)bytes[i] << (8 * i);
    return constant_number(bits, d);
}
