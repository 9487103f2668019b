/* The simulation of a serving runtime: short runs by hand, and the directions in which its figures must go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include <math.h>

#include "llm/simulate.h"

/* A step takes 1 ms and 0.01 ms for each request; 100 tokens of prompts take 10 ms, 1000 take 100 ms. */
static const simulate_steps plain = {.levels = 2,
                                     .requests = {1, 1001},
                                     .decode = {0.00101, 0.01101},
                                     .loads = 2,
                                     .tokens = {100, 1000},
                                     .alone = {0.010, 0.100},
                                     .added = {0.010, 0.100}};

static simulate_setup usual(void)
{
    return (simulate_setup){
        .requests = 1, .prompts = 1, .slots = 1e9, .input = 100, .output = 11, .budget = 1000, .delay = 0};
}

static void near(double x, double expected, double share)
{
    if (!(fabs(x - expected) <= share * fabs(expected))) fail_msg("%g is not %g", x, expected);
}

static void test_one_request(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.delay = 0.5;
    u.prompts = 3;
    simulate_result r = simulate_run(&u, &plain);
    near(r.ttft_s, 0.510, 1e-9);
    near(r.tpot_s, 0.00101, 1e-9);
    u.output = 1; /* the prompt's own step makes it */
    r = simulate_run(&u, &plain);
    near(r.ttft_s, 0.510, 1e-9);
    assert_true(r.tpot_s == 0);
}

/* A prompt is there later by so much for each of its tokens; drawn ones are as long on average, and none is longer than a step takes. */
static void test_lengths(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.prompts = 400;
    u.token_delay = 0.001;
    near(simulate_run(&u, &plain).ttft_s, 0.110, 1e-9);
    u.prompt_spread = 0.1;
    near(simulate_run(&u, &plain).ttft_s, 0.110, 0.005);
    u.budget = 110;
    double whole = simulate_run(&u, &plain).ttft_s;
    near(whole, 0.110, 0.005);
    u.budget = 90; /* all but the shortest go into two */
    simulate_result r = simulate_run(&u, &plain);
    assert_true(r.ttft_s > whole - 1e-9 && r.events > 2.9 * u.prompts);
}

/* Four prompts of which two fit beside each other: the second pair comes one step later, with the first two decoded in that step. */
static void test_by_hand(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.requests = u.prompts = 4;
    u.output = 3;
    u.budget = 202;
    u.whole = true;
    simulate_result r = simulate_run(&u, &plain);
    double second = 0.020 + 0.00102 + 0.020;
    near(r.ttft_s, (0.020 + second) / 2, 1e-9);
    /* the first two: that step, and one more of four requests; the others: that one, and one of two */
    double first_two = (0.00102 + 0.020 + 0.00104) / 2, others = (0.00104 + 0.00102) / 2;
    near(r.tpot_s, (first_two + others) / 2, 1e-9);
    near(r.prefill_share, 0.040 / (second + 0.00104 + 0.00102), 1e-9);

    u.apart = true; /* nobody is decoded before all prompts are through */
    r = simulate_run(&u, &plain);
    near(r.ttft_s, 0.030, 1e-9);
    near(r.tpot_s, (0.020 + 4 * 0.00104) / 4, 1e-9);
}

/* What each prompt takes to join is of the steps in which prompts end, once each: two in the first step, of a prompt in parts the last. */
static void test_prompts_join(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.requests = u.prompts = 2;
    u.join = 0.004;
    simulate_result r = simulate_run(&u, &plain);
    near(r.ttft_s, 0.020 + 2 * 0.004, 1e-9);
    near(r.tpot_s, 0.00102, 1e-9);
    u.requests = u.prompts = 1;
    u.budget = 50; /* two parts */
    double parts = simulate_run(&u, &plain).ttft_s;
    u.join = 0;
    near(parts - simulate_run(&u, &plain).ttft_s, 0.004, 1e-9);
}

/* A prompt of 150 tokens is divided where 100 fit (half as many take half the way from a decode step to those), unless it must be whole: then it waits for a step of its own. */
static void test_divided_prompts(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.input = 150;
    u.budget = 100;
    near(simulate_run(&u, &plain).ttft_s, 0.010 + (0.00101 + 0.010) / 2, 1e-9);
    u.requests = u.prompts = 2;
    u.budget = 200;
    u.output = 1;
    near(simulate_run(&u, &plain).ttft_s, (0.020 + 0.030) / 2, 1e-9);
    u.whole = true;
    near(simulate_run(&u, &plain).ttft_s, (0.015 + 0.030) / 2, 1e-9);
}

static void test_full_memory(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.requests = u.prompts = 2;
    u.slots = 1;
    double whole = 0.010 + 10 * 0.00101;
    near(simulate_run(&u, &plain).ttft_s, (0.010 + whole + 0.010) / 2, 1e-9);
    /* in the long run each waits for the other */
    u.prompts = 200;
    near(simulate_run(&u, &plain).ttft_s, whole + 0.010, 0.01);
}

/* Steps with prompts take no less than their kernels take to launch; steps that only decode don't know that. */
static void test_launches(void **state)
{
    (void)state;
    simulate_setup u = usual();
    simulate_steps bound = plain;
    bound.least = 0.05;
    simulate_result r = simulate_run(&u, &bound);
    near(r.ttft_s, 0.05, 1e-9);
    near(r.tpot_s, 0.00101, 1e-9);
    bound.least = 0.005;
    near(simulate_run(&u, &bound).ttft_s, 0.010, 1e-9);
}

/* Two requests at a time, of which one ends and is replaced while the other is decoded: the runtime sees the new one 8 steps later. */
static void test_looks_seldom(void **state)
{
    (void)state;
    simulate_setup u = usual();
    simulate_result r[2];
    u.requests = 2;
    u.prompts = 3;
    u.output = 100;
    u.spread = 0.5; /* of 50 to 150 tokens: the first 50, the second 112 */
    u.apart = true;
    for (int i = 0; i < 2; i++) {
        u.poll = i ? 19 : 0;
        r[i] = simulate_run(&u, &plain);
    }
    near(r[1].ttft_s - r[0].ttft_s, 8 * 0.00101 / 3, 1e-6); /* after 49 steps; it looks after 19, 38, 57 */
    u.requests = u.prompts = 1;                             /* with nobody to decode it looks all the time */
    near(simulate_run(&u, &plain).ttft_s, 0.010, 1e-9);
}

/* The same two requests: the new one is there after 49 steps and kept for 20 more, in which one request is decoded. */
static void test_prompts_wait(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.requests = 2;
    u.prompts = 3;
    u.output = 100;
    u.spread = 0.5;
    double at_once = simulate_run(&u, &plain).ttft_s;
    u.wait_steps = 20;
    u.wait_share = 0.9;
    near(simulate_run(&u, &plain).ttft_s - at_once, 20 * 0.00101 / 3, 1e-6);
    u.wait_steps = 1000; /* no longer than somebody is decoded: the second makes 62 more tokens */
    near(simulate_run(&u, &plain).ttft_s - at_once, (62 * 0.00101 - 0.00101) / 3, 1e-6);
    u.wait_share = 0.1; /* its 100 tokens and one that is decoded are enough */
    near(simulate_run(&u, &plain).ttft_s, at_once, 1e-9);
    u.wait_share = 0.9;
    u.requests = u.prompts = 1; /* with nobody to decode it doesn't wait */
    near(simulate_run(&u, &plain).ttft_s, 0.010, 1e-9);
}

/* Prompts that wait go together once they fill a step: of four requests that end one after the other, the next two start in one step. */
static void test_waiting_prompts_meet(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.requests = 8;
    u.prompts = 80;
    u.output = 400;
    u.spread = 0.2;
    u.wait_steps = 1e6;
    u.wait_share = 0.205; /* of 1000: two prompts of 100 and those that are decoded */
    simulate_result two = simulate_run(&u, &plain);
    u.wait_share = 0.305;
    simulate_result three = simulate_run(&u, &plain);
    u.wait_steps = 0;
    simulate_result none = simulate_run(&u, &plain);
    assert_true(none.ttft_s < two.ttft_s && two.ttft_s < three.ttft_s);
    assert_true(three.events < two.events && two.events < none.events * 2);
}

static void test_directions(void **state)
{
    (void)state;
    double tpot = 0;
    for (double n = 1; n <= 4096; n *= 2) {
        simulate_setup u = usual();
        u.requests = n;
        u.prompts = 10 * n;
        u.output = 200;
        u.spread = 0.1;
        simulate_result r = simulate_run(&u, &plain);
        assert_true(r.tpot_s > tpot && r.ttft_s >= 0.010 && isfinite(r.ttft_s));
        assert_true(r.prefill_share > 0 && r.prefill_share < 1);
        assert_true(r.events < 40 * SIMULATE_REQUESTS);
        tpot = r.tpot_s;
        u.delay = 1;
        assert_true(simulate_run(&u, &plain).ttft_s > r.ttft_s);
        u.delay = 0;
        u.slots = n / 2;
        assert_true(simulate_run(&u, &plain).ttft_s >= r.ttft_s);
    }
}

/* Of more requests than are simulated each one stands for several, and nothing jumps where that begins. */
static void test_many_requests(void **state)
{
    (void)state;
    simulate_setup u = usual();
    u.output = 2000;
    u.spread = 0.1;
    u.requests = SIMULATE_REQUESTS;
    u.prompts = 10 * u.requests;
    simulate_result whole = simulate_run(&u, &plain);
    u.requests += 8;
    u.prompts = 10 * u.requests;
    simulate_result more = simulate_run(&u, &plain);
    near(more.ttft_s, whole.ttft_s, 0.1);
    near(more.tpot_s, whole.tpot_s, 0.05);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_request),   cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_by_hand),       cmocka_unit_test(test_divided_prompts),
        cmocka_unit_test(test_full_memory),   cmocka_unit_test(test_directions),
        cmocka_unit_test(test_many_requests), cmocka_unit_test(test_launches),
        cmocka_unit_test(test_looks_seldom),  cmocka_unit_test(test_prompts_join),
        cmocka_unit_test(test_prompts_wait),  cmocka_unit_test(test_waiting_prompts_meet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
