/* Group normalisation (Wu and He 2018, https://arxiv.org/abs/1803.08494) and SiLU in one, and its gradients; maps with their
 * channels last, in float32 or bfloat16, all sums in float32. torch's gradients of such maps take as long as a convolution's.
 */
#include "halves.h"
#include "team.h"

#define CHUNK 256 /* places that one helper takes at a time; sums are added up chunk by chunk whatever the threads */

struct norm {
    const void *x, *dy;
    const float *weight, *bias;
    void *to;     /* y, or dx */
    float *stats; /* [batch, groups, 2]: mean and 1 / standard deviation */
    float *sums;  /* [chunks, 2, channels] */
    float *terms; /* [batch, 2, channels]: of dx, what is taken off: a number, and what stands with x */
    int batch, places, channels, groups, halves;
};

static int chunks_of(const struct norm *t) { return (t->places + CHUNK - 1) / CHUNK; }

/* The chunk's first place, and how many it has. */
static long chunk_at(const struct norm *t, int part, int *count)
{
    const int first = part % chunks_of(t) * CHUNK;
    *count = t->places - first < CHUNK ? t->places - first : CHUNK;
    return (long)(part / chunks_of(t)) * t->places + first;
}

/* What each channel of a map is multiplied with, and what is added then. */
static void scales_of(const struct norm *t, int map, float *scale, float *shift)
{
    for (int channel = 0; channel < t->channels; channel++) {
        const float *stats = t->stats + ((long)map * t->groups + channel / (t->channels / t->groups)) * 2;
        scale[channel] = stats[1] * t->weight[channel];
        shift[channel] = t->bias[channel] - stats[0] * scale[channel];
    }
}

/* Sums of each channel, and of its squares, both less the channel's first value in the map, which keeps them small. */
static inline __attribute__((always_inline)) void add_up(const struct norm *t, int part, const int halves)
{
    int count;
    const long first = chunk_at(t, part, &count), start = part / chunks_of(t) * (long)t->places;
    float *sums = t->sums + (long)part * 2 * t->channels, *squares = sums + t->channels;
    memset(sums, 0, 2 * t->channels * sizeof(float));
    for (int place = 0; place < count; place++)
        for (int channel = 0; channel < t->channels; channel += LANES) {
            const floats pivot = some(t->x, start * t->channels + channel, halves);
            const floats x = some(t->x, (first + place) * t->channels + channel, halves) - pivot;
            *(floats *)(sums + channel) += x, *(floats *)(squares + channel) += x * x;
        }
}

static inline __attribute__((always_inline)) void normalise(const struct norm *t, int part, const int halves)
{
    int count;
    const long first = chunk_at(t, part, &count);
    float scale[t->channels], shift[t->channels];
    scales_of(t, part / chunks_of(t), scale, shift);
    for (int place = 0; place < count; place++)
        for (int channel = 0; channel < t->channels; channel += LANES) {
            const long at = (first + place) * t->channels + channel;
            const floats z = some(t->x, at, halves) * *(floats *)(scale + channel) + *(floats *)(shift + channel);
            put(t->to, at, z / (1 + exp_of(-z)), halves);
        }
}

/* The gradient before the SiLU, of its result z. */
static inline floats through_silu(floats dy, floats z)
{
    const floats share = 1 / (1 + exp_of(-z));
    return dy * share * (1 + z * (1 - share));
}

/* Sums of each channel's gradient, and of its products with the channel as it was read. */
static inline __attribute__((always_inline)) void add_up_gradients(const struct norm *t, int part, const int halves)
{
    int count;
    const long first = chunk_at(t, part, &count);
    float *sums = t->sums + (long)part * 2 * t->channels, *products = sums + t->channels;
    float scale[t->channels], shift[t->channels];
    scales_of(t, part / chunks_of(t), scale, shift);
    memset(sums, 0, 2 * t->channels * sizeof(float));
    for (int place = 0; place < count; place++)
        for (int channel = 0; channel < t->channels; channel += LANES) {
            const long at = (first + place) * t->channels + channel;
            const floats x = some(t->x, at, halves), z = x * *(floats *)(scale + channel) + *(floats *)(shift + channel);
            const floats dz = through_silu(some(t->dy, at, halves), z);
            *(floats *)(sums + channel) += dz, *(floats *)(products + channel) += dz * x;
        }
}

static inline __attribute__((always_inline)) void differentiate(const struct norm *t, int part, const int halves)
{
    int count;
    const long first = chunk_at(t, part, &count);
    const float *number = t->terms + (long)(part / chunks_of(t)) * 2 * t->channels, *with_x = number + t->channels;
    float scale[t->channels], shift[t->channels];
    scales_of(t, part / chunks_of(t), scale, shift);
    for (int place = 0; place < count; place++)
        for (int channel = 0; channel < t->channels; channel += LANES) {
            const long at = (first + place) * t->channels + channel;
            const floats x = some(t->x, at, halves), by = *(floats *)(scale + channel);
            const floats dz = through_silu(some(t->dy, at, halves), x * by + *(floats *)(shift + channel));
            put(t->to, at, dz * by - *(floats *)(number + channel) - x * *(floats *)(with_x + channel), halves);
        }
}

EACH(struct norm, add_up)
EACH(struct norm, normalise)
EACH(struct norm, add_up_gradients)
EACH(struct norm, differentiate)

/* The map's sums of a channel over all chunks. */
static void sums_of(const struct norm *t, int map, int channel, double *sum, double *other)
{
    *sum = *other = 0;
    for (int chunk = 0; chunk < chunks_of(t); chunk++) {
        const float *sums = t->sums + (long)(map * chunks_of(t) + chunk) * 2 * t->channels + channel;
        *sum += sums[0], *other += sums[t->channels];
    }
}

/* Numbers of room that `norm_silu` and its gradients want. */
long norm_room(int batch, int places, int channels) { return 2L * batch * channels * ((places + CHUNK - 1) / CHUNK + 1); }

/* x, y [batch, places, channels], bfloat16 where `halves`; weight, bias [channels], channels a multiple of 16; stats
 * [batch, groups, 2] are written: y = SiLU((x - mean) / sqrt(variance + epsilon) * weight + bias). Room as of norm_room. */
void norm_silu(
    const void *x, const float *weight, const float *bias, void *y, float *stats, float *room, float epsilon, int batch,
    int places, int channels, int groups, int halves, int threads)
{
    const struct norm task = {
        .x = x, .weight = weight, .bias = bias, .to = y, .stats = stats, .sums = room,
        .batch = batch, .places = places, .channels = channels, .groups = groups, .halves = halves};
    const int parts = batch * chunks_of(&task), each = channels / groups;
    share(each_add_up, &task, parts, threads);
    for (int map = 0; map < batch; map++)
        for (int group = 0; group < groups; group++) {
            double mean = 0, square = 0;
            for (int channel = group * each; channel < (group + 1) * each; channel++) {
                double sum, squares;
                sums_of(&task, map, channel, &sum, &squares);
                const double pivot = one(x, (long)map * places * channels + channel, halves), middle = sum / places;
                mean += (pivot + middle) / each;
                square += (squares / places - middle * middle + (pivot + middle) * (pivot + middle)) / each;
            }
            const double variance = square - mean * mean;
            float *to = stats + ((long)map * groups + group) * 2;
            to[0] = mean, to[1] = 1 / sqrt((variance > 0 ? variance : 0) + epsilon);
        }
    share(each_normalise, &task, parts, threads);
}

/* Gradients: dy as y; stats as norm_silu wrote them; dx as x, dweight and dbias [channels]. */
void norm_silu_back(
    const void *dy, const void *x, const float *weight, const float *bias, float *stats, void *dx, float *dweight,
    float *dbias, float *room, int batch, int places, int channels, int groups, int halves, int threads)
{
    struct norm task = {x, dy, weight, bias, dx, stats, room, NULL, batch, places, channels, groups, halves};
    const int parts = batch * chunks_of(&task), each = channels / groups;
    task.terms = room + 2L * parts * channels;
    share(each_add_up_gradients, &task, parts, threads);
    memset(dweight, 0, channels * sizeof(float));
    memset(dbias, 0, channels * sizeof(float));
    for (int map = 0; map < batch; map++)
        for (int group = 0; group < groups; group++) {
            const double mean = stats[((long)map * groups + group) * 2], scale = stats[((long)map * groups + group) * 2 + 1];
            double all = 0, with_x = 0; /* means over the group of weight * gradient, and of that times what was normalised */
            for (int channel = group * each; channel < (group + 1) * each; channel++) {
                double sum, products;
                sums_of(&task, map, channel, &sum, &products);
                const double normalised = (products - mean * sum) * scale;
                dbias[channel] += sum, dweight[channel] += normalised;
                all += weight[channel] * sum / ((double)each * places);
                with_x += weight[channel] * normalised / ((double)each * places);
            }
            for (int channel = group * each; channel < (group + 1) * each; channel++) {
                float *terms = task.terms + (long)map * 2 * channels + channel;
                terms[0] = scale * (all - with_x * scale * mean), terms[channels] = scale * scale * with_x;
            }
        }
    share(each_differentiate, &task, parts, threads);
}
