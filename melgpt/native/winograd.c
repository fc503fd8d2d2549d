/* Convolutions of 3x3 with a margin of zeros, maps with their channels last: each place of the transformed tiles is a matrix
 * product over all tiles. In float32, or with maps, weights and transformed tiles in bfloat16, sums in float32.
 */
#include "team.h"
#include "winograd.h"

#define MOST_RESULTS 4 /* of a tile on a side */

/* Tiles at a time: transformed, they stay in the second cache. */
static int most_tiles(int side) { return side == 2 ? 48 : 24; }

struct convolution {
    const void *x;
    const uint32_t *weights;
    const float *bias;
    void *y;
    struct size size;
    int inputs, outputs, side, halves, tiles;
};

/* Tiles [count] of inputs -> [places, count, stride], the channels of a place beside each other. `zeros`: as many channels. */
static inline __attribute__((always_inline)) void transform_tiles(
    const int side, const struct convolution *t, long first, int count, char *to, long stride, const char *zeros, const int halves)
{
    const int bytes = halves ? 2 : 4;
    for (int number = 0; number < count; number++) {
        const char *from[MOST_ACROSS][MOST_ACROSS];
        inputs_of(side, t->x, t->size, tile_at(t->size, side, first + number), t->inputs, bytes, zeros, from);
        for (int channel = 0; channel < t->inputs; channel += LANES) {
            floats made[MOST_ACROSS * MOST_ACROSS];
            transform_inputs(side, from, channel, halves, made);
            for (int place = 0; place < (side + 2) * (side + 2); place++)
                put(to + (place * (long)count + number) * stride * bytes, channel, made[place], halves);
        }
    }
}

static void multiply_some(
    int rows, int halves, const uint32_t *weights, const uint32_t *tiles, long stride, int steps, float *sums)
{
#define CASE(r) \
    case r: \
        if (MULTIPLIES_HALVES && halves) multiply(r, 1, weights, WIDTH, tiles, stride, 1, steps, sums, 0); \
        else multiply(r, 0, weights, WIDTH, tiles, stride, 1, steps, sums, 0); \
        break;
    switch (rows) { EACH_CASE }
#undef CASE
}

/* A line of side + 2 sums -> results. */
static inline __attribute__((always_inline)) void transform_back(const int side, const floats *m, floats *made)
{
    const floats even = m[1] + m[2], odd = m[1] - m[2];
    if (side == 2) {
        made[0] = m[0] + even, made[1] = odd - m[3];
        return;
    }
    const floats further = m[3] + m[4], odder = m[3] - m[4];
    made[0] = m[0] + even + further, made[1] = odd + 2 * odder, made[2] = even + 4 * further, made[3] = odd + 8 * odder + m[5];
}

/* sums [places, count, WIDTH] -> results of the outputs from `output` on. */
static inline __attribute__((always_inline)) void transform_outputs(
    const int side, const struct convolution *t, long first, int count, const float *sums, int output, const int halves)
{
    const int across = side + 2;
    for (int number = 0; number < count; number++) {
        const struct tile tile = tile_at(t->size, side, first + number);
        for (int lanes = 0; lanes < WIDTH && output + lanes < t->outputs; lanes += LANES) {
            floats lines[MOST_RESULTS][MOST_ACROSS], start = {0};
            if (t->bias) start = *(const floats *)(t->bias + output + lanes);
#pragma GCC unroll 6
            for (int j = 0; j < across; j++) {
                floats m[MOST_ACROSS], column[MOST_RESULTS];
#pragma GCC unroll 6
                for (int i = 0; i < across; i++)
                    m[i] = *(const floats *)(sums + ((across * i + j) * (long)count + number) * WIDTH + lanes);
                transform_back(side, m, column);
#pragma GCC unroll 4
                for (int i = 0; i < side; i++) lines[i][j] = column[i];
            }
            for (int i = 0; i < side && tile.line + i < t->size.height; i++) {
                floats made[MOST_RESULTS];
                transform_back(side, lines[i], made);
                const long place = ((long)tile.map * t->size.height + tile.line + i) * t->size.width + tile.column;
                for (int j = 0; j < side && tile.column + j < t->size.width; j++)
                    put(t->y, (place + j) * t->outputs + output + lanes, start + made[j], halves);
            }
        }
    }
}

static inline __attribute__((always_inline)) void some_tiles(
    const int side, const struct convolution *t, int part, const int halves)
{
    const int bytes = halves ? 2 : 4, places = (side + 2) * (side + 2);
    const long first = (long)part * t->tiles, left = tiles_in(t->size, side) - first;
    const int count = left < t->tiles ? left : t->tiles, groups = (count + ROWS - 1) / ROWS;
    const long stride = t->inputs + 2 * LANES; /* a power of two would put all rows on the same places of the cache */
    const int steps = halves ? t->inputs / 2 : t->inputs;
    const size_t tiles = (size_t)places * count * stride * bytes, sums = (size_t)places * count * WIDTH * sizeof(float);
    char *room = room_of(tiles + sums + t->inputs * bytes), *zeros = room + tiles + sums;
    memset(zeros, 0, t->inputs * bytes);
    transform_tiles(side, t, first, count, room, stride, zeros, halves);
    const uint32_t *weights = t->weights;
    for (int output = 0; output < t->outputs; output += WIDTH) {
        float *sum = (float *)(room + tiles);
        for (int place = 0; place < places; place++, weights += (long)steps * WIDTH)
            for (int group = 0; group < groups; group++) {
                const int r = count * group / groups, next = count * (group + 1) / groups;
                const long row = (long)place * count + r;
                multiply_some(
                    next - r, halves, weights, (const uint32_t *)(room + row * stride * bytes), stride * bytes / 4, steps,
                    sum + row * WIDTH);
            }
        transform_outputs(side, t, first, count, sum, output, halves);
    }
}

static void tiles_of(const void *task, int part)
{
    const struct convolution *t = task;
    if (MULTIPLIES_HALVES && t->halves)
        some_tiles(2, t, part, 1);
    else if (t->side == 2)
        some_tiles(2, t, part, 0);
    else
        some_tiles(4, t, part, 0);
}

/* Whether maps may be in bfloat16. */
int multiplies_halves(void) { return MULTIPLIES_HALVES; }

/* WIDTH, on which the weights' order depends. */
int outputs_of_tile(void) { return WIDTH; }

/* x [batch, height, width, inputs], bias [outputs] or none, y [batch, height, width, outputs], x and y in bfloat16 where
 * `halves`; weights [outputs / WIDTH, places, inputs, WIDTH], outputs rounded up, or as halves two inputs in a word; inputs
 * and outputs are multiples of 16, tiles have side x side results, 2 or 4, as halves 2. */
void convolve(
    const void *x, const uint32_t *weights, const float *bias, void *y, int batch, int height, int width, int inputs,
    int outputs, int side, int halves, int threads)
{
    const struct size size = {batch, height, width};
    const long all = tiles_in(size, side);
    const int most = most_tiles(side), tiles = all >= 4L * most * threads ? most : most / 2;
    const struct convolution task = {x, weights, bias, y, size, inputs, outputs, side, halves, tiles};
    share(tiles_of, &task, (all + tiles - 1) / tiles, threads);
}

struct weights {
    const float *from;
    void *to;
    int outputs, inputs, turned, side, halves;
};

/* A line of three weights, that lie `apart`, -> transformed. */
static inline void transform_three(int side, const floats *g, int apart, floats *made)
{
    const floats first = g[0], middle = g[apart], last = g[2 * apart];
    if (side == 2) {
        const floats ends = (first + last) * 0.5f;
        made[0] = first, made[1] = ends + middle * 0.5f, made[2] = ends - middle * 0.5f, made[3] = last;
        return;
    }
    const floats near = (first + last) * (-1 / 6.0f), far = first * (1 / 24.0f) + last * (1 / 6.0f);
    made[0] = first * 0.25f, made[1] = near - middle * (1 / 6.0f), made[2] = near + middle * (1 / 6.0f);
    made[3] = far + middle * (1 / 12.0f), made[4] = far - middle * (1 / 12.0f), made[5] = last;
}

/* LANES lanes of 3x3 weights -> transformed. */
static void transform_weights(int side, const floats g[9], floats *made)
{
    const int across = side + 2;
    floats columns[3][MOST_ACROSS];
    for (int j = 0; j < 3; j++) transform_three(side, g + j, 3, columns[j]);
    for (int i = 0; i < across; i++) {
        const floats line[3] = {columns[0][i], columns[1][i], columns[2][i]};
        transform_three(side, line, 1, made + i * across);
    }
}

/* 3x3 weights of LANES steps and lanes -> [LANES steps, 9, LANES lanes]. */
static void gather(const struct weights *t, int step, int lane, float to[LANES][9][LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int k = 0; k < 9; k++)
            if (t->turned)
                memcpy(to[i][k], t->from + ((step + i) * 9L + 8 - k) * t->inputs + lane, LANES * sizeof(float));
            else
                for (int n = 0; n < LANES; n++) to[n][k][i] = t->from[((lane + i) * 9L + k) * t->inputs + step + n];
}

/* Of LANES lanes, `part`, the weights of all steps. */
static void order_weights(const void *task, int part)
{
    const struct weights *t = task;
    const int lane = part * LANES, steps = t->turned ? t->outputs : t->inputs, each = t->halves ? 2 : 1;
    const int places = (t->side + 2) * (t->side + 2);
    uint32_t *to = (uint32_t *)t->to + (long)(lane / WIDTH) * places * (steps / each) * WIDTH + lane % WIDTH;
    float gathered[LANES][9][LANES] ALIGNED;
    floats made[LANES][MOST_ACROSS * MOST_ACROSS];
    for (int step = 0; step < steps; step += LANES) {
        gather(t, step, lane, gathered);
        for (int n = 0; n < LANES; n++) transform_weights(t->side, (const floats *)gathered[n], made[n]);
        for (int place = 0; place < places; place++) {
            uint32_t *panel = to + ((long)place * steps + step) / each * WIDTH;
            for (int n = 0; n < LANES; n += each)
                *(words *)(panel + n / each * WIDTH) =
                    t->halves ? pairs_of(made[n][place], made[n + 1][place]) : (words)made[n][place];
        }
    }
}

/* Weights [outputs, 3, 3, inputs] -> as `convolve` reads them, lanes beyond the last output left as they are; `turned`: those
 * of the convolution that takes gradients of its results to gradients of x, whose outputs are these inputs. */
void in_tiles(const float *weights, void *to, int outputs, int inputs, int turned, int side, int halves, int threads)
{
    const struct weights task = {weights, to, outputs, inputs, turned, side, halves};
    share(order_weights, &task, (turned ? inputs : outputs) / LANES, threads);
}
