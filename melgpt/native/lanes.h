/* Vectors of float32, as wide as the processor has them, and what is made of them alone. */
#ifndef LANES_H
#define LANES_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif

typedef float floats __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t words __attribute__((vector_size(4 * LANES), aligned(4)));
typedef float eight __attribute__((vector_size(32), aligned(4)));
typedef float four __attribute__((vector_size(16), aligned(4)));

/* The nearest bfloat16, the even one of two, in the upper half. Not-a-number stays so. */
static inline uint32_t nearest_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = value == value ? bits + 0x7fff + (bits >> 16 & 1) : bits | 0x400000;
    return bits & 0xffff0000u;
}

/* For arrays of vectors: one that lies across two lines of the cache takes twice as long. */
#define ALIGNED __attribute__((aligned(4 * LANES)))

static inline floats root_of(floats x)
{
    for (int i = 0; i < LANES; i++) x[i] = sqrtf(x[i]);
    return x;
}

static inline floats choose(words which, floats x, floats y) { return (floats)((which & (words)x) | (~which & (words)y)); }

/* The larger of two; not-a-number stays so if it is the first. */
static inline floats larger(floats x, floats y) { return choose((words)(y > x), y, x); }

/* The sum of all lanes, halves first. */
static inline float sum_of(floats lanes)
{
#if LANES == 16
    eight half[2];
    memcpy(half, &lanes, sizeof half);
    const eight sums = half[0] + half[1];
#else
    const eight sums = lanes;
#endif
    four quarter[2];
    memcpy(quarter, &sums, sizeof quarter);
    const four left = quarter[0] + quarter[1];
    return (left[0] + left[2]) + (left[1] + left[3]);
}

/* e to the x, within 2 units in the last place: 2^n times a series for what is left, which lies within ln 2 / 2.
 * From -80 to 88; beyond, the value there, which is all but nothing, or very much. */
static inline floats exp_of(floats x)
{
    const floats low = {0};
    x = -larger(-larger(x, low - 80), low - 88);
    const float turn = 12582912; /* 1.5 * 2^23: added to it, a number is rounded to a whole one, in the lowest bits */
    const floats shifted = x * 1.44269504f + turn, whole = shifted - turn;
    const floats rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f; /* ln 2 in two parts, the first exact */
    floats series = rest * (1 / 5040.0f) + 1 / 720.0f;
    series = series * rest + 1 / 120.0f;
    series = series * rest + 1 / 24.0f;
    series = series * rest + 1 / 6.0f;
    series = series * rest + 0.5f;
    series = series * rest + 1;
    series = series * rest + 1;
    return (floats)((words)series + ((words)shifted << 23)); /* n is added to the exponent */
}

/* The natural logarithm of numbers above 0, within 2 units in the last place: the exponent, and for what is left, between
 * the roots of 1/2 and 2, the series of 2 artanh. Not-a-number stays so. */
static inline floats log_of(floats x)
{
    const words half = (words){0} + 0x3f3504f3u; /* the root of 1/2 */
    const words steps = ((words)x - half) & 0xff800000u;
    const floats left = (floats)((words)x - steps) - 1, s = left / (left + 2), square = s * s;
    floats series = square * (2 / 9.0f) + 2 / 7.0f;
    series = series * square + 2 / 5.0f;
    series = series * square + 2 / 3.0f;
    series = series * square * s + 2 * s;
    floats exponent;
    for (int i = 0; i < LANES; i++) exponent[i] = (int32_t)steps[i] >> 23;
    return choose((words)(x == x), exponent * 0.693359375f + (series - exponent * 2.12194440e-4f), x);
}

#endif
