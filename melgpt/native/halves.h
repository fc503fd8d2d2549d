/* Numbers in bfloat16, the upper halves of float32. */
#ifndef HALVES_H
#define HALVES_H

#include "lanes.h"

#ifdef __AVX512BF16__
#include <immintrin.h>
#endif

typedef uint16_t halves __attribute__((vector_size(2 * LANES), aligned(2)));

/* LANES numbers from `place` on, in bfloat16 or float32. */
static inline floats some(const void *numbers, long place, const int rounded)
{
    if (!rounded) return *(const floats *)((const float *)numbers + place);
    const halves upper = *(const halves *)((const uint16_t *)numbers + place);
    return (floats)(__builtin_convertvector(upper, words) << 16);
}

static inline float one(const void *numbers, long place, const int rounded)
{
    if (!rounded) return ((const float *)numbers)[place];
    const uint32_t bits = (uint32_t)((const uint16_t *)numbers)[place] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#ifdef __AVX512BF16__
#define MULTIPLIES_HALVES 1
/* To each lane's sum the products of both halves of a word. */
static inline floats add_halves(floats sum, words left, uint32_t right)
{
    return (floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)left, (__m512bh)_mm512_set1_epi32((int)right));
}
static inline halves nearest_halves(floats x) { return (halves)_mm512_cvtneps_pbh((__m512)x); }
#else
#define MULTIPLIES_HALVES 0
static inline floats add_halves(floats sum, words left, uint32_t right) { return (void)left, (void)right, sum; }
static inline halves nearest_halves(floats x)
{
    for (int i = 0; i < LANES; i++) x[i] = nearest_half(x[i]) >> 16;
    return __builtin_convertvector(x, halves);
}
#endif

/* The same for words of one number, or of two in bfloat16. */
static inline floats add_word(floats sum, words left, uint32_t right, const int rounded)
{
    if (rounded) return add_halves(sum, left, right);
    float number;
    memcpy(&number, &right, sizeof number);
    return sum + (floats)left * number;
}

/* Words of two numbers in bfloat16: of the first, and in the upper half of the second. */
static inline words pairs_of(floats first, floats second)
{
    const words lower = __builtin_convertvector(nearest_halves(first), words);
    return lower | __builtin_convertvector(nearest_halves(second), words) << 16;
}

static inline void put(void *numbers, long place, floats x, const int rounded)
{
    if (rounded)
        *(halves *)((uint16_t *)numbers + place) = nearest_halves(x);
    else
        *(floats *)((float *)numbers + place) = x;
}

/* each_NAME, as `share` wants it, of NAME(task, part, halves) for tasks of a type that says whether it is of halves. */
#define EACH(type, name) \
    static void each_##name(const void *task, int part) \
    { \
        const type *t = task; \
        if (t->halves) name(t, part, 1); \
        else name(t, part, 0); \
    }

#endif
