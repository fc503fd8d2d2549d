/* Sound -> mel, a stretch of frames in each lane, as in spectrum.c. */
#include "fft.h"
#include "lanes.h"

#include <stdlib.h>

#define STRETCH 8 /* frames of a stretch at most: its samples stay in the second cache */

#define BLOCK 64  /* samples that go to all lanes before the next ones do, in the first cache */

/* Numbers of room that `mel` wants. */
long mel_room(int n_fft, int hop) { return LANES * ((long)(STRETCH - 1) * hop + n_fft); }

struct bank { /* of each band: its first bin, how many it has, and where their weights begin */
    const int *first, *count, *start;
    const float *weights, *error;
    int bands, low, high; /* the bins that there are weights for */
};

struct levels { /* value = ln(magnitude, at least the floor) * factor + offset, within [0, 1] */
    float floor, factor, offset, visible;
};

/* Values [bands, frames] and doubts [frames] of `LANES` stretches that begin at `from`. */
static void some_frames(
    const float *samples, const float *window, const struct wave *waves, const int *places, const struct bank *bank,
    const struct levels *levels, float *values, uint8_t *doubts, floats *sound, int from, int frames, int n_fft, int hop)
{
    const int half = n_fft / 2, rest = frames - from, length = rest < LANES * STRETCH ? (rest + LANES - 1) / LANES : STRETCH;
    ALIGNED floats re[half], im[half], size[half + 1];
    const int needed = (length - 1) * hop + n_fft;
    for (int begin = 0; begin < needed; begin += BLOCK)
        for (int lane = 0; lane < LANES; lane++) {
            const int first = from + lane * length, some = frames - first < length ? frames - first : length;
            const int there = some > 0 ? (some - 1) * hop + n_fft : 0, end = begin + BLOCK < needed ? begin + BLOCK : needed;
            const long start = (long)first * hop - half;
            float *to = (float *)sound + lane;
            if (start + begin >= 0 && end <= there)
                for (int i = begin; i < end; i++) to[(long)i * LANES] = samples[start + i];
            else
                for (int i = begin; i < end; i++) to[(long)i * LANES] = i < there ? samples[labs(start + i)] : 0;
        }
    for (int frame = 0; frame < length; frame++) {
        const floats *x = sound + (long)frame * hop;
        floats power = {0};
        for (int i = 0; i < half; i++) {
            re[i] = x[2 * i] * window[2 * i];
            im[i] = x[2 * i + 1] * window[2 * i + 1];
            power += re[i] * re[i] + im[i] * im[i];
        }
        transform(re, im, half, waves, 2);
        for (int k = bank->low; k < bank->high; k++) {
            floats real, imaginary;
            bin_of(re, im, k, half, waves, places, &real, &imaginary);
            size[k] = root_of(real * real + imaginary * imaginary);
        }
        const floats norm = root_of(power), low = {0};
        words doubt = {0};
        for (int band = 0; band < bank->bands; band++) {
            const float *weights = bank->weights + bank->start[band];
            const floats *bins = size + bank->first[band];
            floats sum = {0};
            for (int i = 0; i < bank->count[band]; i++) sum += weights[i] * bins[i];
            const floats error = bank->error[band] * norm;
            doubt |= (words)(error > levels->visible * sum) & (words)(sum + error > levels->floor);
            const floats value = log_of(larger(sum, low + levels->floor)) * levels->factor + levels->offset;
            const floats within = -larger(-larger(value, low), low - 1);
            float *to = values + (long)band * frames + from + frame;
            for (int lane = 0; lane < LANES && from + lane * length + frame < frames; lane++)
                to[lane * length] = within[lane];
        }
        for (int lane = 0; lane < LANES && from + lane * length + frame < frames; lane++)
            doubts[from + lane * length + frame] = doubt[lane] != 0;
    }
}

/* samples [T], T > n_fft / 2, taken as mirrored before their beginning, of which frames lie `hop` apart, the first one's
 * middle on the first sample; window [n_fft], waves as of `refine`; shape [3, bands]: first, count, start; weights of bins
 * from `low` on, before `high`; levels [4] -> values [bands, frames] in [0, 1], and whether rounding could show in a frame:
 * where a band's `error` [bands], in units of the frame's norm, is a `visible` part of it and above the floor.
 * n_fft is a power of 2 from 8 on; room as of `mel_room`, at a multiple of 64. */
void mel(
    const float *samples, const float *window, const float *waves, const int *shape, const float *weights, const float *error,
    const float *levels, float *values, uint8_t *doubts, float *room, int frames, int n_fft, int hop, int bands, int low,
    int high)
{
    int places[n_fft / 2 + 1];
    all_places(places, n_fft / 2);
    const struct bank bank = {shape, shape + bands, shape + 2 * bands, weights, error, bands, low, high};
    for (int from = 0; from < frames; from += LANES * STRETCH)
        some_frames(
            samples, window, (const struct wave *)waves, places, &bank, (const struct levels *)levels, values, doubts,
            (floats *)room, from, frames, n_fft, hop);
}
