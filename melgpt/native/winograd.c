/* Convolutions of 3x3 with a margin of zeros, maps with their channels last, by F(2x2, 3x3) of Lavin and Gray 2015
 * (https://arxiv.org/abs/1509.09308): a tile of 2x2 results takes 16 products a channel in the place of 36, each of them a
 * matrix product over all tiles. In float32, or with maps, weights and transformed tiles in bfloat16, sums in float32.
 */
#include "halves.h"
#include "team.h"

#include <stdlib.h>

#define WIDTH (2 * LANES) /* outputs at a time */
#define PLACES 16         /* of a transformed tile */
#define MOST 48           /* tiles at a time: transformed, they stay in the second cache */
#if LANES == 16
#define ROWS 12 /* tiles whose sums fit the registers, with the weights */
#define EACH_CASE CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#else
#define ROWS 5
#define EACH_CASE CASE(1) CASE(2) CASE(3) CASE(4) CASE(5)
#endif

struct convolution {
    const void *x;
    const uint32_t *weights;
    const float *bias;
    void *y;
    int batch, height, width, inputs, outputs, halves, tiles;
};

/* Where a tile's results begin; its inputs begin a line and a column before. */
struct tile {
    int map, line, column;
};

static struct tile tile_at(const struct convolution *t, long number)
{
    const int across = (t->width + 1) / 2, down = (t->height + 1) / 2;
    return (struct tile){number / across / down, 2 * (number / across % down), 2 * (number % across)};
}

/* Tiles [count] of inputs -> [PLACES, count, stride], the channels of a place beside each other. `zeros`: as many channels. */
static inline __attribute__((always_inline)) void transform_inputs(
    const struct convolution *t, long first, int count, char *to, long stride, const char *zeros, const int halves)
{
    const int size = halves ? 2 : 4;
    for (int number = 0; number < count; number++) {
        const struct tile tile = tile_at(t, first + number);
        const char *from[4][4];
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 4; j++) {
                const int line = tile.line + i - 1, column = tile.column + j - 1;
                const int within = line >= 0 && line < t->height && column >= 0 && column < t->width;
                const long place = ((long)tile.map * t->height + line) * t->width + column;
                from[i][j] = within ? (const char *)t->x + place * t->inputs * size : zeros;
            }
        for (int channel = 0; channel < t->inputs; channel += LANES) {
            floats lines[4][4];
            for (int j = 0; j < 4; j++) {
                const floats a = some(from[0][j], channel, halves), b = some(from[1][j], channel, halves);
                const floats c = some(from[2][j], channel, halves), d = some(from[3][j], channel, halves);
                lines[0][j] = a - c, lines[1][j] = b + c, lines[2][j] = c - b, lines[3][j] = b - d;
            }
            for (int i = 0; i < 4; i++) {
                const floats a = lines[i][0], b = lines[i][1], c = lines[i][2], d = lines[i][3];
                const floats made[4] = {a - c, b + c, c - b, b - d};
                for (int j = 0; j < 4; j++)
                    put(to + ((4 * i + j) * (long)count + number) * stride * size, channel, made[j], halves);
            }
        }
    }
}

/* sums [rows, WIDTH] of tiles [rows, stride] and weights [steps, WIDTH]; a step is a channel, or two as halves of a word. */
static inline __attribute__((always_inline)) void multiply(
    const int rows, const int halves, const uint32_t *weights, const uint32_t *tiles, long stride, int steps, float *sums)
{
    floats sum[ROWS][2] = {{{0}}};
    for (int step = 0; step < steps; step++, weights += WIDTH) {
        const words left = *(const words *)weights, right = *(const words *)(weights + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const uint32_t x = tiles[r * stride + step];
            if (halves) {
                sum[r][0] = add_halves(sum[r][0], left, x);
                sum[r][1] = add_halves(sum[r][1], right, x);
                continue;
            }
            float value;
            memcpy(&value, &x, sizeof value);
            sum[r][0] += (floats)left * value;
            sum[r][1] += (floats)right * value;
        }
    }
    memcpy(sums, sum, rows * sizeof sum[0]);
}

static void multiply_some(
    int rows, int halves, const uint32_t *weights, const uint32_t *tiles, long stride, int steps, float *sums)
{
#define CASE(r) \
    case r: \
        if (MULTIPLIES_HALVES && halves) multiply(r, 1, weights, tiles, stride, steps, sums); \
        else multiply(r, 0, weights, tiles, stride, steps, sums); \
        break;
    switch (rows) { EACH_CASE }
#undef CASE
}

/* sums [PLACES, count, WIDTH] -> results of the outputs from `output` on. */
static inline __attribute__((always_inline)) void transform_outputs(
    const struct convolution *t, long first, int count, const float *sums, int output, const int halves)
{
    for (int number = 0; number < count; number++) {
        const struct tile tile = tile_at(t, first + number);
        for (int lanes = 0; lanes < WIDTH && output + lanes < t->outputs; lanes += LANES) {
            floats lines[2][4], start = {0};
            if (t->bias) start = *(const floats *)(t->bias + output + lanes);
            for (int j = 0; j < 4; j++) {
                floats m[4];
                for (int i = 0; i < 4; i++) m[i] = *(const floats *)(sums + ((4 * i + j) * (long)count + number) * WIDTH + lanes);
                lines[0][j] = m[0] + m[1] + m[2], lines[1][j] = m[1] - m[2] - m[3];
            }
            for (int i = 0; i < 2 && tile.line + i < t->height; i++) {
                const floats *m = lines[i], made[2] = {start + m[0] + m[1] + m[2], start + m[1] - m[2] - m[3]};
                const long place = ((long)tile.map * t->height + tile.line + i) * t->width + tile.column;
                for (int j = 0; j < 2 && tile.column + j < t->width; j++)
                    put((char *)t->y, (place + j) * t->outputs + output + lanes, made[j], halves);
            }
        }
    }
}

/* A helper's own room of so many bytes, kept from task to task; none if there is no memory. */
static char *room_of(size_t bytes)
{
    static _Thread_local char *room;
    static _Thread_local size_t size;
    if (size < bytes) {
        free(room);
        size = posix_memalign((void **)&room, 64, bytes) ? 0 : bytes;
        if (!size) room = NULL;
    }
    return room;
}

static inline __attribute__((always_inline)) void some_tiles(const struct convolution *t, int part, const int halves)
{
    const int across = (t->width + 1) / 2, down = (t->height + 1) / 2, size = halves ? 2 : 4;
    const long first = (long)part * t->tiles, left = (long)t->batch * across * down - first;
    const int count = left < t->tiles ? left : t->tiles, groups = (count + ROWS - 1) / ROWS;
    const long stride = t->inputs + 2 * LANES; /* a power of two would put all rows on the same places of the cache */
    const int steps = halves ? t->inputs / 2 : t->inputs;
    const size_t tiles = (size_t)PLACES * count * stride * size, sums = (size_t)PLACES * count * WIDTH * sizeof(float);
    char *room = room_of(tiles + sums + t->inputs * size);
    if (!room) abort();
    char *zeros = room + tiles + sums;
    memset(zeros, 0, t->inputs * size);
    transform_inputs(t, first, count, room, stride, zeros, halves);
    const uint32_t *weights = t->weights;
    for (int output = 0; output < t->outputs; output += WIDTH) {
        float *sum = (float *)(room + tiles);
        for (int place = 0; place < PLACES; place++, weights += (long)steps * WIDTH)
            for (int group = 0; group < groups; group++) {
                const int r = count * group / groups, next = count * (group + 1) / groups;
                const long row = (long)place * count + r;
                multiply_some(
                    next - r, halves, weights, (const uint32_t *)(room + row * stride * size), stride * size / 4, steps,
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

/* x [batch, height, width, inputs], bias [outputs] or none, y [batch, height, width, outputs], x and y in bfloat16 where
 * `halves`; weights [outputs / WIDTH, PLACES, inputs, WIDTH], outputs rounded up, or as halves two inputs in a word; inputs
 * and outputs are multiples of 16. */
void convolve(
    const void *x, const uint32_t *weights, const float *bias, void *y, int batch, int height, int width, int inputs,
    int outputs, int halves, int threads)
{
    const long all = (long)batch * ((height + 1) / 2) * ((width + 1) / 2);
    const int tiles = all >= 4L * MOST * threads ? MOST : MOST / 2;
    const struct convolution task = {x, weights, bias, y, batch, height, width, inputs, outputs, halves, tiles};
    share(tiles_of, &task, (all + tiles - 1) / tiles, threads);
}
