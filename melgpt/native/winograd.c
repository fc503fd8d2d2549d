/* Convolutions of 3x3 with a margin of zeros, maps with their channels last: each place of the transformed tiles is a matrix
 * product over all tiles. In float32, or with maps, weights and transformed tiles in bfloat16, sums in float32.
 */
#include "team.h"
#include "winograd.h"

#define MOST 48 /* tiles at a time: transformed, they stay in the second cache */

struct convolution {
    const void *x;
    const uint32_t *weights;
    const float *bias;
    void *y;
    struct size size;
    int inputs, outputs, halves, tiles;
};

/* Tiles [count] of inputs -> [PLACES, count, stride], the channels of a place beside each other. `zeros`: as many channels. */
static inline __attribute__((always_inline)) void transform_tiles(
    const struct convolution *t, long first, int count, char *to, long stride, const char *zeros, const int halves)
{
    const int bytes = halves ? 2 : 4;
    for (int number = 0; number < count; number++) {
        const char *from[4][4];
        inputs_of(t->x, t->size, tile_at(t->size, first + number), t->inputs, bytes, zeros, from);
        for (int channel = 0; channel < t->inputs; channel += LANES) {
            floats made[PLACES];
            transform_inputs(from, channel, halves, made);
            for (int place = 0; place < PLACES; place++)
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

/* sums [PLACES, count, WIDTH] -> results of the outputs from `output` on. */
static inline __attribute__((always_inline)) void transform_outputs(
    const struct convolution *t, long first, int count, const float *sums, int output, const int halves)
{
    for (int number = 0; number < count; number++) {
        const struct tile tile = tile_at(t->size, first + number);
        for (int lanes = 0; lanes < WIDTH && output + lanes < t->outputs; lanes += LANES) {
            floats lines[2][4], start = {0};
            if (t->bias) start = *(const floats *)(t->bias + output + lanes);
            for (int j = 0; j < 4; j++) {
                floats m[4];
                for (int i = 0; i < 4; i++) m[i] = *(const floats *)(sums + ((4 * i + j) * (long)count + number) * WIDTH + lanes);
                lines[0][j] = m[0] + m[1] + m[2], lines[1][j] = m[1] - m[2] - m[3];
            }
            for (int i = 0; i < 2 && tile.line + i < t->size.height; i++) {
                const floats *m = lines[i], made[2] = {start + m[0] + m[1] + m[2], start + m[1] - m[2] - m[3]};
                const long place = ((long)tile.map * t->size.height + tile.line + i) * t->size.width + tile.column;
                for (int j = 0; j < 2 && tile.column + j < t->size.width; j++)
                    put((char *)t->y, (place + j) * t->outputs + output + lanes, made[j], halves);
            }
        }
    }
}

static inline __attribute__((always_inline)) void some_tiles(const struct convolution *t, int part, const int halves)
{
    const int bytes = halves ? 2 : 4;
    const long first = (long)part * t->tiles, left = tiles_in(t->size) - first;
    const int count = left < t->tiles ? left : t->tiles, groups = (count + ROWS - 1) / ROWS;
    const long stride = t->inputs + 2 * LANES; /* a power of two would put all rows on the same places of the cache */
    const int steps = halves ? t->inputs / 2 : t->inputs;
    const size_t tiles = (size_t)PLACES * count * stride * bytes, sums = (size_t)PLACES * count * WIDTH * sizeof(float);
    char *room = room_of(tiles + sums + t->inputs * bytes), *zeros = room + tiles + sums;
    memset(zeros, 0, t->inputs * bytes);
    transform_tiles(t, first, count, room, stride, zeros, halves);
    const uint32_t *weights = t->weights;
    for (int output = 0; output < t->outputs; output += WIDTH) {
        float *sum = (float *)(room + tiles);
        for (int place = 0; place < PLACES; place++, weights += (long)steps * WIDTH)
            for (int group = 0; group < groups; group++) {
                const int r = count * group / groups, next = count * (group + 1) / groups;
                const long row = (long)place * count + r;
                multiply_some(
                    next - r, halves, weights, (const uint32_t *)(room + row * stride * bytes), stride * bytes / 4, steps,
                    sum + row * WIDTH);
            }
        transform_outputs(t, first, count, sum, output, halves);
    }
}

static void tiles_of(const void *task, int part)
{
    const struct convolution *t = task;
    if (MULTIPLIES_HALVES && t->halves)
        some_tiles(t, part, 1);
    else
        some_tiles(t, part, 0);
}

/* Whether maps may be in bfloat16. */
int multiplies_halves(void) { return MULTIPLIES_HALVES; }

/* WIDTH, of which the weights' order depends. */
int outputs_of_tile(void) { return WIDTH; }

/* x [batch, height, width, inputs], bias [outputs] or none, y [batch, height, width, outputs], x and y in bfloat16 where
 * `halves`; weights [outputs / WIDTH, PLACES, inputs, WIDTH], outputs rounded up, or as halves two inputs in a word; inputs
 * and outputs are multiples of 16. */
void convolve(
    const void *x, const uint32_t *weights, const float *bias, void *y, int batch, int height, int width, int inputs,
    int outputs, int halves, int threads)
{
    const struct size size = {batch, height, width};
    const long all = tiles_in(size);
    const int tiles = all >= 4L * MOST * threads ? MOST : MOST / 2;
    const struct convolution task = {x, weights, bias, y, size, inputs, outputs, halves, tiles};
    share(tiles_of, &task, (all + tiles - 1) / tiles, threads);
}

struct weights {
    const float *from;
    void *to;
    int outputs, inputs, turned, halves;
};

/* LANES inputs of an output's 3x3 weights -> transformed. */
static inline void transform_weights(const floats g[9], floats made[PLACES])
{
    floats lines[4][3];
    for (int j = 0; j < 3; j++) {
        const floats ends = (g[j] + g[6 + j]) * 0.5f, middle = g[3 + j] * 0.5f;
        lines[0][j] = g[j], lines[1][j] = ends + middle, lines[2][j] = ends - middle, lines[3][j] = g[6 + j];
    }
    for (int i = 0; i < 4; i++) {
        const floats ends = (lines[i][0] + lines[i][2]) * 0.5f, middle = lines[i][1] * 0.5f;
        made[4 * i] = lines[i][0], made[4 * i + 1] = ends + middle, made[4 * i + 2] = ends - middle;
        made[4 * i + 3] = lines[i][2];
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
    uint32_t *to = (uint32_t *)t->to + (long)(lane / WIDTH) * PLACES * (steps / each) * WIDTH + lane % WIDTH;
    float gathered[LANES][9][LANES] ALIGNED;
    for (int step = 0; step < steps; step += each) {
        if (step % LANES == 0) gather(t, step, lane, gathered);
        floats made[2][PLACES];
        for (int n = 0; n < each; n++) transform_weights((const floats *)gathered[step % LANES + n], made[n]);
        for (int place = 0; place < PLACES; place++) {
            words *word = (words *)(to + ((long)place * (steps / each) + step / each) * WIDTH);
            *word = t->halves ? pairs_of(made[0][place], made[1][place]) : (words)made[0][place];
        }
    }
}

/* Weights [outputs, 3, 3, inputs] -> as `convolve` reads them, lanes beyond the last output left as they are; `turned`: those
 * of the convolution that takes gradients of its results to gradients of x, whose outputs are these inputs. */
void in_tiles(const float *weights, void *to, int outputs, int inputs, int turned, int halves, int threads)
{
    const struct weights task = {weights, to, outputs, inputs, turned, halves};
    share(order_weights, &task, (turned ? inputs : outputs) / LANES, threads);
}
