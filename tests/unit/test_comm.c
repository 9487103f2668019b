/* Communication between GPUs: what must hold whatever the constants are. */
#include "cost/cost.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static cost_constants constants;

/* Constants somewhere within their bounds. */
static void set_constants(double place)
{
    for (int i = 0; i < COST_CONSTANTS; i++) {
        const cost_constant_info *info = &cost_constant_table[i];
        *cost_constant_at(&constants, i) = info->lower + place * (info->upper - info->lower);
    }
}

static gpu_spec board(const char *form, double capability, double nvlink_gbs, int pcie_gen)
{
    gpu_spec s = {.sms = 132, .cuda_cores = 16896, .boost_mhz = 1980, .bandwidth_gbs = 3352, .l2_mb = 50, .tdp_w = 700};
    s.form = str_c(form);
    s.compute_capability = capability;
    s.nvlink_gbs = nvlink_gbs;
    s.pcie_gen = pcie_gen;
    s.tflops[PREC_FP32] = 66.9;
    return s;
}

static double seconds(const gpu_spec *s, comm_kind what, double bytes, double gpus, comm_own own)
{
    cost_gpu g;
    cost_gpu_init(&g, s, &constants);
    kernel k;
    memset(&k, 0, sizeof k);
    k.kind = KERNEL_COMM;
    k.shape.comm = (comm_shape){bytes, gpus, what, own};
    kernel_cost c = cost_kernel(&g, &k);
    assert_true(isfinite(c.seconds) && c.seconds >= 0 && c.ideal_s >= 0 && c.ideal_s <= c.seconds);
    assert_true(c.dram_bytes >= 0);
    return c.seconds;
}

static const double counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 64, 72, 73, 512, 4096};
enum { COUNTS = sizeof counts / sizeof counts[0] };

#define NOT_FASTER(more, less) assert_true((more) >= (less) * (1 - 1e-12))

static void grows(const gpu_spec *s)
{
    for (int what = 0; what < COMM_KINDS; what++) {
        for (int own = COMM_OWN_NONE; own <= COMM_OWN_FLAGS; own++) {
            for (int n = 0; n < COUNTS; n++) {
                for (double bytes = 1; bytes < 1e11; bytes *= 3) {
                    double t = seconds(s, (comm_kind)what, bytes, counts[n], (comm_own)own);
                    NOT_FASTER(seconds(s, (comm_kind)what, 1.5 * bytes, counts[n], (comm_own)own), t);
                    if (n) NOT_FASTER(t, seconds(s, (comm_kind)what, bytes, counts[n - 1], (comm_own)own));
                    NOT_FASTER(seconds(s, (comm_kind)what, bytes, counts[n], COMM_OWN_NONE), t);
                }
            }
        }
    }
}

static void grows_with_bytes_and_gpus(void **state)
{
    (void)state;
    for (double place = 0.1; place < 1; place += 0.4) {
        set_constants(place);
        const gpu_spec boards[] = {board("SXM5", 9.0, 900, 5),      board("SXM4", 8.0, 600, 4),
                                   board("PCIe", 8.9, 0, 4),        board("PCIe", 8.6, 112.5, 4),
                                   board("Superchip", 10, 1800, 6), board("", 0, 0, 0)};
        for (size_t i = 0; i < sizeof boards / sizeof boards[0]; i++) grows(&boards[i]);
    }
}

static void faster_links_are_never_slower(void **state)
{
    (void)state;
    set_constants(0.3);
    for (int n = 1; n < COUNTS; n++) {
        for (double bytes = 1; bytes < 1e11; bytes *= 7) {
            gpu_spec slow = board("SXM5", 9.0, 600, 5), fast = board("SXM5", 9.0, 900, 5);
            NOT_FASTER(seconds(&slow, COMM_ALL_REDUCE, bytes, counts[n], COMM_OWN_NONE),
                       seconds(&fast, COMM_ALL_REDUCE, bytes, counts[n], COMM_OWN_NONE));
            gpu_spec old = board("PCIe", 8.9, 0, 3), new = board("PCIe", 8.9, 0, 5),
                     bridged = board("PCIe", 8.9, 112.5, 5);
            NOT_FASTER(seconds(&old, COMM_ALL_REDUCE, bytes, counts[n], COMM_OWN_NONE),
                       seconds(&new, COMM_ALL_REDUCE, bytes, counts[n], COMM_OWN_NONE));
            NOT_FASTER(seconds(&new, COMM_ALL_REDUCE, bytes, counts[n], COMM_OWN_NONE),
                       seconds(&bridged, COMM_ALL_REDUCE, bytes, counts[n], COMM_OWN_NONE));
        }
    }
}

/* A long message over eight GPUs of 300 GB/s each way: (2 * 7 + partial) / 8 of it at the reached share. */
static void ring_by_hand(void **state)
{
    (void)state;
    set_constants(0.3);
    constants.comm_link_share = 0.8;
    constants.comm_partial = 0.4;
    gpu_spec s = board("SXM4", 8.0, 600, 4);
    double bytes = 1e11, expected = 14.4 / 8 * bytes / (300e9 * 0.8);
    double t = seconds(&s, COMM_ALL_REDUCE, bytes, 8, COMM_OWN_NONE);
    assert_true(fabs(t / expected - 1) < 1e-3);
    expected = 7.4 / 8 * bytes / (300e9 * 0.8);
    t = seconds(&s, COMM_ALL_GATHER, bytes, 8, COMM_OWN_NONE);
    assert_true(fabs(t / expected - 1) < 1e-3);
}

/* Small all-reduces go up and down a tree of the nodes: three levels of eight nodes take three times what one level of two does.
 * All-gathers and long messages stay on the ring. */
static void nodes_form_a_tree(void **state)
{
    (void)state;
    set_constants(0.3);
    gpu_spec s = board("SXM5", 9.0, 900, 5);
    double one = seconds(&s, COMM_ALL_REDUCE, 8, 8, COMM_OWN_NONE),
           two = seconds(&s, COMM_ALL_REDUCE, 8, 16, COMM_OWN_NONE) - one,
           eight = seconds(&s, COMM_ALL_REDUCE, 8, 64, COMM_OWN_NONE) - one;
    assert_true(two > 0 && fabs(eight / two - 3) < 1e-3);
    one = seconds(&s, COMM_ALL_GATHER, 8, 8, COMM_OWN_NONE);
    two = seconds(&s, COMM_ALL_GATHER, 8, 16, COMM_OWN_NONE) - one;
    eight = seconds(&s, COMM_ALL_GATHER, 8, 64, COMM_OWN_NONE) - one;
    assert_true(fabs(eight / two - 7) < 1e-3);
    double bytes = 1e11, partial = constants.comm_partial;
    one = seconds(&s, COMM_ALL_REDUCE, bytes, 8, COMM_OWN_NONE);
    two = seconds(&s, COMM_ALL_REDUCE, bytes, 16, COMM_OWN_NONE) - one;
    eight = seconds(&s, COMM_ALL_REDUCE, bytes, 64, COMM_OWN_NONE) - one;
    double ring = (14 + partial) / 8 / ((2 + partial) / 2), tree = 2 / ((2 + partial) / 2);
    assert_true(fabs(eight / two / (ring < tree ? ring : tree) - 1) < 1e-3);
}

/* What GPUs of a node take from each other: nothing where they have links, more the more of them there are, a node's at most. */
static void only_cards_without_links_crowd(void **state)
{
    (void)state;
    set_constants(0.5);
    cost_gpu cards, linked;
    gpu_spec s = board("PCIe", 8.9, 0, 4), with = board("PCIe", 8.0, 600, 4);
    cost_gpu_init(&cards, &s, &constants);
    cost_gpu_init(&linked, &with, &constants);
    for (int i = 0; i < COUNTS; i++) {
        double crowd = cost_comm_crowd(&cards, counts[i]);
        assert_true(cost_comm_crowd(&linked, counts[i]) == 1);
        assert_true(counts[i] <= 2 ? crowd == 1 : crowd > 1);
        if (i) assert_true(crowd >= cost_comm_crowd(&cards, counts[i - 1]));
    }
    assert_true(cost_comm_crowd(&cards, 8) == cost_comm_crowd(&cards, 4096));
}

static void one_gpu_has_nobody_to_talk_to(void **state)
{
    (void)state;
    set_constants(0.5);
    gpu_spec s = board("SXM5", 9.0, 900, 5);
    for (int what = 0; what < COMM_KINDS; what++) assert_true(seconds(&s, (comm_kind)what, 1e9, 1, COMM_OWN_NONE) == 0);
    assert_true(seconds(&s, COMM_ALL_REDUCE, 0, 8, COMM_OWN_NONE) == 0);
}

/* Boards that reach each other across PCIe are quicker among eight than those that go through the host, as quick among two, and the doubt is
 * as large as from the one to the other. */
static void peers_are_nearer(void **state)
{
    (void)state;
    set_constants(0.5);
    constants.comm_path_power = 0.3;
    constants.comm_host_power = 2;
    gpu_spec far = board("PCIe", 8.9, 0, 4), near = far;
    near.peer_access = true;
    cost_gpu a, b;
    cost_gpu_init(&a, &near, &constants);
    cost_gpu_init(&b, &far, &constants);
    assert_true(seconds(&near, COMM_ALL_REDUCE, 64e6, 2, COMM_OWN_NONE) ==
                seconds(&far, COMM_ALL_REDUCE, 64e6, 2, COMM_OWN_NONE));
    assert_true(seconds(&far, COMM_ALL_REDUCE, 64e6, 8, COMM_OWN_NONE) >
                5 * seconds(&near, COMM_ALL_REDUCE, 64e6, 8, COMM_OWN_NONE));
    assert_true(fabs(cost_comm_crowd(&a, 8) - pow(4, 0.3)) < 1e-9 && cost_comm_crowd(&b, 8) == 16);
    assert_true(fabs(cost_comm_doubt(&a, 8) * cost_comm_crowd(&a, 8) - 16) < 1e-9 && cost_comm_doubt(&b, 8) == 16);
    assert_true(cost_comm_doubt(&a, 2) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_with_bytes_and_gpus),
        cmocka_unit_test(faster_links_are_never_slower),
        cmocka_unit_test(ring_by_hand),
        cmocka_unit_test(nodes_form_a_tree),
        cmocka_unit_test(only_cards_without_links_crowd),
        cmocka_unit_test(peers_are_nearer),
        cmocka_unit_test(one_gpu_has_nobody_to_talk_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
