/* What is done to each position's vector by itself: norms and activations, in float32. */
#include "elements.h"

#include "gate.h"
#include "team.h"

#define AT_ONCE 4096 /* numbers that one helper takes at a time: less is over before it has begun */

static float dot_with_itself(const float *x, int length, float shift)
{
    floats lanes = {0};
    int i = 0;
    for (; i + LANES <= length; i += LANES) {
        const floats x_i = *(const floats *)(x + i) - shift;
        lanes += x_i * x_i;
    }
    float sum = sum_of(lanes);
    for (; i < length; i++) sum += (x[i] - shift) * (x[i] - shift);
    return sum;
}

void rms_normalise(const float *x, const float *weight, float *y, int length, float epsilon)
{
    const float scale = 1 / sqrtf(dot_with_itself(x, length, 0) / length + epsilon);
    for (int i = 0; i < length; i++) y[i] = x[i] * scale * weight[i];
}

static void layer_normalise(
    const float *x, const float *weight, const float *bias, float *y, int length, float epsilon)
{
    floats lanes = {0};
    int i = 0;
    for (; i + LANES <= length; i += LANES) lanes += *(const floats *)(x + i);
    float sum = sum_of(lanes);
    for (; i < length; i++) sum += x[i];
    const float mean = sum / length, scale = 1 / sqrtf(dot_with_itself(x, length, mean) / length + epsilon);
    for (i = 0; i < length; i++) y[i] = (x[i] - mean) * scale * weight[i] + (bias ? bias[i] : 0);
}

/* x Φ(x), the error function after Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26 (error 1.5e-7). */
static floats gelu_of(floats x)
{
    const floats z = x * 0.707106781f, size = (floats)((words)z & 0x7fffffffu);
    const floats t = 1 / (1 + 0.3275911f * size);
    floats series = t * 1.061405429f - 1.453152027f;
    series = series * t + 1.421413741f;
    series = series * t - 0.284496736f;
    series = series * t + 0.254829592f;
    const floats tail = series * t * exp_of(-size * size); /* 1 - erf |z| */
    return x * 0.5f * choose((words)(x < 0), tail, 2 - tail);
}

/* y = f(x), or f(x) times factor. */
static inline __attribute__((always_inline)) void activate(
    floats (*f)(floats), const float *x, const float *factor, float *y, int length)
{
    for (int i = 0; i < length; i += LANES) {
        const int count = length - i < LANES ? length - i : LANES;
        floats some = {0}, other = {0};
        memcpy(&some, x + i, count * sizeof(float));
        some = f(some);
        if (factor) {
            memcpy(&other, factor + i, count * sizeof(float));
            some *= other;
        }
        memcpy(y + i, &some, count * sizeof(float));
    }
}

struct rows {
    const float *x, *weight, *bias;
    float *y, epsilon;
    int rows, length, at_once;
    enum { RMS, LAYER, GELU, SWIGLU } kind;
};

static void some_rows(const void *task, int part)
{
    const struct rows *t = task;
    const int first = part * t->at_once, end = first + t->at_once < t->rows ? first + t->at_once : t->rows;
    for (int row = first; row < end; row++) {
        const float *x = t->x + (long)row * t->length * (t->kind == SWIGLU ? 2 : 1);
        float *y = t->y + (long)row * t->length;
        switch (t->kind) {
        case RMS: rms_normalise(x, t->weight, y, t->length, t->epsilon); break;
        case LAYER: layer_normalise(x, t->weight, t->bias, y, t->length, t->epsilon); break;
        case GELU: activate(gelu_of, x, NULL, y, t->length); break;
        case SWIGLU: activate(silu_of, x, x + t->length, y, t->length); break;
        }
    }
}

static void each_row(struct rows task, int threads)
{
    task.at_once = task.length < AT_ONCE ? AT_ONCE / task.length : 1;
    share(some_rows, &task, (task.rows + task.at_once - 1) / task.at_once, threads);
}

/* x, y [rows, length], weight [length]: y = x / sqrt(mean x² + epsilon) * weight. */
void rms_norm(const float *x, const float *weight, float *y, int rows, int length, float epsilon, int threads)
{
    each_row((struct rows){.x = x, .weight = weight, .y = y, .epsilon = epsilon, .rows = rows, .length = length, .kind = RMS}, threads);
}

/* x, y [rows, length], weight [length], bias [length] or none. */
void layer_norm(
    const float *x, const float *weight, const float *bias, float *y, int rows, int length, float epsilon, int threads)
{
    each_row((struct rows){x, weight, bias, y, epsilon, rows, length, .kind = LAYER}, threads);
}

/* x, y [rows, length]. */
void gelu(const float *x, float *y, int rows, int length, int threads)
{
    each_row((struct rows){.x = x, .y = y, .rows = rows, .length = length, .kind = GELU}, threads);
}

/* x [rows, 2, length], y [rows, length]: the first half's SiLU times the second half. */
void swiglu(const float *x, float *y, int rows, int length, int threads)
{
    each_row((struct rows){.x = x, .y = y, .rows = rows, .length = length, .kind = SWIGLU}, threads);
}
