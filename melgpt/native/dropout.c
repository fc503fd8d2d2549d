/* Dropout (Srivastava et al. 2014): which numbers stay is told by where they lie and a seed, so that the gradients' turn
 * draws the same ones again and nothing is kept. In float32 or bfloat16.
 */
#include "draws.h"
#include "halves.h"
#include "team.h"

#define CHUNK 8192 /* numbers that one helper takes at a time */

struct task {
    const void *x;
    void *y;
    long count;
    uint32_t low, high, below; /* the seed; draws of 16 bits below this are dropped */
    float scale;
    int halves;
};

/* LANES numbers, of which those whose draw is too low become 0. */
static inline floats dropped(floats x, words draws, const struct task *t)
{
    return (floats)((words)(x * t->scale) & (words)(draws >= t->below));
}

/* 2 * LANES numbers from `at` on, with the draws that belong to them. */
static inline __attribute__((always_inline)) void drop_some(
    const struct task *t, const void *x, void *y, long place, long at, const int halves)
{
    words counter;
    for (int lane = 0; lane < LANES; lane++) counter[lane] = (uint32_t)(at / 2 + lane);
    const words both = drawn(counter, t->low, t->high + (uint32_t)(at >> 33));
    put(y, place, dropped(some(x, place, halves), both & 0xffff, t), halves);
    put(y, place + LANES, dropped(some(x, place + LANES, halves), both >> 16, t), halves);
}

static inline __attribute__((always_inline)) void drop_chunk(const struct task *t, int part, const int halves)
{
    const long first = (long)part * CHUNK, end = first + CHUNK < t->count ? first + CHUNK : t->count;
    const int bytes = halves ? 2 : 4;
    long at = first;
    for (; at + 2 * LANES <= end; at += 2 * LANES) drop_some(t, t->x, t->y, at, at, halves);
    if (at == end) return;
    floats rest[2] = {{0}};
    memcpy(rest, (const char *)t->x + at * bytes, (end - at) * bytes);
    drop_some(t, rest, rest, 0, at, halves);
    memcpy((char *)t->y + at * bytes, rest, (end - at) * bytes);
}

EACH(struct task, drop_chunk)

/* x, y [count], bfloat16 where `halves`: y = x * scale, or 0 where a draw of 16 bits is less than `below`. */
void dropout(
    const void *x, void *y, long count, uint32_t low, uint32_t high, uint32_t below, float scale, int halves, int threads)
{
    const struct task task = {x, y, count, low, high, below, scale, halves};
    share(each_drop_chunk, &task, (count + CHUNK - 1) / CHUNK, threads);
}
