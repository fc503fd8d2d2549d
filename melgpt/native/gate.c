/* SwiGLU that is trained, the first half's SiLU times the second half (Shazeer 2020, https://arxiv.org/abs/2002.05202), and its
 * gradients: halves of a multiple of LANES numbers in float32 or bfloat16.
 */
#include "gate.h"

#include "halves.h"
#include "team.h"

struct gate {
    const void *x, *dy;
    void *to; /* y, or dx */
    long rows;
    int length, halves;
};

static inline __attribute__((always_inline)) void some_rows(const struct gate *t, int part, const int halves)
{
    const int many = rows_at_once(t->length);
    const long first = (long)part * many, end = first + many < t->rows ? first + many : t->rows;
    for (long row = first; row < end; row++)
        for (int i = 0; i < t->length; i += LANES) {
            const long y = row * t->length + i, gate = y + row * t->length, value = gate + t->length;
            const floats a = some(t->x, gate, halves), b = some(t->x, value, halves);
            if (t->dy) {
                const floats dy = some(t->dy, y, halves);
                put(t->to, gate, dy * b * silu_slope(a), halves);
                put(t->to, value, dy * silu_of(a), halves);
            } else
                put(t->to, y, silu_of(a) * b, halves);
        }
}

EACH(struct gate, some_rows)

/* x [rows, 2, length], bfloat16 where `halves` -> y [rows, length]; with the gradients dy of y those of x. */
void trained_gate(const void *x, const void *dy, void *to, long rows, int length, int halves, int threads)
{
    const struct gate task = {x, dy, to, rows, length, halves};
    const int many = rows_at_once(length);
    share(each_some_rows, &task, (rows + many - 1) / many, threads);
}
