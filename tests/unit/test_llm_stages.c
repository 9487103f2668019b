/* Chunks of a prompt in a pipeline that one host thread issues: ideal overlap, full queues, few chunks on their way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>

#include "llm/stages.h"

static llm_stages pipeline(double steps, int stages, double launches, double queue)
{
    return (llm_stages){.steps = steps,
                        .stages = stages,
                        .layers = 80,
                        .step_s = 1,
                        .launches = launches,
                        .queue = queue,
                        .ahead = LLM_STAGES_AHEAD};
}

static void near(double x, double expected, double share)
{
    if (!(fabs(x / expected - 1) <= share)) fail_msg("%.10g is not within %g of %.10g", x, share, expected);
}

/* Queues that hold everything: a stage of each chunk at a time, and the way through the others at the end. */
static void stages_overlap(void **state)
{
    (void)state;
    for (int stages = 1; stages <= 4; stages++)
        for (int steps = 1; steps <= 20; steps++) {
            llm_stages s = pipeline(steps, stages, 1000, 0);
            s.layers = 12; /* which all of them divide */
            near(llm_stages_seconds(&s), (steps + stages - 1.0) / stages, 1e-9);
        }
    llm_stages s = pipeline(10000, 4, 1000, 0); /* as many as are followed one by one, and the others at their pace */
    near(llm_stages_seconds(&s), 10003.0 / 4, 1e-9);
}

/* A chunk comes to a stage when the fourth before it has left that: five are on their way, in however many stages. */
static void few_are_on_their_way(void **state)
{
    (void)state;
    for (int ahead = 1; ahead <= LLM_STAGES_AHEAD; ahead++) {
        llm_stages s = pipeline(1000, 8, 1000, 0);
        s.ahead = ahead;
        near(llm_stages_seconds(&s), 1000.0 / (ahead + 1), 0.03);
    }
}

/* A host that is held up in a stage can't issue the next ones, which then stand still: a stage of twice as many launches as a queue
 * holds keeps the others waiting for half of its time, one of many times as many for all of it. */
static void full_queues_hold_up(void **state)
{
    (void)state;
    llm_stages s = pipeline(1000, 2, 4000, 1000);
    near(llm_stages_seconds(&s), 1000 * 0.75, 0.01);
    s.queue = 1;
    near(llm_stages_seconds(&s), 1000, 0.01);
    s.queue = 2000;
    double fits = llm_stages_seconds(&s);
    s.queue = 4000;
    assert_true(llm_stages_seconds(&s) <= fits && fits < 1000 * 0.75);
    double last = 1e9;
    for (double queue = 50; queue < 10000; queue *= 1.1) {
        s = pipeline(16, 4, 4000, queue);
        double seconds = llm_stages_seconds(&s);
        assert_true(seconds <= last * (1 + 1e-9) && seconds >= 19.0 / 4 - 1e-9 && seconds <= 16 + 1e-9);
        last = seconds;
    }
}

/* The fullest stage sets the pace; what lies between two stages is on the way of the last chunk alone. */
static void stages_differ(void **state)
{
    (void)state;
    llm_stages s = pipeline(1000, 4, 100, 0);
    s.layers = 33; /* 9, 8, 8, 8 */
    near(llm_stages_seconds(&s), 1000 * 9.0 / 33, 0.01);
    s.layers = 80;
    double without = llm_stages_seconds(&s);
    s.hop_s = 0.01;
    near(llm_stages_seconds(&s), without + 0.03, 0.001);
    s.stages = 1;
    near(llm_stages_seconds(&s), 1000, 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stages_overlap), cmocka_unit_test(few_are_on_their_way),
                                       cmocka_unit_test(full_queues_hold_up), cmocka_unit_test(stages_differ)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
