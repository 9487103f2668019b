/* What communication between the GPUs of one system costs: latency of the steps plus bytes over the links (alpha-beta).
 *
 *   ring       steps * step + (whole chunks on the wire + partial) / gpus * bytes / (link * share); the library sends small messages
 *              as words with a flag in each (no synchronisation, a fraction of the bandwidth) and large ones in synchronised slices
 *   tree       between nodes: up and down two trees, each of half of the data, in 2 log2(nodes) steps
 *   in-switch  the switch adds up and multicasts: every byte crosses a link once each way, whatever the number of GPUs
 *   one-shot   kernels of serving runtimes: each GPU reads all others' data and adds it up by itself
 *   two-shot   ... or adds up its part of the data, then reads the others' sums
 *
 * What takes least is taken. All are sums of growing terms, so time never falls when bytes or GPUs grow. */
#include "cost/parts.h"

enum {
    NODE_GPUS = 8,  /* in one chassis */
    RACK_GPUS = 72, /* joined by NVLink where CPU and GPU are one module, from Blackwell on */
    BRIDGE_GPUS = 2 /* that an NVLink bridge between cards joins */
};

static bool starts(str s, const char *with)
{
    size_t n = strlen(with);
    return s.len >= n && memcmp(s.ptr, with, n) == 0;
}

/* Bytes/s in one direction of the PCIe slot: 16 lanes at 8 GT/s in the third generation, twice that in each later one. */
static double pcie_rate(int generation)
{
    double rate = 15.75e9;
    if (generation <= 0) generation = 4;
    for (int i = 3; i < generation && i < 8; i++) rate *= 2;
    return generation < 3 ? rate / 2 : rate;
}

/* The network adapter beside each GPU in systems of its time, bytes/s in one direction: 100 Gb/s for two, then 200, then 400 each.
 * No specification of a GPU tells it. */
static double network_rate(const gpu_spec *spec)
{
    return spec->compute_capability >= 9 ? 50e9 : spec->compute_capability >= 8 ? 25e9 : 6.25e9;
}

void cost_comm_init(cost_gpu *g, const gpu_spec *spec)
{
    const cost_constants *c = g->c;
    bool card = starts(spec->form, "PCIe"), module = starts(spec->form, "Superchip");
    cost_links *l = &g->links;
    l->nvlink = spec->nvlink_gbs > 0 ? spec->nvlink_gbs * 1e9 / 2 : 0;
    l->pcie = pcie_rate(spec->pcie_gen);
    l->network = network_rate(spec);
    l->domain = NODE_GPUS;
    if (card) l->domain = BRIDGE_GPUS;
    if (module && spec->compute_capability >= 10) l->domain = RACK_GPUS;
    l->in_switch = !card && l->nvlink > 0 && spec->compute_capability >= 9;
    l->direct = spec->nvlink_gbs > 0;
    l->peers = spec->peer_access;
    /* Two dies: messages cross from one to the other on their way to the links. */
    bool dies = spec->compute_capability >= 10 && spec->compute_capability < 12;
    l->tick = g->tick * (dies ? c->comm_two_dies : 1);
}

typedef struct work {
    double steps; /* one after the other */
    double wire;  /* times the bytes that a GPU's link carries in one direction */
} work;

/* A ring hands on one n-th of the data in each step. The first step only sends and the last only receives, and they overlap with
 * their neighbours: together they take `partial` of a step. */
static work ring_work(const cost_constants *c, comm_kind what, double n)
{
    switch (what) {
    case COMM_ALL_REDUCE: return (work){2 * (n - 1), (2 * (n - 1) + c->comm_partial) / n};
    case COMM_ALL_TO_ALL: return (work){1, (n - 1 + c->comm_partial) / n};
    case COMM_BROADCAST: return (work){n - 1, 1};
    case COMM_SEND: return (work){1, 1};
    default: return (work){n - 1, (n - 1 + c->comm_partial) / n};
    }
}

/* The communication library over links of `rate` bytes/s, of which long messages get `share`. */
static double library(const cost_gpu *g, const comm_shape *s, double rate, double share)
{
    const cost_constants *c = g->c;
    const cost_links *l = &g->links;
    work w = ring_work(c, s->what, s->gpus);
    double latency = (c->comm_base_clocks + w.steps * c->comm_step_clocks) * l->tick;
    /* One sender and one receiver have nothing to agree on. */
    if (s->what == COMM_SEND) return latency + w.wire * s->bytes / (rate * share);
    double flags = latency + w.wire * s->bytes / (rate * share * c->comm_flag_share);
    double slices = latency + c->comm_slice_clocks * l->tick + w.wire * s->bytes / (rate * share);
    return cost_min(flags, slices);
}

/* Boards that have NVLink bridges also reach each other directly across PCIe. From three GPUs on the others share switches and the link of
 * the sockets, or, without access to their peers, the host's memory. */
double cost_comm_crowd(const cost_gpu *g, double gpus)
{
    if (g->links.direct || gpus <= 2) return 1;
    return pow((gpus < NODE_GPUS ? gpus : NODE_GPUS) / 2,
               g->links.peers ? g->c->comm_path_power : g->c->comm_host_power);
}

double cost_comm_doubt(const cost_gpu *g, double gpus)
{
    if (g->links.direct || gpus <= 2) return 1;
    double most = pow((gpus < NODE_GPUS ? gpus : NODE_GPUS) / 2, g->c->comm_host_power);
    return g->links.peers ? most / cost_comm_crowd(g, gpus) : most;
}

/* Without NVLink among all: over PCIe. */
static double over_pcie(const cost_gpu *g, const comm_shape *s)
{
    return library(g, s, g->links.pcie / cost_comm_crowd(g, s->gpus), g->c->comm_pcie_share);
}

/* The serving runtimes' own all-reduce kernels, which need NVLink among all or a pair. */
static double own_kernels(const cost_gpu *g, const comm_shape *s, double rate, double share)
{
    const cost_constants *c = g->c;
    double n = s->gpus, barrier = c->comm_barrier_clocks * g->links.tick;
    double start = c->comm_kernel_clocks * g->links.tick + (s->own == COMM_OWN_BARRIERS ? barrier : 0);
    double one = start + (n - 1) * s->bytes / (rate * share);
    double two = start + barrier + 2 * (n - 1) / n * s->bytes / (rate * share);
    return cost_min(one, two);
}

static double in_node(const cost_gpu *g, const comm_shape *s)
{
    const cost_constants *c = g->c;
    const cost_links *l = &g->links;
    double t = over_pcie(g, s);
    bool linked = l->nvlink > 0 && s->gpus <= l->domain;
    if (linked) t = cost_min(t, library(g, s, l->nvlink, c->comm_link_share));
    if (s->what == COMM_ALL_REDUCE && linked && l->in_switch) {
        double start = (c->comm_base_clocks + c->comm_slice_clocks + 2 * c->comm_step_clocks) * l->tick;
        t = cost_min(t, start + s->bytes / (l->nvlink * c->comm_switch_share));
    }
    if (s->what == COMM_ALL_REDUCE && s->own != COMM_OWN_NONE) {
        if (linked) t = cost_min(t, own_kernels(g, s, l->nvlink, c->comm_read_share));
        else if (s->gpus <= 2) t = cost_min(t, own_kernels(g, s, l->pcie, c->comm_pcie_share));
    }
    return t;
}

/* Between nodes, of which each sends `bytes` over every adapter: all-reduces by ring or by tree, whichever takes less. */
static double between_nodes(const cost_gpu *g, comm_kind what, double nodes, double bytes)
{
    const cost_constants *c = g->c;
    double step = c->comm_network_us * 1e-6, rate = g->links.network * c->comm_pcie_share;
    work w = ring_work(c, what, nodes);
    double ring = w.steps * step + w.wire * bytes / rate;
    if (what != COMM_ALL_REDUCE) return ring;
    return cost_min(ring, 2 * log(nodes) / log(2) * step + 2 * bytes / rate);
}

/* Among several nodes: within each first, then each GPU's n-th part of the data over its own adapter. */
double cost_comm_seconds(const cost_gpu *g, const comm_shape *s)
{
    if (s->gpus <= 1 || s->bytes <= 0) return 0;
    double per_node = g->links.nvlink > 0 && g->links.domain > NODE_GPUS ? g->links.domain : NODE_GPUS;
    if (s->gpus <= per_node) return in_node(g, s);
    comm_shape inside = *s;
    inside.gpus = per_node;
    double nodes = ceil(s->gpus / per_node);
    double spread = s->what == COMM_SEND || s->what == COMM_BROADCAST ? 1 : per_node;
    double inner = in_node(g, &inside);
    double between = between_nodes(g, s->what, nodes, s->bytes / spread);
    return s->what == COMM_SEND ? cost_max(inner, between) : inner + between;
}

void cost_comm(const cost_gpu *g, const kernel *k, kernel_cost *out)
{
    const comm_shape *s = &k->shape.comm;
    const cost_links *l = &g->links;
    double rate = l->nvlink > 0 && s->gpus <= l->domain ? l->nvlink : l->pcie, n = s->gpus;
    double chunks = s->what == COMM_ALL_REDUCE && !l->in_switch                                     ? 2 * (n - 1) / n
                  : s->what == COMM_SEND || s->what == COMM_BROADCAST || s->what == COMM_ALL_REDUCE ? 1
                                                                                                    : (n - 1) / n;
    out->seconds = cost_comm_seconds(g, s);
    out->ideal_s = n > 1 ? chunks * s->bytes / rate : 0;
    if (n > 1 && out->ideal_s > out->seconds) out->ideal_s = out->seconds;
    out->limit = BOUND_LINK;
}
