/* RMSNorm (Zhang and Sennrich 2019, https://arxiv.org/abs/1910.07467) that is trained, and its gradients: vectors of a multiple
 * of LANES numbers in float32 or bfloat16, all sums in float32.
 */
#include "halves.h"
#include "team.h"

struct norm {
    const void *x, *dy;
    const float *weight;
    void *to;         /* y, or dx */
    float *inverse;   /* [rows]: 1 / the root of the mean square */
    float *of_weight; /* [parts, length] */
    float epsilon;
    long rows;
    int length, halves;
};

static inline __attribute__((always_inline)) void normalise(const struct norm *t, long row, const int halves)
{
    floats squares = {0};
    for (int i = 0; i < t->length; i += LANES) {
        const floats x = some(t->x, row * t->length + i, halves);
        squares += x * x;
    }
    const float inverse = t->inverse[row] = 1 / sqrtf(sum_of(squares) / t->length + t->epsilon);
    for (int i = 0; i < t->length; i += LANES) {
        const long at = row * t->length + i;
        put(t->to, at, some(t->x, at, halves) * inverse * *(const floats *)(t->weight + i), halves);
    }
}

/* With z = x * inverse the gradient is (weight * dy - z * mean(weight * dy * z)) * inverse. */
static inline __attribute__((always_inline)) void differentiate(
    const struct norm *t, long row, float *of_weight, const int halves)
{
    const float inverse = t->inverse[row];
    floats products = {0};
    for (int i = 0; i < t->length; i += LANES) {
        const long at = row * t->length + i;
        const floats z = some(t->x, at, halves) * inverse, with = some(t->dy, at, halves) * z;
        *(floats *)(of_weight + i) += with;
        products += with * *(const floats *)(t->weight + i);
    }
    const float mean = sum_of(products) / t->length;
    for (int i = 0; i < t->length; i += LANES) {
        const long at = row * t->length + i;
        const floats z = some(t->x, at, halves) * inverse;
        put(t->to, at, (some(t->dy, at, halves) * *(const floats *)(t->weight + i) - z * mean) * inverse, halves);
    }
}

static inline __attribute__((always_inline)) void some_rows(const struct norm *t, int part, const int halves)
{
    const int many = rows_at_once(t->length);
    const long first = (long)part * many, end = first + many < t->rows ? first + many : t->rows;
    float *of_weight = t->of_weight + (long)part * t->length;
    if (t->dy) memset(of_weight, 0, t->length * sizeof(float));
    for (long row = first; row < end; row++)
        if (t->dy)
            differentiate(t, row, of_weight, halves);
        else
            normalise(t, row, halves);
}

EACH(struct norm, some_rows)

/* Numbers of room that `rms_norm_back` wants. */
long rms_norm_room(long rows, int length)
{
    const int many = rows_at_once(length);
    return (rows + many - 1) / many * length;
}

/* x, y [rows, length], bfloat16 where `halves`, weight [length]: y = x * inverse * weight, inverse [rows] is written. */
void rms_norm_forth(
    const void *x, const float *weight, void *y, float *inverse, float epsilon, long rows, int length, int halves, int threads)
{
    const struct norm task = {
        .x = x, .weight = weight, .to = y, .inverse = inverse, .epsilon = epsilon, .rows = rows, .length = length, .halves = halves};
    share(each_some_rows, &task, rms_norm_room(rows, length) / length, threads);
}

/* Gradients: dy as y, inverse as rms_norm_forth wrote it; dx as x, dweight [length]. Room as of rms_norm_room. */
void rms_norm_back(
    const void *dy, const void *x, const float *weight, float *inverse, void *dx, float *dweight, float *room, long rows,
    int length, int halves, int threads)
{
    const struct norm task = {x, dy, weight, dx, inverse, room, 0, rows, length, halves};
    const int parts = rms_norm_room(rows, length) / length;
    share(each_some_rows, &task, parts, threads);
    memset(dweight, 0, length * sizeof(float));
    for (int part = 0; part < parts; part++)
        for (int i = 0; i < length; i++) dweight[i] += room[(long)part * length + i];
}
