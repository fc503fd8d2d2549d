#ifndef TEAM_H
#define TEAM_H

/* One part, 0 <= part, of a task. */
typedef void (*Work)(const void *task, int part);

/* All parts of a task, each once, by the caller and up to threads - 1 helpers; which does which is left to them.
 * Where another caller has the helpers the caller does all parts. */
void share(Work work, const void *task, int parts, int threads);

/* How many rows of so many numbers one helper takes at a time. */
static inline int rows_at_once(int length) { return length < 8192 ? 8192 / length : 1; }

#endif
