/* Attention with dropout (Vaswani et al. 2017, https://arxiv.org/abs/1706.03762) that is trained, and its gradients, in
 * float32 or, where the processor multiplies that, bfloat16; all sums in float32. Of the weights nothing is kept: they are
 * made again, and drawn again, for the gradients (Dao et al. 2022, https://arxiv.org/abs/2205.14135).
 *
 * Queries lie in the lanes, LANES at a time over all keys that they see, so that all weights of a query are in one lane.
 */
#include "draws.h"
#include "halves.h"
#include "team.h"

#define ROWS LANES /* of a product at a time: their sums fit the registers */
#define SHARES 4   /* of the heads, for each thread */

struct array { /* [batch, heads, count, length], the last of them dense */
    char *numbers;
    long batch, head, position; /* numbers from one to the next */
};

struct attention {
    struct array q, k, v, dy, y, dq, dk, dv; /* y is made, or of dy dq, dk and dv */
    float *sums; /* [batch, heads, count]: the logarithm of the sum of a query's weights */
    uint32_t *room;
    int all, heads, count, length, shares, causal, halves;
    uint32_t low, high, below; /* as for dropout */
    float kept;
};

/* An array [n, d] of a head's positions and their parts, as words that a product multiplies: one number, or two in bfloat16
 * that it adds up. In float32 the pairs are the rows. */
struct forms {
    uint32_t *rows, *turned;        /* words of parts beside each other: [n, d / 2], and [d / 2, n] */
    uint32_t *pairs, *pairs_turned; /* words of positions: [n / 2, d], and [d, n / 2] */
};
enum { TURNED = 1, PAIRS = 2, PAIRS_TURNED = 4 };

struct head {
    struct forms q, k, v, dy;
    uint32_t *weights, *pulls, *pairs; /* of a block [n, LANES]: weights, gradients of the scores, either in pairs */
    float *scores, *changes;           /* [n, LANES], of a block */
    float *dk, *dv;                    /* [n, d] */
    float *block, *across;             /* [d, LANES], [LANES, d] */
    int n, d;
};

static int up(int count) { return (count + LANES - 1) / LANES * LANES; }

/* Words of room for one head; says where each part lies. */
static long lay_out(struct head *h, uint32_t *room, int count, int length)
{
    const long n = h->n = up(count), d = h->d = up(length), size = n * d;
    uint32_t *next = room;
    struct forms *forms[] = {&h->q, &h->k, &h->v, &h->dy};
    for (int i = 0; i < 4; i++, next += 4 * size) *forms[i] = (struct forms){next, next + size, next + 2 * size, next + 3 * size};
    uint32_t **blocks[] = {&h->weights, &h->pulls, &h->pairs, (uint32_t **)&h->scores, (uint32_t **)&h->changes};
    for (int i = 0; i < 5; i++, next += n * LANES) *blocks[i] = next;
    h->dk = (float *)next, h->dv = h->dk + size, h->block = h->dv + size, h->across = h->block + d * LANES;
    return (uint32_t *)(h->across + d * LANES) - room;
}

/* from [rows, columns] -> to [columns, rows] */
static void turn(const uint32_t *from, uint32_t *to, int rows, int columns)
{
    for (int column = 0; column < columns; column++)
        for (int row = 0; row < rows; row++) to[(long)column * rows + row] = from[(long)row * columns + column];
}

static char *place(const struct attention *t, struct array array, int head, int position)
{
    const long at = head / t->heads * array.batch + head % t->heads * array.head + position * array.position;
    return array.numbers + at * (t->halves ? 2 : 4);
}

/* A head's positions, with zeros up to n and d, in the forms that are wanted. */
static void take(const struct attention *t, struct array array, int head, struct forms *to, int n, int d, int wanted)
{
    const int size = t->halves ? 2 : 4, width = d * size / 4;
    for (int i = 0; i < n; i++) {
        char *row = (char *)(to->rows + (long)i * width);
        const int there = i < t->count ? t->length * size : 0;
        if (there) memcpy(row, place(t, array, head, i), there);
        memset(row + there, 0, d * size - there);
    }
    if (wanted & TURNED || (!t->halves && wanted & PAIRS_TURNED)) turn(to->rows, to->turned, n, width);
    if (!t->halves) {
        to->pairs = to->rows, to->pairs_turned = to->turned;
        return;
    }
    if (wanted & PAIRS)
        for (int i = 0; i < n; i += 2)
            for (int part = 0; part < d; part += LANES) {
                const halves *first = (const halves *)((uint16_t *)to->rows + (long)i * d + part);
                const halves *second = (const halves *)((uint16_t *)to->rows + (long)(i + 1) * d + part);
                *(words *)(to->pairs + (long)i / 2 * d + part) =
                    __builtin_convertvector(*first, words) | __builtin_convertvector(*second, words) << 16;
            }
    if (wanted & PAIRS_TURNED) turn(to->pairs, to->pairs_turned, n / 2, d);
}

/* rows [count, d] in float32 -> a head's positions from `first` on, as far as there are any */
static inline __attribute__((always_inline)) void give(
    const struct attention *t, struct array array, int head, int first, const float *rows, int count, int d, const int halves)
{
    char row[d * 4];
    for (int i = 0; i < count && first + i < t->count; i++) {
        for (int part = 0; part < d; part += LANES) put(row, part, *(const floats *)(rows + (long)i * d + part), halves);
        memcpy(place(t, array, head, first + i), row, t->length * (halves ? 2 : 4));
    }
}

/* The same of columns [d, LANES], each times its part of `scale`. */
static inline __attribute__((always_inline)) void give_columns(
    const struct attention *t, struct array array, int head, int first, const struct head *h, floats scale, const int halves)
{
    for (int part = 0; part < h->d; part++) *(floats *)(h->block + part * LANES) *= scale;
    turn((const uint32_t *)h->block, (uint32_t *)h->across, h->d, LANES);
    give(t, array, head, first, h->across, LANES, h->d, halves);
}

/* to [rows, columns] = left [rows, steps] times right [steps, columns], or that `added` to it, in words that lie so many
 * apart, row from row; rows are a multiple of ROWS, columns of LANES. */
static inline __attribute__((always_inline)) void product(
    const uint32_t *left, long left_apart, const uint32_t *right, long right_apart, float *to, long apart, int rows, int columns,
    int steps, const int added, const int halves)
{
    for (int row = 0; row < rows; row += ROWS)
        for (int column = 0; column < columns; column += LANES) {
            floats sum[ROWS] = {{0}};
            const uint32_t *one = left + row * left_apart, *all = right + column;
            for (int step = 0; step < steps; step++, one++, all += right_apart) {
                const words many = *(const words *)all;
#pragma GCC unroll 16
                for (int r = 0; r < ROWS; r++) sum[r] = add_word(sum[r], many, one[r * left_apart], halves);
            }
#pragma GCC unroll 16
            for (int r = 0; r < ROWS; r++) {
                floats *place = (floats *)(to + (row + r) * apart + column);
                *place = added ? *place + sum[r] : sum[r];
            }
        }
}

/* LANES queries of a block over keys: which of them see a key, and which weights stay. */
struct lane {
    words last, draws; /* the last key that a query sees; the place of its first draw */
    uint32_t low, high, below;
    float kept;
};

static struct lane lane_of(const struct attention *t, int head, int first)
{
    struct lane lane = {.low = t->low, .high = t->high + head * 0x9e3779b9u, .below = t->below, .kept = t->kept};
    for (int i = 0; i < LANES; i++) {
        const int query = first + i;
        lane.last[i] = t->causal && query < t->count ? query : t->count - 1;
        lane.draws[i] = (uint32_t)query * (uint32_t)t->count;
    }
    return lane;
}

static inline floats seen(floats x, const struct lane *lane, int key)
{
    return (floats)((words)x & (words)((words){0} + (uint32_t)key <= lane->last));
}

static inline floats left_over(floats x, const struct lane *lane, int key)
{
    const words draws = drawn(lane->draws + (uint32_t)key, lane->low, lane->high) & 0xffff;
    return (floats)((words)(x * lane->kept) & (words)(draws >= lane->below));
}

/* Two keys' numbers for LANES queries, as words of both. */
static inline __attribute__((always_inline)) void put_pair(
    uint32_t *pairs, int key, floats first, floats second, const int halves)
{
    if (halves) {
        *(words *)(pairs + (long)key / 2 * LANES) = pairs_of(first, second);
    } else {
        *(floats *)(pairs + (long)key * LANES) = first;
        *(floats *)(pairs + (long)(key + 1) * LANES) = second;
    }
}

static inline __attribute__((always_inline)) void forth(const struct attention *t, struct head *h, int head, const int halves)
{
    const int n = h->n, d = h->d, pair = halves ? 2 : 1;
    const float scale = 1 / sqrtf(t->length);
    take(t, t->q, head, &h->q, n, d, TURNED);
    take(t, t->k, head, &h->k, n, d, 0);
    take(t, t->v, head, &h->v, n, d, PAIRS | PAIRS_TURNED);
    for (int first = 0; first < n; first += LANES) {
        const int keys = t->causal ? first + LANES : n;
        product(h->k.rows, d / pair, h->q.turned + first, n, h->scores, LANES, keys, LANES, d / pair, 0, halves);
        const struct lane lane = lane_of(t, head, first);
        floats most = *(floats *)h->scores, sum = {0}; /* the first key is seen by all */
        for (int key = 1; key < keys; key++) {
            const floats score = *(floats *)(h->scores + key * LANES);
            most = choose((words)((words){0} + (uint32_t)key <= lane.last), larger(most, score), most);
        }
        for (int key = 0; key < keys; key += 2) {
            floats weight[2];
            for (int i = 0; i < 2; i++) {
                const floats score = *(floats *)(h->scores + (key + i) * LANES);
                weight[i] = seen(exp_of((score - most) * scale), &lane, key + i);
                sum += weight[i];
                weight[i] = left_over(weight[i], &lane, key + i);
            }
            put_pair(h->pairs, key, weight[0], weight[1], halves);
        }
        const floats logarithm = most * scale + log_of(sum);
        for (int i = 0; i < LANES && first + i < t->count; i++)
            t->sums[(long)head * t->count + first + i] = logarithm[i];
        product(h->v.pairs_turned, n / pair, h->pairs, LANES, h->block, LANES, d, LANES, keys / pair, 0, halves);
        give_columns(t, t->y, head, first, h, 1 / sum, halves);
    }
}

static inline __attribute__((always_inline)) void back(const struct attention *t, struct head *h, int head, const int halves)
{
    const int n = h->n, d = h->d, pair = halves ? 2 : 1;
    const float scale = 1 / sqrtf(t->length);
    take(t, t->q, head, &h->q, n, d, TURNED | PAIRS);
    take(t, t->k, head, &h->k, n, d, PAIRS | PAIRS_TURNED);
    take(t, t->v, head, &h->v, n, d, 0);
    take(t, t->dy, head, &h->dy, n, d, TURNED | PAIRS);
    memset(h->dk, 0, (long)n * d * sizeof(float));
    memset(h->dv, 0, (long)n * d * sizeof(float));
    for (int first = 0; first < n; first += LANES) {
        const int keys = t->causal ? first + LANES : n;
        product(h->k.rows, d / pair, h->q.turned + first, n, h->scores, LANES, keys, LANES, d / pair, 0, halves);
        product(h->v.rows, d / pair, h->dy.turned + first, n, h->changes, LANES, keys, LANES, d / pair, 0, halves);
        const struct lane lane = lane_of(t, head, first);
        floats logarithm = {0}, mean = {0};
        for (int i = 0; i < LANES && first + i < t->count; i++)
            logarithm[i] = t->sums[(long)head * t->count + first + i];
        for (int key = 0; key < keys; key++) {
            floats *score = (floats *)(h->scores + key * LANES), *change = (floats *)(h->changes + key * LANES);
            *score = seen(exp_of(*score * scale - logarithm), &lane, key);
            *change = left_over(*change, &lane, key);
            mean += *score * *change;
            put(h->weights, (long)key * LANES, left_over(*score, &lane, key), halves);
        }
        for (int key = 0; key < keys; key += 2) {
            floats pull[2];
            for (int i = 0; i < 2; i++) {
                const long place = (long)(key + i) * LANES;
                pull[i] = *(floats *)(h->scores + place) * (*(floats *)(h->changes + place) - mean) * scale;
                put(h->pulls, place, pull[i], halves);
            }
            put_pair(h->pairs, key, pull[0], pull[1], halves);
        }
        const long from = (long)first / pair * d, words = LANES / pair;
        product(h->weights, words, h->dy.pairs + from, d, h->dv, d, keys, d, words, 1, halves);
        product(h->pulls, words, h->q.pairs + from, d, h->dk, d, keys, d, words, 1, halves);
        product(h->k.pairs_turned, n / pair, h->pairs, LANES, h->block, LANES, d, LANES, keys / pair, 0, halves);
        give_columns(t, t->dq, head, first, h, (floats){0} + 1, halves);
    }
    give(t, t->dk, head, 0, h->dk, n, d, halves);
    give(t, t->dv, head, 0, h->dv, n, d, halves);
}

static inline __attribute__((always_inline)) void some_heads(const struct attention *t, int part, const int halves)
{
    struct head h;
    const long room = lay_out(&h, t->room, t->count, t->length);
    lay_out(&h, t->room + part * room, t->count, t->length);
    for (int head = (long)t->all * part / t->shares; head < (long)t->all * (part + 1) / t->shares; head++)
        if (t->dy.numbers)
            back(t, &h, head, halves);
        else
            forth(t, &h, head, halves);
}

EACH(struct attention, some_heads)

static int shares_of(int heads, int threads) { return heads < SHARES * threads ? heads : SHARES * threads; }

/* Words of room that `attention` wants. */
long attention_room(int heads, int count, int length, int threads)
{
    struct head h;
    return lay_out(&h, 0, count, length) * shares_of(heads, threads);
}

/* q, k, v and y, or with dy the gradients dq, dk, dv: [batch, heads, count, length], the last of them dense, bfloat16 where
 * `halves`, which only a processor that `multiplies_halves` can; apart [8, 3]: numbers from one to the next of the first three
 * dimensions of q, k, v, dy, y, dq, dk and dv. sums [batch, heads, count] are written with y and read for the gradients.
 * Weights whose draw of 16 bits is less than `below` are dropped, the others multiplied by `kept`; count is at most 65535. */
void attention(
    void *q, void *k, void *v, void *dy, void *y, void *dq, void *dk, void *dv, const int64_t *apart, float *sums, uint32_t *room,
    uint32_t low, uint32_t high, uint32_t below, float kept, int batch, int heads, int count, int length, int causal, int halves,
    int threads)
{
    void *numbers[8] = {q, k, v, dy, y, dq, dk, dv};
    struct attention task = {.sums = sums, .room = room, .all = batch * heads, .heads = heads, .count = count, .length = length,
                             .shares = shares_of(batch * heads, threads), .causal = causal, .halves = halves && MULTIPLIES_HALVES,
                             .low = low, .high = high, .below = below, .kept = kept};
    struct array *arrays[8] = {&task.q, &task.k, &task.v, &task.dy, &task.y, &task.dq, &task.dk, &task.dv};
    for (int i = 0; i < 8; i++, apart += 3) *arrays[i] = (struct array){numbers[i], apart[0], apart[1], apart[2]};
    share(each_some_heads, &task, task.shares, threads);
}
