#ifndef GATE_H
#define GATE_H

#include "lanes.h"

static inline floats sigmoid_of(floats x) { return 1 / (1 + exp_of(-x)); }

static inline floats silu_of(floats x) { return x * sigmoid_of(x); }

static inline floats silu_slope(floats x)
{
    const floats sigmoid = sigmoid_of(x);
    return sigmoid * (1 + x * (1 - sigmoid));
}

#endif
