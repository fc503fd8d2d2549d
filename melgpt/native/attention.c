/* Attention of one new position in each sequence to itself and those before it, in float32 over keys and values that
 * are kept in bfloat16, or in float32. */
#include "elements.h"
#include "halves.h"
#include "team.h"

#define CHUNK 4   /* vectors of a value whose sums stay in registers */
#define BLOCK 1024 /* positions at a time: their shares lie on the stack */
#define WORTH_A_SECOND (1 << 17) /* products from which on a second core begins before they are over */
#define TOGETHER 4 /* heads that one helper takes at a time where there are enough */
#define LINE 64    /* bytes that are fetched at once */

struct attention {
    const float *qkv, *cosine, *sine, *query_weight, *key_weight;
    float epsilon;
    void *keys, *values;
    float *y;
    int heads, length;
    long room;
    int position, rounded, together;
};

/* What is read soon: the processor would begin anew at each page. */
static inline void fetch(const char *place, int bytes)
{
    for (int byte = 0; byte < bytes; byte += LINE) __builtin_prefetch(place + byte, 0, 2);
}

static void keep(const float *x, void *numbers, long place, int length, int rounded)
{
    if (rounded)
        for (int i = 0; i < length; i++) ((uint16_t *)numbers)[place + i] = nearest_half(x[i]) >> 16;
    else
        memcpy((float *)numbers + place, x, length * sizeof(float));
}

/* A query or key: normalised and turned by its position's angle, where there are weights and angles for that. */
static void place_at(
    const float *x, const float *weight, const float *cosine, const float *sine, float *y, int length, float epsilon)
{
    float plain[length];
    if (weight)
        rms_normalise(x, weight, plain, length, epsilon);
    else
        memcpy(plain, x, sizeof plain);
    if (!cosine) {
        memcpy(y, plain, sizeof plain);
        return;
    }
    const int half = length / 2;
    for (int i = 0; i < half; i++) y[i] = plain[i] * cosine[i] + plain[half + i] * sine[i];
    for (int i = half; i < length; i++) y[i] = plain[i] * cosine[i] + plain[i - half] * sine[i];
}

/* share[at] = query . key at; returns the largest. Fetches as much of what lies `ahead`. */
static inline __attribute__((always_inline)) float compare(
    const float *query, const void *keys, float *share, int count, int length, const char *ahead, const int rounded)
{
    const int size = rounded ? 2 : 4;
    const float scale = 1 / sqrtf(length);
    float most = -INFINITY;
    for (int at = 0; at < count; at++) {
        const long key = (long)at * length;
        fetch(ahead + key * size, length * size);
        floats lanes = {0};
        int i = 0;
        for (; i + LANES <= length; i += LANES) lanes += *(const floats *)(query + i) * some(keys, key + i, rounded);
        float sum = sum_of(lanes);
        for (; i < length; i++) sum += query[i] * one(keys, key + i, rounded);
        share[at] = sum * scale;
        most = share[at] > most ? share[at] : most;
    }
    return most;
}

/* sum += values weighted by share. Fetches as much of what lies `ahead`. */
static inline __attribute__((always_inline)) void gather(
    const float *share, const void *values, float *sum, int count, int length, const char *ahead, const int rounded)
{
    const int size = rounded ? 2 : 4;
    int i = 0;
    for (; i + CHUNK * LANES <= length; i += CHUNK * LANES) {
        floats sums[CHUNK];
        memcpy(sums, sum + i, sizeof sums);
        for (int at = 0; at < count; at++) {
            const long place = (long)at * length + i;
            fetch(ahead + place * size, CHUNK * LANES * size);
            for (int j = 0; j < CHUNK; j++) sums[j] += share[at] * some(values, place + j * LANES, rounded);
        }
        memcpy(sum + i, sums, sizeof sums);
    }
    for (; i + LANES <= length; i += LANES) {
        floats sums = *(floats *)(sum + i);
        for (int at = 0; at < count; at++) sums += share[at] * some(values, (long)at * length + i, rounded);
        memcpy(sum + i, &sums, sizeof sums);
    }
    for (; i < length; i++)
        for (int at = 0; at < count; at++) sum[i] += share[at] * one(values, (long)at * length + i, rounded);
}

static inline __attribute__((always_inline)) void one_head(const struct attention *t, int head, const int rounded)
{
    const int heads = t->heads, length = t->length, count = t->position + 1;
    const long size = t->room * length * (rounded ? 2 : 4), place = (long)t->position * length;
    const float *new = t->qkv + ((long)(head / heads) * 3 * heads + head % heads) * length;
    char *keys = (char *)t->keys + head * size, *values = (char *)t->values + head * size;
    float query[length], key[length], share[BLOCK + LANES], *y = t->y + (long)head * length;
    place_at(new, t->query_weight, t->cosine, t->sine, query, length, t->epsilon);
    place_at(new + heads * length, t->key_weight, t->cosine, t->sine, key, length, t->epsilon);
    keep(key, keys, place, length, rounded);
    keep(new + 2 * heads * length, values, place, length, rounded);
    floats whole = {0};
    float most = -INFINITY;
    memset(y, 0, length * sizeof(float));
    for (int first = 0; first < count; first += BLOCK) {
        const int some = count - first < BLOCK ? count - first : BLOCK;
        const long start = first * (size / t->room);
        const float before = most, here = compare(query, keys + start, share, some, length, values + start, rounded);
        most = here > before ? here : before;
        if (first) { /* what was summed up so far was in units of e to the `before` */
            const float smaller = expf(before - most);
            whole *= smaller;
            for (int i = 0; i < length; i++) y[i] *= smaller;
        }
        for (int i = 0; i < LANES; i++) share[some + i] = -INFINITY; /* of no weight */
        for (int at = 0; at < some; at += LANES) {
            const floats weight = exp_of(*(floats *)(share + at) - most);
            *(floats *)(share + at) = weight;
            whole += weight;
        }
        /* The block that follows, or the next head's keys. */
        const char *ahead = first + some < count ? keys + start + some * (size / t->room) : keys + size;
        gather(share, values + start, y, some, length, ahead, rounded);
    }
    const float scale = 1 / sum_of(whole);
    for (int i = 0; i < length; i++) y[i] *= scale;
}

static void attend_heads(const void *task, int part)
{
    const struct attention *t = task;
    for (int head = part * t->together; head < (part + 1) * t->together; head++)
        if (t->rounded)
            one_head(t, head, 1);
        else
            one_head(t, head, 0);
}

/* qkv [batch, 3, heads, length]; cosine, sine [length] or none; query_weight, key_weight [length] or none; keys, values
 * [batch, heads, room, length], of which the position that stands at `at` is written, bfloat16 where `rounded`;
 * y [batch, heads, length]. */
void attend(
    const float *qkv, const float *cosine, const float *sine, const float *query_weight, const float *key_weight,
    float epsilon, void *keys, void *values, float *y, int batch, int heads, int length, long room,
    const int64_t *at, int rounded, int threads)
{
    const int together = heads % TOGETHER || batch == 1 ? 1 : TOGETHER, position = (int)*at;
    if ((long)batch * heads * length * (position + 1) < WORTH_A_SECOND) threads = 1;
    const struct attention task = {qkv,    cosine, sine,  query_weight, key_weight, epsilon,  keys,    values,
                                   y,      heads,  length, room,        position,   rounded, together};
    share(attend_heads, &task, batch * heads / together, threads);
}
