/* Gradients of the weights of a 3x3 convolution, out of the same transformed tiles: at each place the product of transformed
 * inputs and of gradients, summed over all tiles, and only then turned into 3x3 numbers. In float32, or with maps and
 * transformed tiles in bfloat16, sums in float32.
 */
#include "team.h"
#include "winograd.h"

#define PLACES 16    /* of a transformed tile of 2x2 results */
#define BLOCK 64     /* inputs and outputs whose sums stay in the second cache */
#define STEPS 32     /* products between two readings of a sum */
#define STRETCH 1024 /* tiles of a stretch with sums of its own, about, where helpers would else have too few parts */
#define PARTS 16     /* that there should be */

/* Sums of a part: [PLACES, BLOCK / WIDTH, BLOCK outputs, WIDTH inputs], then those of the gradients alone [BLOCK]. */
#define SUMS (PLACES * BLOCK * BLOCK + BLOCK)

struct gradient {
    const void *x, *dy;
    float *sums, *dweight, *dbias;
    struct size size;
    int inputs, outputs, halves, stretches;
};

static int blocks_of(int channels) { return (channels + BLOCK - 1) / BLOCK; }

static int stretches_of(struct size size, int inputs, int outputs)
{
    const long wanted = (PARTS + blocks_of(inputs) * blocks_of(outputs) - 1) / (blocks_of(inputs) * blocks_of(outputs));
    const long most = (tiles_in(size, 2) + STRETCH - 1) / STRETCH;
    return wanted < most ? wanted : most;
}

/* LANES channels of a tile's 2x2 gradients -> transformed. */
static inline __attribute__((always_inline)) void transform_gradients(
    const char *const from[2][2], int channel, const int halves, floats made[PLACES])
{
    floats lines[4][2];
    for (int j = 0; j < 2; j++) {
        const floats a = some(from[0][j], channel, halves), b = some(from[1][j], channel, halves);
        lines[0][j] = a, lines[1][j] = a + b, lines[2][j] = a - b, lines[3][j] = -b;
    }
    for (int i = 0; i < 4; i++) {
        const floats a = lines[i][0], b = lines[i][1];
        made[4 * i] = a, made[4 * i + 1] = a + b, made[4 * i + 2] = a - b, made[4 * i + 3] = -b;
    }
}

/* Channels [first, first + count) of a tile -> a step of `to` [PLACES, STEPS, BLOCK]; as halves of the words the tile and the
 * one after it. */
static inline __attribute__((always_inline)) void transform_step(
    const struct gradient *t, const int of_inputs, long number, long end, int first, int count, uint32_t *to, float *bias,
    const char *zeros, const int halves)
{
    const int bytes = halves ? 2 : 4, tiles = halves ? 2 : 1, channels = of_inputs ? t->inputs : t->outputs;
    const char *from[2][MOST_ACROSS][MOST_ACROSS], *gradients[2][2][2];
    for (int n = 0; n < tiles; n++) {
        struct tile tile = tile_at(t->size, 2, number + n);
        if (number + n >= end) tile.line = t->size.height + 1; /* beyond the map all is zero */
        if (of_inputs) {
            inputs_of(2, t->x, t->size, tile, channels, bytes, zeros, from[n]);
            continue;
        }
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++)
                gradients[n][i][j] =
                    place_in(t->dy, t->size, tile.map, tile.line + i, tile.column + j, channels, bytes, zeros);
    }
    for (int channel = 0; channel < count; channel += LANES) {
        floats made[2][PLACES];
        for (int n = 0; n < tiles; n++) {
            if (of_inputs) {
                transform_inputs(2, from[n], first + channel, halves, made[n]);
                continue;
            }
            transform_gradients(gradients[n], first + channel, halves, made[n]);
            if (bias) *(floats *)(bias + channel) += made[n][5]; /* where all four are added */
        }
        for (int place = 0; place < PLACES; place++) {
            words *step = (words *)(to + (long)place * STEPS * BLOCK + channel);
            *step = halves ? pairs_of(made[0][place], made[1][place]) : (words)made[0][place];
        }
    }
}

static void multiply_some(
    int rows, int halves, const uint32_t *left, const uint32_t *right, int steps, float *sums, int on)
{
#define CASE(r) \
    case r: \
        if (MULTIPLIES_HALVES && halves) multiply(r, 1, left, BLOCK, right, 1, BLOCK, steps, sums, on); \
        else multiply(r, 0, left, BLOCK, right, 1, BLOCK, steps, sums, on); \
        break;
    switch (rows) { EACH_CASE }
#undef CASE
}

/* The weights' gradients of an output and LANES inputs, and the output's bias's, from the sums of their blocks, that lie
 * `apart` from stretch to stretch. */
static void write_gradients(const struct gradient *t, int output, int input, const float *sums, long apart)
{
    const long at = (input % BLOCK / WIDTH * BLOCK + output % BLOCK) * WIDTH + input % WIDTH;
    floats lines[3][4];
    for (int j = 0; j < 4; j++) {
        floats m[4] = {{0}};
        for (int i = 0; i < 4; i++)
            for (int stretch = 0; stretch < t->stretches; stretch++)
                m[i] += *(const floats *)(sums + stretch * apart + (4 * i + j) * BLOCK * BLOCK + at);
        const floats ends = (m[1] + m[2]) * 0.5f;
        lines[0][j] = m[0] + ends, lines[1][j] = (m[1] - m[2]) * 0.5f, lines[2][j] = ends + m[3];
    }
    for (int i = 0; i < 3; i++) {
        const floats *m = lines[i], ends = (m[1] + m[2]) * 0.5f;
        const floats made[3] = {m[0] + ends, (m[1] - m[2]) * 0.5f, ends + m[3]};
        for (int j = 0; j < 3; j++) *(floats *)(t->dweight + (output * 9L + 3 * i + j) * t->inputs + input) = made[j];
    }
    if (input) return;
    t->dbias[output] = 0;
    for (int stretch = 0; stretch < t->stretches; stretch++)
        t->dbias[output] += sums[stretch * apart + PLACES * BLOCK * BLOCK + output % BLOCK];
}

/* All of an output, `part`, from the sums of several stretches. */
static void each_output(const void *task, int part)
{
    const struct gradient *t = task;
    const int blocks = blocks_of(t->inputs);
    for (int input = 0; input < t->inputs; input += LANES)
        write_gradients(
            t, part, input, t->sums + (long)(part / BLOCK * blocks + input / BLOCK) * SUMS,
            (long)blocks * blocks_of(t->outputs) * SUMS);
}

static int at_most(int number, int most) { return number < most ? number : most; }

/* The sums of a stretch of tiles, for a block of inputs and one of outputs; of the only stretch, the gradients. */
static inline __attribute__((always_inline)) void some_sums(const struct gradient *t, int part, const int halves)
{
    const int tiles = halves ? 2 : 1, most = t->inputs > t->outputs ? t->inputs : t->outputs;
    const int input = part % blocks_of(t->inputs) * BLOCK, output = part / blocks_of(t->inputs) % blocks_of(t->outputs) * BLOCK;
    const int inputs = at_most(t->inputs - input, BLOCK), outputs = at_most(t->outputs - output, BLOCK);
    const int groups = (outputs + ROWS - 1) / ROWS;
    const long stretch = part / blocks_of(t->inputs) / blocks_of(t->outputs), all = tiles_in(t->size, 2);
    const long start = all * stretch / t->stretches, end = all * (stretch + 1) / t->stretches;
    const size_t transformed = (size_t)PLACES * STEPS * BLOCK;
    uint32_t *left = (uint32_t *)room_of((2 * transformed + SUMS + most) * 4), *right = left + transformed;
    float *sums = t->stretches > 1 ? t->sums + (long)part * SUMS : (float *)(right + transformed);
    float *bias = sums + PLACES * BLOCK * BLOCK;
    char *zeros = (char *)(right + transformed + SUMS);
    memset(zeros, 0, most * 4);
    if (inputs % WIDTH) memset(left, 0, transformed * sizeof *left); /* lanes beyond the last input stay so */
    memset(bias, 0, BLOCK * sizeof *bias);
    for (long first = start; first < end; first += STEPS * tiles) {
        const int steps = at_most((end - first + tiles - 1) / tiles, STEPS);
        for (int step = 0; step < steps; step++) {
            const long number = first + step * tiles;
            transform_step(t, 1, number, end, input, inputs, left + step * BLOCK, NULL, zeros, halves);
            transform_step(t, 0, number, end, output, outputs, right + step * BLOCK, bias, zeros, halves);
        }
        for (int place = 0; place < PLACES; place++)
            for (int lanes = 0; lanes < inputs; lanes += WIDTH)
                for (int group = 0; group < groups; group++) {
                    const int r = outputs * group / groups, next = outputs * (group + 1) / groups;
                    const long at = (long)place * STEPS * BLOCK;
                    multiply_some(
                        next - r, halves, left + at + lanes, right + at + r, steps,
                        sums + ((long)place * BLOCK + lanes) * BLOCK + r * WIDTH, first > start);
                }
    }
    for (int row = 0; t->stretches == 1 && row < outputs; row++)
        for (int lanes = 0; lanes < inputs; lanes += LANES) write_gradients(t, output + row, input + lanes, sums, 0);
}

static void each_sums(const void *task, int part)
{
    const struct gradient *t = task;
    if (MULTIPLIES_HALVES && t->halves)
        some_sums(t, part, 1);
    else
        some_sums(t, part, 0);
}

/* Numbers of room that `convolve_back` wants. */
long gradient_room(int batch, int height, int width, int inputs, int outputs)
{
    const struct size size = {batch, height, width};
    const long stretches = stretches_of(size, inputs, outputs);
    return stretches == 1 ? 0 : stretches * blocks_of(inputs) * blocks_of(outputs) * SUMS;
}

/* x [batch, height, width, inputs], dy [batch, height, width, outputs], in bfloat16 where `halves`, channels multiples of 16 ->
 * dweight [outputs, 3, 3, inputs], dbias [outputs]. Room as of gradient_room. */
void convolve_back(
    const void *x, const void *dy, float *dweight, float *dbias, float *room, int batch, int height, int width, int inputs,
    int outputs, int halves, int threads)
{
    const struct size size = {batch, height, width};
    const int stretches = stretches_of(size, inputs, outputs);
    const struct gradient task = {x, dy, room, dweight, dbias, size, inputs, outputs, halves, stretches};
    share(each_sums, &task, stretches * blocks_of(inputs) * blocks_of(outputs), threads);
    if (stretches > 1) share(each_output, &task, outputs, threads);
}
