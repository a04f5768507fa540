/* See name_set.h. Refuses to know DNS, clocks and threads. */
#include "proxy/names/name_set.h"

#include <stdlib.h>
#include <string.h>

#define WEIGHT_MAX 256u

struct name_targets *name_targets_ref(struct name_targets *targets)
{
    if (targets != NULL)
        atomic_fetch_add_explicit(&targets->references, 1, memory_order_relaxed);
    return targets;
}

void name_targets_unref(struct name_targets *targets)
{
    if (targets != NULL && atomic_fetch_sub_explicit(&targets->references, 1, memory_order_acq_rel) == 1)
        free(targets);
}

/* --- Lists --- */

/* Bytes beyond `length` are 0 and a port is within: equal bytes are equal addresses. */
static int compare_address(const struct name_target *a, const struct name_target *b)
{
    return memcmp(&a->addr, &b->addr, sizeof(a->addr));
}

static int compare_whole(const void *left, const void *right)
{
    const struct name_target *a = left, *b = right;

    if (a->priority != b->priority)
        return a->priority < b->priority ? -1 : 1;
    return compare_address(a, b);
}

static int compare_by_address(const void *left, const void *right)
{
    const int order = compare_address(left, right);

    return order != 0 ? order : compare_whole(left, right);
}

/* Of one address twice, the first of the two is kept: by then the one that is wanted sooner. */
static void drop_doubles(struct name_targets *targets)
{
    size_t kept = 0;

    for (size_t i = 0; i < targets->count; i++)
        if (kept == 0 || compare_address(&targets->items[kept - 1], &targets->items[i]) != 0)
            targets->items[kept++] = targets->items[i];
    targets->count = kept;
}

static const struct name_target *find(const struct name_targets *targets, const struct name_target *wanted)
{
    for (size_t i = 0; targets != NULL && i < targets->count; i++)
        if (compare_address(&targets->items[i], wanted) == 0)
            return &targets->items[i];
    return NULL;
}

/* The answer's targets, and those of `keep` (may be NULL) that it doesn't have. NULL: out of memory. */
static struct name_targets *merge(const struct name_answer *answer, const struct name_targets *keep)
{
    const size_t kept = keep != NULL ? keep->count : 0, most = answer->count + kept;
    struct name_targets *merged = calloc(1, sizeof(*merged) + most * sizeof(merged->items[0]));

    if (merged == NULL)
        return NULL;
    atomic_init(&merged->references, 1);
    if (answer->count > 0)
        memcpy(merged->items, answer->targets, answer->count * sizeof(merged->items[0]));
    merged->count = answer->count;
    for (size_t i = 0; i < kept; i++)
        if (find(merged, &keep->items[i]) == NULL)
            merged->items[merged->count++] = keep->items[i];
    qsort(merged->items, merged->count, sizeof(merged->items[0]), compare_by_address);
    drop_doubles(merged);
    qsort(merged->items, merged->count, sizeof(merged->items[0]), compare_whole);
    if (merged->count > NAME_TARGETS_MAX)
        merged->count = NAME_TARGETS_MAX;
    return merged;
}

struct name_difference name_targets_compare(const struct name_targets *old, const struct name_targets *fresh)
{
    struct name_difference difference = {0};

    for (size_t i = 0; fresh != NULL && i < fresh->count; i++) {
        const struct name_target *was = find(old, &fresh->items[i]);

        if (was == NULL)
            difference.added++;
        else if (was->priority != fresh->items[i].priority || was->weight != fresh->items[i].weight ||
                 strcmp(was->host, fresh->items[i].host) != 0)
            difference.altered++;
    }
    for (size_t i = 0; old != NULL && i < old->count; i++)
        if (find(fresh, &old->items[i]) == NULL)
            difference.removed++;
    return difference;
}

unsigned name_targets_tier(const struct name_targets *targets, size_t index)
{
    unsigned tier = 0;

    for (size_t i = 1; i <= index; i++)
        tier += targets->items[i].priority != targets->items[i - 1].priority;
    return tier;
}

unsigned name_targets_weight(const struct name_targets *targets, size_t index)
{
    unsigned largest = 0, weight;

    for (size_t i = 0; i < targets->count; i++)
        if (targets->items[i].weight > largest)
            largest = targets->items[i].weight;
    weight = targets->items[index].weight;
    if (largest > WEIGHT_MAX)
        weight = weight * WEIGHT_MAX / largest;
    return weight > 0 ? weight : 1;
}

/* --- The set --- */

void name_set_init(struct name_set *set, const struct name_limits *limits)
{
    *set = (struct name_set){.limits = *limits};
}

void name_set_clear(struct name_set *set)
{
    name_targets_unref(set->targets);
    *set = (struct name_set){.limits = set->limits};
}

static uint32_t clamp(uint64_t wait_ms, const struct name_limits *limits)
{
    if (wait_ms < limits->interval_min_ms)
        return limits->interval_min_ms;
    return wait_ms < limits->interval_max_ms ? (uint32_t)wait_ms : limits->interval_max_ms;
}

/* Twice as long after each answer that was no good. */
static uint32_t back_off(struct name_set *set)
{
    set->backoff_ms = clamp(2 * (uint64_t)set->backoff_ms, &set->limits);
    return set->backoff_ms;
}

static enum name_change replace(struct name_set *set, struct name_targets *fresh)
{
    const struct name_difference difference = name_targets_compare(set->targets, fresh);

    if (difference.added == 0 && difference.removed == 0 && difference.altered == 0) {
        name_targets_unref(fresh);
        return NAME_SAME;
    }
    name_targets_unref(set->targets);
    set->targets = fresh;
    return NAME_CHANGED;
}

static enum name_change take_found(struct name_set *set, const struct name_answer *answer, uint32_t *next_ms)
{
    struct name_targets *fresh = merge(answer, answer->complete ? NULL : set->targets);

    set->is_absent = false;
    if (fresh == NULL) {
        *next_ms = back_off(set);
        return NAME_NO_MEMORY;
    }
    if (answer->complete) {
        set->backoff_ms = 0;
        *next_ms = clamp((uint64_t)answer->ttl_s * 1000, &set->limits);
    } else {
        *next_ms = back_off(set);
    }
    return replace(set, fresh);
}

static enum name_change take_absent(struct name_set *set, uint64_t now_ms, uint32_t *next_ms)
{
    uint64_t held_ms;

    if (!set->is_absent) {
        set->is_absent = true;
        set->absent_since_ms = now_ms;
    }
    *next_ms = back_off(set);
    if (set->targets == NULL)
        return NAME_SAME;
    held_ms = now_ms - set->absent_since_ms;
    if (held_ms < set->limits.hold_ms) {
        /* The question that decides comes as the time is over, but no sooner than any other. */
        if (set->limits.hold_ms - held_ms < *next_ms)
            *next_ms = clamp(set->limits.hold_ms - held_ms, &set->limits);
        return NAME_SAME;
    }
    return replace(set, NULL);
}

enum name_change name_set_update(struct name_set *set, const struct name_answer *answer, uint64_t now_ms,
                                 uint32_t *next_ms)
{
    switch (answer->outcome) {
    case NAME_FOUND:
        return take_found(set, answer, next_ms);
    case NAME_ABSENT:
        return take_absent(set, now_ms, next_ms);
    case NAME_FAILED:
        break;
    }
    *next_ms = back_off(set);
    return NAME_SAME;
}
