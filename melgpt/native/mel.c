/* Sound -> magnitudes of a bank of filters, a stretch of frames in each lane, as in spectrum.c. */
#include "fft.h"
#include "lanes.h"

#define STRETCH 8 /* frames of a stretch at most: its samples stay in the second cache */

/* Numbers of room that `mel_bands` wants. */
long mel_room(int n_fft, int hop) { return LANES * ((long)(STRETCH - 1) * hop + n_fft); }

struct bank { /* of each band: its first bin, how many it has, and where their weights begin */
    const int *first, *count, *start;
    const float *weights;
    int bands, low, high; /* the bins that there are weights for */
};

/* Magnitudes [bands, frames] and norms of the windowed frames [frames] of `LANES` stretches that begin at `from`. */
static void some_frames(
    const float *samples, const float *window, const struct wave *waves, const int *places, const struct bank *bank,
    float *magnitudes, float *norms, floats *sound, int from, int frames, int n_fft, int hop)
{
    const int half = n_fft / 2, rest = frames - from, length = rest < LANES * STRETCH ? (rest + LANES - 1) / LANES : STRETCH;
    ALIGNED floats re[half], im[half], size[half + 1];
    for (int lane = 0; lane < LANES; lane++) {
        const int first = from + lane * length, some = frames - first < length ? frames - first : length;
        const int there = some > 0 ? (some - 1) * hop + n_fft : 0;
        for (int i = 0; i < (length - 1) * hop + n_fft; i++)
            ((float *)sound)[(long)i * LANES + lane] = i < there ? samples[(long)first * hop + i] : 0;
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
        const floats norm = root_of(power);
        for (int lane = 0; lane < LANES; lane++)
            if (from + lane * length + frame < frames) norms[from + lane * length + frame] = norm[lane];
        for (int band = 0; band < bank->bands; band++) {
            const float *weights = bank->weights + bank->start[band];
            const floats *bins = size + bank->first[band];
            floats sum = {0};
            for (int i = 0; i < bank->count[band]; i++) sum += weights[i] * bins[i];
            float *to = magnitudes + (long)band * frames + from + frame;
            for (int lane = 0; lane < LANES && from + lane * length + frame < frames; lane++) to[lane * length] = sum[lane];
        }
    }
}

/* samples [(frames - 1) * hop + n_fft], window [n_fft], waves as of `refine`; shape [3, bands]: first, count, start; weights
 * of bins from `low` on, before `high` -> magnitudes [bands, frames], norms [frames]. n_fft is a power of 2 from 8 on; room
 * as of `mel_room`, at a multiple of 64. */
void mel_bands(
    const float *samples, const float *window, const float *waves, const int *shape, const float *weights,
    float *magnitudes, float *norms, float *room, int frames, int n_fft, int hop, int bands, int low, int high)
{
    int places[n_fft / 2 + 1];
    all_places(places, n_fft / 2);
    const struct bank bank = {shape, shape + bands, shape + 2 * bands, weights, bands, low, high};
    for (int from = 0; from < frames; from += LANES * STRETCH)
        some_frames(
            samples, window, (const struct wave *)waves, places, &bank, magnitudes, norms, (floats *)room, from, frames,
            n_fft, hop);
}
