#include "base/sha.h"

static const uint32_t k[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

static void take_words(uint32_t w[16], const uint8_t *p)
{
    for (size_t i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 | (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
}

static void add_block_1(uint32_t h[8], const uint8_t *p)
{
    static const uint32_t constant[4] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    take_words(w, p);
    for (size_t i = 16; i < 80; i++) w[i] = turn(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 31);
    for (size_t i = 0; i < 80; i++) {
        uint32_t mixed = i < 20 ? (b & c) | (~b & d) : i >= 40 && i < 60 ? (b & c) | (b & d) | (c & d) : b ^ c ^ d;
        uint32_t next = turn(a, 27) + mixed + e + constant[i / 20] + w[i];
        e = d;
        d = c;
        c = turn(b, 2);
        b = a;
        a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

static void add_block_256(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], v[8];
    take_words(w, p);
    for (size_t i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
               (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
    memcpy(v, h, sizeof v);
    for (size_t i = 0; i < 64; i++) {
        uint32_t a = v[7] + (turn(v[4], 6) ^ turn(v[4], 11) ^ turn(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) +
                     k[i] + w[i];
        uint32_t b = (turn(v[0], 2) ^ turn(v[0], 13) ^ turn(v[0], 22)) +
                     ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        memmove(v + 1, v, 7 * sizeof *v);
        v[4] += a;
        v[0] = a + b;
    }
    for (size_t i = 0; i < 8; i++) h[i] += v[i];
}

static void add_block(sha_sum *s, const uint8_t *p)
{
    if (s->size == SHA1_SIZE) add_block_1(s->h, p);
    else add_block_256(s->h, p);
}

void sha1_begin(sha_sum *s)
{
    *s = (sha_sum){.size = SHA1_SIZE, .h = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}};
}

void sha256_begin(sha_sum *s)
{
    *s = (sha_sum){
        .size = SHA256_SIZE,
        .h = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void sha_add(sha_sum *s, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    while (n) {
        size_t have = s->len % 64, take = 64 - have < n ? 64 - have : n;
        if (take == 64) {
            add_block(s, p);
        } else {
            memcpy(s->rest + have, p, take);
            if (have + take == 64) add_block(s, s->rest);
        }
        s->len += take;
        p += take;
        n -= take;
    }
}

void sha_end(uint8_t *out, sha_sum *s)
{
    uint8_t last[128] = {0};
    size_t rest = s->len % 64, end = rest < 56 ? 64 : 128;
    if (rest) memcpy(last, s->rest, rest);
    last[rest] = 0x80;
    for (size_t i = 0; i < 8; i++) last[end - 1 - i] = (uint8_t)(s->len * 8 >> 8 * i);
    for (size_t i = 0; i < end; i += 64) add_block(s, last + i);
    for (size_t i = 0; i < s->size; i++) out[i] = (uint8_t)(s->h[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256(uint8_t out[SHA256_SIZE], str text)
{
    sha_sum s;
    sha256_begin(&s);
    sha_add(&s, text.ptr, text.len);
    sha_end(out, &s);
}

bool sha256_hmac(uint8_t out[SHA256_SIZE], str key, str text)
{
    uint8_t inner[64 + HMAC_TEXT_MOST] = {0}, outer[64 + SHA256_SIZE] = {0};
    if (key.len > 64 || text.len >= HMAC_TEXT_MOST) return false;
    if (key.len) memcpy(inner, key.ptr, key.len);
    if (key.len) memcpy(outer, key.ptr, key.len);
    for (size_t i = 0; i < 64; i++) {
        inner[i] ^= 0x36;
        outer[i] ^= 0x5c;
    }
    if (text.len) memcpy(inner + 64, text.ptr, text.len);
    sha256(outer + 64, (str){(const char *)inner, 64 + text.len});
    sha256(out, (str){(const char *)outer, sizeof outer});
    return true;
}

void sha_hex(char *out, const uint8_t *hash, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[2 * i] = "0123456789abcdef"[hash[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[hash[i] & 15];
    }
    out[2 * size] = '\0';
}
