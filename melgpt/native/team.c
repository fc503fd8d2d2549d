/* Helpers for work of some ten microseconds, which a GPT has a hundred of for every code.
 *
 * To wake a thread takes as long as such work, on a virtual machine many times as long, and one that waits for
 * another that has no core waits for milliseconds. So nobody waits for a helper that has not begun: the caller takes
 * part after part itself, a helper what is left when it comes. Helpers look out for the next task for a moment, giving
 * way to whoever wants the core, and then sleep.
 */
#include "team.h"

#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#define MOST_HELPERS 63
#define LOOK_OUT 300000 /* ns before a helper sleeps: longer than what lies between two codes */
#define KEEP_CORE 20000 /* ns before one who waits gives way to others */

static struct {
    pthread_mutex_t taken, sleeping;
    pthread_cond_t wake;
    pid_t owner; /* a forked child has none of the helpers */
    int helpers;
    atomic_int asleep;
    /* The task. It stays until all its parts are done. */
    _Atomic(Work) work;
    _Atomic(const void *) task;
    atomic_int parts, wanted, done;
    _Atomic uint64_t next; /* the task's number in the upper half, the next part in the lower one */
} team = {.taken = PTHREAD_MUTEX_INITIALIZER, .sleeping = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

static uint32_t number(void) { return (uint32_t)(atomic_load(&team.next) >> 32); }

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* A moment of waiting that began at `start`; gives way to others when it has lasted. Returns how long that is, in ns. */
static int64_t pause_since(int64_t start)
{
    for (int i = 0; i < 16; i++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
    const int64_t waited = now() - start;
    if (waited > KEEP_CORE) sched_yield();
    return waited;
}

/* Parts of the task of this number, as long as there are any. */
static void take_parts(uint32_t task_number)
{
    uint64_t next = atomic_load(&team.next);
    while (next >> 32 == task_number) {
        /* If a later task's are read here, `next` is another one by then, and nothing is taken. */
        const Work work = atomic_load(&team.work);
        const void *task = atomic_load(&team.task);
        const int part = (int)(next & INT_MAX);
        if (part >= atomic_load(&team.parts)) return;
        if (atomic_compare_exchange_weak(&team.next, &next, next + 1)) {
            work(task, part);
            atomic_fetch_add(&team.done, 1);
            next = atomic_load(&team.next);
        }
    }
}

static void *help(void *argument)
{
    const int place = (int)(intptr_t)argument;
    uint32_t seen = 0;
    for (;;) {
        const int64_t start = now();
        while (number() == seen && pause_since(start) < LOOK_OUT) {}
        if (number() == seen) {
            pthread_mutex_lock(&team.sleeping);
            atomic_fetch_add(&team.asleep, 1);
            while (number() == seen) pthread_cond_wait(&team.wake, &team.sleeping);
            atomic_fetch_sub(&team.asleep, 1);
            pthread_mutex_unlock(&team.sleeping);
        }
        seen = number();
        if (place < atomic_load(&team.wanted)) take_parts(seen);
    }
    return NULL;
}

/* As many helpers as are wanted, or as the system gives. */
static void gather(int wanted)
{
    if (team.owner != getpid()) {
        team.owner = getpid();
        team.helpers = 0;
        atomic_store(&team.asleep, 0);
        pthread_mutex_init(&team.sleeping, NULL);
        pthread_cond_init(&team.wake, NULL);
    }
    if (wanted > MOST_HELPERS) wanted = MOST_HELPERS;
    if (team.helpers >= wanted) return;
    sigset_t all, before; /* signals are for Python's thread */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (pthread_t thread; team.helpers < wanted; team.helpers++) {
        if (pthread_create(&thread, NULL, help, (void *)(intptr_t)team.helpers)) break;
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void share(Work work, const void *task, int parts, int threads)
{
    if (threads <= 1 || parts <= 1 || pthread_mutex_trylock(&team.taken)) {
        for (int part = 0; part < parts; part++) work(task, part);
        return;
    }
    gather(threads - 1);
    /* Under a number of its own that no part belongs to, while the task is written: a helper that still looks at the task
     * before would else take a part of this one, or of both, as soon as there are more parts than there were. */
    const uint32_t task_number = number() + 2;
    atomic_store(&team.next, (uint64_t)(task_number - 1) << 32 | INT_MAX);
    atomic_store(&team.work, work);
    atomic_store(&team.task, task);
    atomic_store(&team.parts, parts);
    atomic_store(&team.wanted, threads - 1);
    atomic_store(&team.done, 0);
    atomic_store(&team.next, (uint64_t)task_number << 32);
    if (atomic_load(&team.asleep)) {
        pthread_mutex_lock(&team.sleeping);
        pthread_cond_broadcast(&team.wake);
        pthread_mutex_unlock(&team.sleeping);
    }
    take_parts(task_number);
    const int64_t start = now();
    while (atomic_load(&team.done) < parts) pause_since(start);
    pthread_mutex_unlock(&team.taken);
}
