/* Fourier transforms of real numbers, one in each lane. */
#ifndef FFT_H
#define FFT_H

#include "lanes.h"

struct wave { /* e^(-2 pi i k / n) */
    float real, imaginary;
};

/* A Fourier transform of `count` complex numbers (4 or a higher power of 2) in each lane, in place; waves[stride] is one of
 * that many parts of the turn. Where the k-th number comes to lie, `all_places` tells. */
void transform(floats *re, floats *im, int count, const struct wave *waves, int stride);

/* The places of the numbers 0 to count of a transform of so many: the last is the first again. */
void all_places(int *places, int count);

/* The k-th bin, 0 <= k <= half, of real numbers of which every other one was transformed as the imaginary part; waves of
 * 2 half numbers, all places of half. */
static inline void bin_of(
    const floats *re, const floats *im, int k, int half, const struct wave *waves, const int *places, floats *real,
    floats *imaginary)
{
    const int here = places[k], there = places[half - k];
    const floats even_re = 0.5f * (re[here] + re[there]), even_im = 0.5f * (im[here] - im[there]);
    const floats odd_re = 0.5f * (im[here] + im[there]), odd_im = 0.5f * (re[there] - re[here]);
    const struct wave w = waves[k];
    *real = even_re + odd_re * w.real - odd_im * w.imaginary;
    *imaginary = even_im + odd_re * w.imaginary + odd_im * w.real;
}

#endif
