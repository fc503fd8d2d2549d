/* Tiles of F(2x2, 3x3) of Lavin and Gray 2015 (https://arxiv.org/abs/1509.09308): 2x2 results of a 3x3 convolution out of 4x4
 * inputs, by 16 products a channel in the place of 36. Maps [batch, height, width, channels], a margin of zeros around.
 */
#ifndef WINOGRAD_H
#define WINOGRAD_H

#include "halves.h"

#include <stdlib.h>

#define WIDTH (2 * LANES) /* sums of a row at a time */
#define PLACES 16         /* of a transformed tile */
#if LANES == 16
#define ROWS 12 /* whose sums fit the registers */
#define EACH_CASE CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#else
#define ROWS 5
#define EACH_CASE CASE(1) CASE(2) CASE(3) CASE(4) CASE(5)
#endif

struct size {
    int batch, height, width;
};

static inline long tiles_in(struct size size)
{
    return (long)size.batch * ((size.height + 1) / 2) * ((size.width + 1) / 2);
}

/* Where a tile's results begin; its inputs begin a line and a column before. */
struct tile {
    int map, line, column;
};

static inline struct tile tile_at(struct size size, long number)
{
    const int across = (size.width + 1) / 2, down = (size.height + 1) / 2;
    return (struct tile){number / across / down, 2 * (number / across % down), 2 * (number % across)};
}

/* Where channels of a place lie, of maps with numbers of so many bytes; `zeros` if it is beyond the map. */
static inline const char *place_in(
    const void *x, struct size size, int map, int line, int column, int channels, int bytes, const char *zeros)
{
    const int within = line >= 0 && line < size.height && column >= 0 && column < size.width;
    const long place = ((long)map * size.height + line) * size.width + column;
    return within ? (const char *)x + place * channels * bytes : zeros;
}

/* LANES channels of a tile's 4x4 inputs -> transformed. */
static inline __attribute__((always_inline)) void transform_inputs(
    const char *const from[4][4], int channel, const int halves, floats made[PLACES])
{
    floats lines[4][4];
    for (int j = 0; j < 4; j++) {
        const floats a = some(from[0][j], channel, halves), b = some(from[1][j], channel, halves);
        const floats c = some(from[2][j], channel, halves), d = some(from[3][j], channel, halves);
        lines[0][j] = a - c, lines[1][j] = b + c, lines[2][j] = c - b, lines[3][j] = b - d;
    }
    for (int i = 0; i < 4; i++) {
        const floats a = lines[i][0], b = lines[i][1], c = lines[i][2], d = lines[i][3];
        made[4 * i] = a - c, made[4 * i + 1] = b + c, made[4 * i + 2] = c - b, made[4 * i + 3] = b - d;
    }
}

static inline void inputs_of(
    const void *x, struct size size, struct tile tile, int channels, int bytes, const char *zeros, const char *from[4][4])
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            from[i][j] = place_in(x, size, tile.map, tile.line + i - 1, tile.column + j - 1, channels, bytes, zeros);
}

/* Sums [rows, WIDTH] of `steps` products of LANES left numbers, twice, and a row's right number: of words, that lie
 * `step_left` and `step_right` apart from step to step, the right ones `row` from row to row. A word is a number in float32,
 * or two in bfloat16, that are both multiplied. The sums begin with 0, or `on` with what is there. */
static inline __attribute__((always_inline)) void multiply(
    const int rows, const int halves, const uint32_t *left, long step_left, const uint32_t *right, long row, long step_right,
    int steps, float *sums, const int on)
{
    floats sum[ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < 2; i++) sum[r][i] = on ? *(const floats *)(sums + r * WIDTH + i * LANES) : (floats){0};
    for (int step = 0; step < steps; step++, left += step_left) {
        const words one = *(const words *)left, other = *(const words *)(left + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const uint32_t x = right[r * row + step * step_right];
            if (halves) {
                sum[r][0] = add_halves(sum[r][0], one, x);
                sum[r][1] = add_halves(sum[r][1], other, x);
                continue;
            }
            float value;
            memcpy(&value, &x, sizeof value);
            sum[r][0] += (floats)one * value;
            sum[r][1] += (floats)other * value;
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
        for (int i = 0; i < 2; i++) *(floats *)(sums + r * WIDTH + i * LANES) = sum[r][i];
}

/* A helper's own room of so many bytes, kept from task to task. */
static inline char *room_of(size_t bytes)
{
    static _Thread_local char *room;
    static _Thread_local size_t size;
    if (size < bytes) {
        free(room);
        size = bytes;
        if (posix_memalign((void **)&room, 64, bytes)) abort();
    }
    return room;
}

#endif
