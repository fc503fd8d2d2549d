/* Accelerated steps of Griffin and Lim, as vocoders/spectrum.py has them: from a spectrum to the sound that is nearest
 * to it, to that sound's own spectrum, whose phases are kept.
 *
 * A clip is cut into as many stretches of frames as there are lanes, or twice as many and so on; each lane has a
 * stretch, so that all lanes do the same at the same time and nothing is ever moved from lane to lane but where
 * stretches meet. All arrays are [group of stretches, frame or sample of the stretch, ..., lane].
 */
#include "fft.h"
#include "lanes.h"
#include "team.h"

#define TINY 1e-5f /* magnitude below which a bin has no phase */
#define FRAMES 32  /* of a stretch, about */

struct clip {
    const float *spectrum, *magnitude; /* as they are given */
    const float *window;
    const struct wave *waves; /* of n_fft, 3/4 of the turn */
    const int *places;        /* of the numbers of a transform of n_fft / 2 */
    int count, n_fft, hop, groups, frames, reach; /* frames of a stretch; samples of it beyond its frames * hop */
    floats *before, *older; /* [groups, frames, bins, real or imaginary] */
    floats *wanted;         /* magnitudes [groups, frames, bins], 0 beyond the clip's end */
    floats *weight, *samples, *next; /* [groups, frames * hop + reach] */
    float of_this, of_before, of_older, ahead; /* what a step makes of the spectra that there were */
};

static long length_of(const struct clip *t) { return (long)t->frames * t->hop + t->reach; }

/* Of a frame's spectrum x [bins, real or imaginary] the sound, windowed, is added to what is there. */
static void join(const struct clip *t, const floats *x, floats *sum)
{
    const int half = t->n_fft / 2;
    const float scale = 1.0f / t->n_fft;
    ALIGNED floats re[half], im[half];
    for (int k = 0; k < half; k++) { /* a real sound of n numbers as a complex one of half as many */
        const floats *here = x + 2 * k, *there = x + 2 * (half - k);
        /* The first and the last bin of a real sound have no imaginary part. */
        const floats hi = k ? here[1] : here[1] * 0, ti = k ? there[1] : there[1] * 0;
        const floats even_re = here[0] + there[0], even_im = hi - ti;
        const floats odd_re = here[0] - there[0], odd_im = hi + ti;
        const struct wave w = t->waves[k]; /* of which the inverse is meant */
        const floats turned_re = odd_re * w.real + odd_im * w.imaginary;
        const floats turned_im = odd_im * w.real - odd_re * w.imaginary;
        re[k] = even_re - turned_im;
        im[k] = even_im + turned_re;
    }
    transform(im, re, half, t->waves, 2); /* the other way round: the inverse */
    for (int i = 0; i < half; i++) {
        sum[2 * i] += re[t->places[i]] * (t->window[2 * i] * scale);
        sum[2 * i + 1] += im[t->places[i]] * (t->window[2 * i + 1] * scale);
    }
}

/* The sound of the spectrum that is given, and the magnitudes as they are wanted. */
static void begin(const void *task, int group)
{
    const struct clip *t = task;
    const int bins = t->n_fft / 2 + 1;
    floats *samples = t->samples + group * length_of(t);
    ALIGNED floats x[2 * bins];
    memset(samples, 0, length_of(t) * sizeof(floats));
    for (int frame = 0; frame < t->frames; frame++) {
        floats *wanted = t->wanted + ((long)group * t->frames + frame) * bins;
        for (int lane = 0; lane < LANES; lane++) {
            const long at = (long)(group * LANES + lane) * t->frames + frame;
            const int there = at < t->count;
            for (int i = 0; i < 2 * bins; i++)
                ((float *)x)[(long)i * LANES + lane] = there ? t->spectrum[2 * at * bins + i] : 0;
            for (int i = 0; i < bins; i++)
                ((float *)wanted)[(long)i * LANES + lane] = there ? t->magnitude[at * bins + i] : 0;
        }
        join(t, x, samples + (long)frame * t->hop);
    }
}

/* What a stretch has beyond its end belongs to the next one: there it is added, and comes back as what is heard there. */
static void meet(const struct clip *t)
{
    const long length = length_of(t), inner = (long)t->frames * t->hop;
    for (int group = 0; group < t->groups; group++)
        for (int i = 0; i < t->reach; i++) {
            float *start = (float *)(t->samples + group * length + i);
            const float *end = start + inner * LANES;
            for (int lane = 1; lane < LANES; lane++) start[lane] += end[lane - 1];
            if (group) start[0] += end[LANES - 1 - length * LANES]; /* of the group before */
        }
    for (long i = 0; i < t->groups * length; i++) t->samples[i] /= t->weight[i];
    for (int group = 0; group < t->groups; group++)
        for (int i = 0; i < t->reach; i++) {
            const float *start = (const float *)(t->samples + group * length + i);
            float *end = (float *)(t->samples + group * length + i + inner);
            for (int lane = 1; lane < LANES; lane++) end[lane - 1] = start[lane];
            if (group) end[LANES - 1 - length * LANES] = start[0];
        }
}

/* A step: of each frame the spectrum, moved on as it moved since the step before, with the wanted magnitudes, and at once
 * its sound, so that it need not be kept. */
static void step(const void *task, int group)
{
    const struct clip *t = task;
    const int half = t->n_fft / 2, bins = half + 1;
    const floats *samples = t->samples + group * length_of(t);
    floats *next = t->next + group * length_of(t);
    ALIGNED floats re[half], im[half], x[2 * bins];
    memset(next, 0, length_of(t) * sizeof(floats));
    for (int frame = 0; frame < t->frames; frame++) {
        const floats *from = samples + (long)frame * t->hop;
        for (int i = 0; i < half; i++) {
            re[i] = from[2 * i] * t->window[2 * i];
            im[i] = from[2 * i + 1] * t->window[2 * i + 1];
        }
        transform(re, im, half, t->waves, 2);
        const long place = ((long)group * t->frames + frame) * bins;
        floats *older = t->older + 2 * place;
        const floats *before = t->before + 2 * place;
        for (int k = 0; k < bins; k++) {
            floats real, imaginary;
            bin_of(re, im, k, half, t->waves, t->places, &real, &imaginary);
            const floats before_re = before[2 * k], before_im = before[2 * k + 1];
            const floats now_re = t->of_this * real + t->of_before * before_re + t->of_older * older[2 * k];
            const floats now_im = t->of_this * imaginary + t->of_before * before_im + t->of_older * older[2 * k + 1];
            const floats ahead_re = now_re + t->ahead * (now_re - before_re);
            const floats ahead_im = now_im + t->ahead * (now_im - before_im);
            const floats scale = t->wanted[place + k] / root_of(ahead_re * ahead_re + ahead_im * ahead_im + TINY * TINY);
            x[2 * k] = ahead_re * scale;
            x[2 * k + 1] = ahead_im * scale;
            older[2 * k] = now_re; /* which is the one before in the next step */
            older[2 * k + 1] = now_im;
        }
        join(t, x, next + (long)frame * t->hop);
    }
}

static void swap(floats **one, floats **other)
{
    floats *kept = *one;
    *one = *other;
    *other = kept;
}

static void lay_out(struct clip *t, int frames, int n_fft, int hop)
{
    const int least = (n_fft - 1) / hop, near = (frames + FRAMES * LANES / 2) / (FRAMES * LANES);
    t->n_fft = n_fft;
    t->hop = hop;
    t->reach = n_fft - hop;
    t->groups = near > 1 ? near : 1;
    t->frames = (frames + t->groups * LANES - 1) / (t->groups * LANES);
    if (t->frames < least) t->frames = least; /* so that a stretch meets none but its neighbours */
}

/* Numbers of room that `refine` wants. */
long refine_room(int frames, int n_fft, int hop)
{
    struct clip t;
    lay_out(&t, frames, n_fft, hop);
    return LANES * ((long)t.groups * t.frames * 5 * (n_fft / 2 + 1) + 3 * t.groups * length_of(&t));
}

/* spectrum [frames, bins, 2], magnitude [frames, bins]; window [n_fft], weight [(frames - 1) * hop + n_fft] what the
 * windows' squares add up to; waves [3/4 n_fft, 2] of e^(-2 pi i k / n_fft); speed: alpha, beta, gamma -> samples, as
 * many as weights. n_fft is a power of 2 from 8 on, hop at most n_fft; room as of `refine_room`, at a multiple of 64. */
void refine(
    const float *spectrum, const float *magnitude, const float *window, const float *weight, const float *waves,
    const float *speed, float *samples, float *room, int frames, int n_fft, int hop, int steps, int threads)
{
    int places_of_half[n_fft / 2 + 1];
    all_places(places_of_half, n_fft / 2);
    struct clip t = {
        .spectrum = spectrum, .magnitude = magnitude, .window = window, .waves = (const struct wave *)waves,
        .places = places_of_half, .count = frames};
    lay_out(&t, frames, n_fft, hop);
    const long bins = n_fft / 2 + 1, places = (long)t.groups * t.frames, length = length_of(&t);
    const long count = (long)(frames - 1) * hop + n_fft, inner = (long)t.frames * hop;
    t.before = (floats *)room;
    t.older = t.before + 2 * places * bins;
    t.wanted = t.older + 2 * places * bins;
    t.weight = t.wanted + places * bins;
    t.samples = t.weight + t.groups * length;
    t.next = t.samples + t.groups * length;
    memset(t.before, 0, 4 * places * bins * sizeof(floats));
    for (long i = 0; i < t.groups * length; i++)
        for (int lane = 0; lane < LANES; lane++) {
            const long at = (i / length * LANES + lane) * inner + i % length;
            t.weight[i][lane] = at < count ? weight[at] : 1;
        }
    share(begin, &t, t.groups, threads);
    meet(&t);
    for (int number = 0; number < steps; number++) {
        const float beta = number > 1 ? speed[1] : 0; /* at first nothing has moved */
        t.ahead = number > 0 ? speed[0] : 0;
        t.of_this = number > 0 ? speed[2] : 1;
        t.of_before = (1 - t.of_this) * (1 + beta);
        t.of_older = (1 - t.of_this) * -beta;
        share(step, &t, t.groups, threads);
        swap(&t.before, &t.older);
        swap(&t.samples, &t.next);
        meet(&t);
    }
    for (long at = 0; at < count; at++) {
        const long stretch = at / inner < t.groups * LANES ? at / inner : t.groups * LANES - 1;
        samples[at] = t.samples[stretch / LANES * length + at - stretch * inner][stretch % LANES];
    }
}
