/* Tiles of Lavin and Gray 2015 (https://arxiv.org/abs/1509.09308): 2x2 results of a 3x3 convolution out of 4x4 inputs by 16
 * products a channel in the place of 36, or 4x4 out of 6x6 by 36 in the place of 144, which rounding lets float32 alone have.
 * Maps [batch, height, width, channels], a margin of zeros around.
 */
#ifndef WINOGRAD_H
#define WINOGRAD_H

#include "halves.h"

#include <stdlib.h>

#define WIDTH (2 * LANES) /* sums of a row at a time */
#define MOST_ACROSS 6     /* inputs of a tile */
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

/* Tiles of side x side results. */
static inline long tiles_in(struct size size, int side)
{
    return (long)size.batch * ((size.height + side - 1) / side) * ((size.width + side - 1) / side);
}

/* Where a tile's results begin; its inputs begin a line and a column before. */
struct tile {
    int map, line, column;
};

static inline struct tile tile_at(struct size size, const int side, long number)
{
    const int across = (size.width + side - 1) / side, down = (size.height + side - 1) / side;
    return (struct tile){number / across / down, side * (number / across % down), side * (number % across)};
}

/* Where channels of a place lie, of maps with numbers of so many bytes; `zeros` if it is beyond the map. */
static inline const char *place_in(
    const void *x, struct size size, int map, int line, int column, int channels, int bytes, const char *zeros)
{
    const int within = line >= 0 && line < size.height && column >= 0 && column < size.width;
    const long place = ((long)map * size.height + line) * size.width + column;
    return within ? (const char *)x + place * channels * bytes : zeros;
}

/* A line of side + 2 inputs -> transformed. */
static inline __attribute__((always_inline)) void transform_line(const int side, const floats *x, floats *made)
{
    if (side == 2) {
        made[0] = x[0] - x[2], made[1] = x[1] + x[2], made[2] = x[2] - x[1], made[3] = x[1] - x[3];
        return;
    }
    const floats even = x[4] - 4 * x[2], odd = x[3] - 4 * x[1], near = x[4] - x[2], far = 2 * (x[3] - x[1]);
    made[0] = 4 * (x[0] - x[2]) - x[2] + x[4], made[1] = even + odd, made[2] = even - odd;
    made[3] = near + far, made[4] = near - far, made[5] = 4 * (x[1] - x[3]) - x[3] + x[5];
}

/* LANES channels of a tile's inputs -> transformed, line by line. */
static inline __attribute__((always_inline)) void transform_inputs(
    const int side, const char *const from[MOST_ACROSS][MOST_ACROSS], int channel, const int halves, floats *made)
{
    const int across = side + 2;
    floats lines[MOST_ACROSS][MOST_ACROSS];
#pragma GCC unroll 6
    for (int j = 0; j < across; j++) {
        floats x[MOST_ACROSS], column[MOST_ACROSS];
#pragma GCC unroll 6
        for (int i = 0; i < across; i++) x[i] = some(from[i][j], channel, halves);
        transform_line(side, x, column);
#pragma GCC unroll 6
        for (int i = 0; i < across; i++) lines[i][j] = column[i];
    }
#pragma GCC unroll 6
    for (int i = 0; i < across; i++) transform_line(side, lines[i], made + i * across);
}

static inline void inputs_of(
    const int side, const void *x, struct size size, struct tile tile, int channels, int bytes, const char *zeros,
    const char *from[MOST_ACROSS][MOST_ACROSS])
{
    for (int i = 0; i < side + 2; i++)
        for (int j = 0; j < side + 2; j++)
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
