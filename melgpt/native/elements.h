#ifndef ELEMENTS_H
#define ELEMENTS_H

#include "lanes.h"

/* One row: y = x / sqrt(mean x² + epsilon) * weight. */
void rms_normalise(const float *x, const float *weight, float *y, int length, float epsilon);

#endif
