#include <errno.h>
#include "evaluate/measure.h"
int davy_measure_new(const struct davy_measure_setup *s, struct davy_measure_state **r)
{
    (void)s;
    *r = NULL;
    return 0;
}
struct davy_measure_state *davy_measure_free(struct davy_measure_state *s)
{
    (void)s;
    return NULL;
}
bool davy_measure_same(const struct davy_measure_setup *a, const struct davy_measure_setup *b)
{
    return a->type == b->type;
}
void davy_measure_take(struct davy_measure_state *s, davy_mono at, bool c, double v)
{
    (void)s;
    (void)at;
    (void)c;
    (void)v;
}
void davy_measure_raised(struct davy_measure_state *s, struct davy_stamp at)
{
    (void)s;
    (void)at;
}
enum davy_lack davy_measure_value(struct davy_measure_state *s, const struct davy_moment *m, struct davy_measured *r)
{
    (void)s;
    (void)m;
    (void)r;
    return DAVY_LACK_HISTORY;
}
