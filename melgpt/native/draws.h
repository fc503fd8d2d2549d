/* Numbers drawn by where they are used and a seed, so that a second pass draws the same ones again. */
#ifndef DRAWS_H
#define DRAWS_H

#include "lanes.h"

/* The integer hash "lowbias32" of C. Wellons (https://nullprogram.com/blog/2018/07/31/), in the public domain. */
static inline words mixed(words x)
{
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ x >> 16;
}

/* 32 bits for each place, for a seed of two halves. */
static inline words drawn(words place, uint32_t low, uint32_t high) { return mixed(mixed(place + low) ^ high); }

#endif
