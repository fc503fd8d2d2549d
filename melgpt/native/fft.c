#include "fft.h"

/* One of four sums over numbers that lie `far` apart, each turned by its wave: in place. */
static inline __attribute__((always_inline)) void cross(
    floats *re, floats *im, int far, const struct wave *waves, int p, const int turned)
{
    const floats pr = re[0] + re[2 * far], pi = im[0] + im[2 * far], mr = re[0] - re[2 * far], mi = im[0] - im[2 * far];
    const floats qr = re[far] + re[3 * far], qi = im[far] + im[3 * far];
    const floats nr = re[far] - re[3 * far], ni = im[far] - im[3 * far];
    const floats yr = pr - qr, yi = pi - qi, xr = mr + ni, xi = mi - nr, zr = mr - ni, zi = mi + nr;
    const struct wave w1 = waves[p], w2 = waves[2 * p], w3 = waves[3 * p];
    re[0] = pr + qr;
    im[0] = pi + qi;
    re[far] = turned ? xr * w1.real - xi * w1.imaginary : xr;
    im[far] = turned ? xr * w1.imaginary + xi * w1.real : xi;
    re[2 * far] = turned ? yr * w2.real - yi * w2.imaginary : yr;
    im[2 * far] = turned ? yr * w2.imaginary + yi * w2.real : yi;
    re[3 * far] = turned ? zr * w3.real - zi * w3.imaginary : zr;
    im[3 * far] = turned ? zr * w3.imaginary + zi * w3.real : zi;
}

static inline void pair(floats *re, floats *im)
{
    const floats r = re[1], i = im[1];
    re[1] = re[0] - r;
    im[1] = im[0] - i;
    re[0] += r;
    im[0] += i;
}

void transform(floats *re, floats *im, int count, const struct wave *waves, int stride)
{
    const int far = count / 4;
    cross(re, im, far, waves, 0, 0);
    for (int p = 1; p < far; p++) cross(re + p, im + p, far, waves, p * stride, 1);
    /* One part after the other to its end: all but the first steps stay in the first cache. */
    if (far > 2)
        for (int part = 0; part < count; part += far) transform(re + part, im + part, far, waves, 4 * stride);
    if (far == 2)
        for (int part = 0; part < count; part += far) pair(re + part, im + part);
}

static int place_of(int k, int count)
{
    return count < 4 ? k : k % 4 * (count / 4) + place_of(k / 4, count / 4);
}

void all_places(int *places, int count)
{
    for (int k = 0; k <= count; k++) places[k] = place_of(k % count, count);
}
