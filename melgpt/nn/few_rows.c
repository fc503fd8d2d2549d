/* y = x W' + b for a few rows x, the weights in bfloat16, all sums in float32.
 *
 * A panel holds the weights of WIDTH outputs. Within it a word holds those of two inputs that follow each other,
 * the first in its lower half: a shift or a mask makes a float32 of it, and a panel is read from its first byte
 * to its last. A row's result is the same to the bit whatever rows are beside it, on however many threads.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 16
#else
#define LANES 8
#endif
#define WIDTH (2 * LANES)
#define PAIRS 256 /* of inputs: what two panels have for them stays in the first cache while all rows pass */
#define ROWS 5    /* whose sums for a panel fit 16 registers, with the weights */
#define MOST 48   /* rows at a time */

typedef float floats __attribute__((vector_size(4 * LANES), aligned(4)));
typedef uint32_t words __attribute__((vector_size(4 * LANES), aligned(4)));
typedef floats sums[2][2]; /* of one row: two panels of two vectors */

int outputs_at_once(void) { return 2 * WIDTH; }

/* The nearest bfloat16, the even one of two, in the upper half. Not-a-number stays so. */
static uint32_t rounded(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = value == value ? bits + 0x7fff + (bits >> 16 & 1) : bits | 0x400000;
    return bits & 0xffff0000u;
}

/* weights [outputs, inputs], inputs an even number -> as `linear` reads them, with zeros for outputs that are not. */
void in_order(const float *weights, uint32_t *ordered, int outputs, int inputs, int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int output = 0; output < outputs; output += WIDTH) {
        uint32_t *panel = ordered + (long)output * (inputs / 2);
        for (int i = 0; i < WIDTH; i++)
            for (int pair = 0; pair < inputs / 2; pair++) {
                const float *two = weights + (long)(output + i) * inputs + 2 * pair;
                panel[(long)pair * WIDTH + i] = output + i < outputs ? rounded(two[0]) >> 16 | rounded(two[1]) : 0;
            }
    }
}

/* Adds to the sums of some rows what some panels, the next one `panel` words on, have for some pairs of inputs. */
static inline __attribute__((always_inline)) void add(
    const int rows, const int panels, const uint32_t *weights, long panel, const float *x, long inputs, int pairs,
    sums *total, int first)
{
    floats sum[6][2] = {{{0}}}; /* of rows and panels: ROWS and 1, or 3 and 2 */
    for (int pair = 0; pair < pairs; pair++, weights += WIDTH, x += 2)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++) {
            words left = *(const words *)(weights + p * panel);
            words right = *(const words *)(weights + p * panel + LANES);
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                sum[r * panels + p][0] += (floats)(left << 16) * x[r * inputs];
                sum[r * panels + p][1] += (floats)(right << 16) * x[r * inputs];
            }
#pragma GCC unroll 8
            for (int r = 0; r < rows; r++) {
                sum[r * panels + p][0] += (floats)(left & 0xffff0000u) * x[r * inputs + 1];
                sum[r * panels + p][1] += (floats)(right & 0xffff0000u) * x[r * inputs + 1];
            }
        }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++)
            for (int i = 0; i < 2; i++) total[r][first + p][i] += sum[r * panels + p][i];
}

/* The same for any number of rows up to ROWS; two panels at once while the registers have room for their sums. */
static void add_some(
    int rows, int panels, const uint32_t *weights, long panel, const float *x, long inputs, int pairs, sums *total,
    int first)
{
#define CASE(r, p) \
    case 2 * r + p: add(r, p, weights, panel, x, inputs, pairs, total, first); break;
    switch (2 * rows + panels) { CASE(1, 2) CASE(2, 2) CASE(3, 2) CASE(3, 1) CASE(4, 1) CASE(5, 1) }
#undef CASE
}

/* weights [outputs / (2 WIDTH), 2, inputs / 2, WIDTH] words, outputs rounded up; x [rows, inputs], bias [outputs]
 * or none, y [rows, outputs]; inputs are an even number. */
void linear(
    const uint32_t *weights, const float *x, const float *bias, float *y, int rows, int inputs, int outputs, int threads)
{
    const long panel = (long)inputs / 2 * WIDTH;
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int output = 0; output < outputs; output += 2 * WIDTH)
        for (int top = 0; top < rows; top += MOST) {
            const int height = rows - top < MOST ? rows - top : MOST;
            const int parts = (height + ROWS - 1) / ROWS, panels = height <= 3 ? 2 : 1;
            sums total[MOST];
            memset(total, 0, height * sizeof(sums));
            for (int p = 0; p < 2; p += panels)
                for (int input = 0; input < inputs; input += 2 * PAIRS) {
                    const int pairs = inputs - input < 2 * PAIRS ? (inputs - input) / 2 : PAIRS;
                    const uint32_t *from = weights + (long)output * (inputs / 2) + p * panel + (long)input / 2 * WIDTH;
                    for (int part = 0; part < parts; part++) {
                        const int r = height * part / parts, next = height * (part + 1) / parts;
                        const float *rows_from = x + (long)(top + r) * inputs + input;
                        add_some(next - r, panels, from, panel, rows_from, inputs, pairs, total + r, p);
                    }
                }
            const int count = outputs - output < 2 * WIDTH ? outputs - output : 2 * WIDTH;
            for (int r = 0; r < height; r++)
                for (int i = 0; i < count; i++)
                    y[(long)(top + r) * outputs + output + i] = ((float *)total[r])[i] + (bias ? bias[output + i] : 0);
        }
}

static float dot(const float *a, const float *b, int length)
{
    floats lanes = {0};
    int i = 0;
    for (; i + LANES <= length; i += LANES) lanes += *(const floats *)(a + i) * *(const floats *)(b + i);
    float sum = 0;
    for (int j = 0; j < LANES; j++) sum += lanes[j];
    for (; i < length; i++) sum += a[i] * b[i];
    return sum;
}

/* y = x / sqrt(mean x² + epsilon) * weight, of one row. */
static void normalise(const float *x, const float *weight, float *y, int length, float epsilon)
{
    const float scale = 1 / sqrtf(dot(x, x, length) / length + epsilon);
    for (int i = 0; i < length; i++) y[i] = x[i] * scale * weight[i];
}

/* The same for x [rows, length]. */
void rms_norm(const float *x, const float *weight, float *y, int rows, int length, float epsilon)
{
    for (int row = 0; row < rows; row++) normalise(x + (long)row * length, weight, y + (long)row * length, length, epsilon);
}

/* A query or key: normalised and turned by its position's angle, where there are weights and angles for that. */
static void place(
    const float *x, const float *weight, const float *cosine, const float *sine, float *y, int length, float epsilon)
{
    float plain[length];
    if (weight)
        normalise(x, weight, plain, length, epsilon);
    else
        memcpy(plain, x, sizeof plain);
    for (int i = 0; i < length; i++)
        y[i] = cosine ? plain[i] * cosine[i] + plain[(i + length / 2) % length] * sine[i] : plain[i];
}

/* Attention of one new position in each sequence to itself and those before it.
 * qkv [batch, 3, heads, length]; cosine, sine [length] or none; query_weight, key_weight [length] or none; keys, values
 * [batch, heads, room, length], of which this position is written; y [batch, heads, length]. */
void attend(
    const float *qkv, const float *cosine, const float *sine, const float *query_weight, const float *key_weight,
    float epsilon, float *keys, float *values, float *y, int batch, int heads, int length, long room, int position,
    int threads)
{
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1)
    for (int head = 0; head < batch * heads; head++) {
        const float *new = qkv + ((long)(head / heads) * 3 * heads + head % heads) * length;
        float *key = keys + head * room * length, *value = values + head * room * length, *sum = y + (long)head * length;
        float query[length], share[position + 1], most = -INFINITY, whole = 0;
        place(new, query_weight, cosine, sine, query, length, epsilon);
        place(new + heads * length, key_weight, cosine, sine, key + (long)position * length, length, epsilon);
        memcpy(value + (long)position * length, new + 2 * heads * length, length * sizeof(float));
        for (int at = 0; at <= position; at++) {
            share[at] = dot(query, key + (long)at * length, length) / sqrtf(length);
            most = share[at] > most ? share[at] : most;
        }
        memset(sum, 0, length * sizeof(float));
        for (int at = 0; at <= position; at++) {
            const float weight = expf(share[at] - most);
            whole += weight;
            for (int i = 0; i < length; i++) sum[i] += weight * value[(long)at * length + i];
        }
        for (int i = 0; i < length; i++) sum[i] /= whole;
    }
}
