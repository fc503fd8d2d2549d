/* y = x W' + b for a few rows x, the weights in bfloat16, all sums in float32.
 *
 * A panel holds the weights of WIDTH outputs. Within it a word holds those of two inputs that follow each other,
 * the first in its lower half: a shift or a mask makes a float32 of it, and a panel is read from its first byte
 * to its last. Where x may be rounded, too, and the processor multiplies words of two, it does that instead.
 * A row's result is the same to the bit whatever rows are beside it, on however many threads.
 */
#include "halves.h"
#include "team.h"

#define WIDTH (2 * LANES)
#define PAIRS 128 /* of inputs: what two panels have for them stays in the first cache while all rows pass */
#define MOST 48   /* rows at a time */
#define AHEAD 1024 /* words that are fetched ahead: what the processor does by itself is too little */
#if LANES == 16
#define ROWS 12 /* whose sums for a panel fit the registers, with the weights; there are 32 of them */
#define PAIRED 6 /* the same for two panels */
#define EACH_CASE CASE(1, 2) CASE(2, 2) CASE(3, 2) CASE(4, 2) CASE(5, 2) CASE(6, 2) CASE(4, 1) CASE(5, 1) CASE(6, 1) \
    CASE(7, 1) CASE(8, 1) CASE(9, 1) CASE(10, 1) CASE(11, 1) CASE(12, 1)
#else
#define ROWS 5 /* of 16 registers */
#define PAIRED 3
#define EACH_CASE CASE(1, 2) CASE(2, 2) CASE(3, 2) CASE(2, 1) CASE(3, 1) CASE(4, 1) CASE(5, 1)
#endif

typedef floats sums[2][2]; /* of one row: two panels of two vectors */

int outputs_at_once(void) { return 2 * WIDTH; }

struct order {
    const float *weights;
    uint32_t *ordered;
    int outputs, inputs;
};

static void order_panel(const void *task, int part)
{
    const struct order *t = task;
    const int output = part * WIDTH, inputs = t->inputs;
    uint32_t *panel = t->ordered + (long)output * (inputs / 2);
    for (int i = 0; i < WIDTH; i++)
        for (int pair = 0; pair < inputs / 2; pair++) {
            const float *two = t->weights + (long)(output + i) * inputs + 2 * pair;
            panel[(long)pair * WIDTH + i] = output + i < t->outputs ? nearest_half(two[0]) >> 16 | nearest_half(two[1]) : 0;
        }
}

/* weights [outputs, inputs], inputs an even number -> as `linear` reads them, with zeros for outputs that are not. */
void in_order(const float *weights, uint32_t *ordered, int outputs, int inputs, int threads)
{
    const struct order task = {weights, ordered, outputs, inputs};
    share(order_panel, &task, (outputs + WIDTH - 1) / WIDTH, threads);
}

/* Adds to the sums of some rows what some panels, the next one `panel` words on, have for some pairs of inputs; fetches
 * what lies `ahead`, so many words a pair. x: a pair of a row, of the next row, …; two float32 or a word of halves. */
static inline __attribute__((always_inline)) void add(
    const int rows, const int panels, const int halves, const uint32_t *weights, long panel, const void *x, int pairs,
    sums *total, int first, const uint32_t *ahead, int pace)
{
    floats sum[ROWS > 2 * PAIRED ? ROWS : 2 * PAIRED][2] = {{{0}}}; /* of rows and panels */
    const float *exact = x;
    const uint32_t *half = x;
    for (int pair = 0; pair < pairs; pair++, weights += WIDTH, exact += 2 * rows, half += rows, ahead += pace)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++) {
            __builtin_prefetch(ahead + p * panel, 0, 2);
            __builtin_prefetch(ahead + p * panel + LANES, 0, 2);
            words left = *(const words *)(weights + p * panel);
            words right = *(const words *)(weights + p * panel + LANES);
            if (halves) {
#pragma GCC unroll 12
                for (int r = 0; r < rows; r++) {
                    sum[r * panels + p][0] = add_halves(sum[r * panels + p][0], left, half[r]);
                    sum[r * panels + p][1] = add_halves(sum[r * panels + p][1], right, half[r]);
                }
                continue;
            }
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) {
                sum[r * panels + p][0] += (floats)(left << 16) * exact[2 * r];
                sum[r * panels + p][1] += (floats)(right << 16) * exact[2 * r];
            }
#pragma GCC unroll 12
            for (int r = 0; r < rows; r++) {
                sum[r * panels + p][0] += (floats)(left & 0xffff0000u) * exact[2 * r + 1];
                sum[r * panels + p][1] += (floats)(right & 0xffff0000u) * exact[2 * r + 1];
            }
        }
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 2
        for (int p = 0; p < panels; p++)
            for (int i = 0; i < 2; i++) total[r][first + p][i] += sum[r * panels + p][i];
}

/* The same for any number of rows up to ROWS; two panels at once while the registers have room for their sums. */
static void add_some(
    int rows, int panels, int halves, const uint32_t *weights, long panel, const void *x, int pairs, sums *total, int first,
    const uint32_t *ahead, int pace)
{
#define CASE(r, p) \
    case 2 * r + p: \
        if (MULTIPLIES_HALVES && halves) add(r, p, 1, weights, panel, x, pairs, total, first, ahead, pace); \
        else add(r, p, 0, weights, panel, x, pairs, total, first, ahead, pace); \
        break;
    switch (2 * rows + panels) { EACH_CASE }
#undef CASE
}

struct product {
    const uint32_t *weights, *x;
    const float *bias, *onto;
    float *y;
    int rows, inputs, outputs, halves;
};

/* Rows of a group beside each other, pair by pair, two words to a pair, or one of `halves`: read from where they lie, they
 * would fall on the same places of the first cache. */
static void gather(const float *x, uint32_t *gathered, int rows, int inputs, int halves)
{
    const int words = halves ? 1 : 2;
    for (int top = 0; top < rows; top += MOST) {
        const int height = rows - top < MOST ? rows - top : MOST, groups = (height + ROWS - 1) / ROWS;
        for (int group = 0; group < groups; group++) {
            const int r = height * group / groups, count = height * (group + 1) / groups - r;
            const float *from = x + (long)(top + r) * inputs;
            uint32_t *to = gathered + (long)(top + r) * (inputs / 2) * words;
            for (int row = 0; row < count; row++)
                for (int pair = 0; pair < inputs / 2; pair++) {
                    const float *two = from + (long)row * inputs + 2 * pair;
                    uint32_t *place = to + ((long)pair * count + row) * words;
                    if (!halves) memcpy(place, two, 2 * sizeof(float));
                    else *place = nearest_half(two[0]) >> 16 | nearest_half(two[1]);
                }
        }
    }
}

/* All rows of two panels' outputs. */
static void two_panels(const void *task, int part)
{
    const struct product *t = task;
    const int inputs = t->inputs, output = part * 2 * WIDTH, pair = t->halves ? 1 : 2; /* words */
    const long panel = (long)inputs / 2 * WIDTH;
    for (int top = 0; top < t->rows; top += MOST) {
        const int height = t->rows - top < MOST ? t->rows - top : MOST;
        const int groups = (height + ROWS - 1) / ROWS, panels = height <= PAIRED ? 2 : 1;
        sums total[MOST];
        memset(total, 0, height * sizeof(sums));
        for (int p = 0; p < 2; p += panels)
            for (int input = 0; input < inputs; input += 2 * PAIRS) {
                const int pairs = inputs - input < 2 * PAIRS ? (inputs - input) / 2 : PAIRS;
                const uint32_t *from = t->weights + (long)output * (inputs / 2) + p * panel + (long)input / 2 * WIDTH;
                for (int group = 0; group < groups; group++) {
                    const int r = height * group / groups, next = height * (group + 1) / groups;
                    const uint32_t *x = t->x + ((long)(top + r) * inputs + (long)(next - r) * input) / 2 * pair;
                    /* Several groups fetch what follows this block together, each a part of it. */
                    const int pace = WIDTH / groups;
                    const uint32_t *ahead = from + (groups > 1 ? PAIRS * WIDTH + (long)group * pairs * pace : AHEAD);
                    add_some(next - r, panels, t->halves, from, panel, x, pairs, total + r, p, ahead, pace);
                }
            }
        const int count = t->outputs - output < 2 * WIDTH ? t->outputs - output : 2 * WIDTH;
        for (int r = 0; r < height; r++)
            for (int i = 0; i < count; i++) {
                const long place = (long)(top + r) * t->outputs + output + i;
                const float made = ((float *)total[r])[i] + (t->bias ? t->bias[output + i] : 0);
                t->y[place] = t->onto ? t->onto[place] + made : made;
            }
    }
}

/* weights [outputs / (2 WIDTH), 2, inputs / 2, WIDTH] words, outputs rounded up; x [rows, inputs], bias [outputs]
 * or none, onto and y [rows, outputs], onto or none: what is added; room for as much as x; inputs are an even number;
 * halves: x may be rounded to bfloat16. */
void linear(
    const uint32_t *weights, const float *x, const float *bias, const float *onto, float *y, uint32_t *room, int rows,
    int inputs, int outputs, int halves, int threads)
{
    halves = halves && MULTIPLIES_HALVES;
    const int moved = rows > 1 || halves;
    if (moved) gather(x, room, rows, inputs, halves);
    const struct product task = {
        weights, moved ? room : (const uint32_t *)x, bias, onto, y, rows, inputs, outputs, halves};
    share(two_panels, &task, (outputs + 2 * WIDTH - 1) / (2 * WIDTH), threads);
}
