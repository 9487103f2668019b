#include "zoo/tables.h"

static const zoo_table *const tables[] = {
    /* classification */
    &zoo_resnet, &zoo_mobile, &zoo_shufflenet, &zoo_efficientnet, &zoo_efficientnet_v2, &zoo_convnext, &zoo_regnet,
    &zoo_classic, &zoo_inception, &zoo_gpunet, &zoo_vit, &zoo_swin,
    /* text */
    &zoo_bert, &zoo_gpt2, &zoo_llama, &zoo_decoders, &zoo_configs, &zoo_seq2seq, &zoo_deberta, &zoo_relative, &zoo_rnn,
    &zoo_gnmt,
    /* speech, recommendation, forecasting */
    &zoo_speech, &zoo_tts, &zoo_recommender, &zoo_recommender_sim, &zoo_tft,
    /* detection, segmentation, pictures from text */
    &zoo_vision_tasks, &zoo_detect_ssd, &zoo_detect_fpn, &zoo_detect_efficientdet, &zoo_detect_yolo, &zoo_segment_unet,
    &zoo_segment_dilated, &zoo_diffusion, &zoo_diffusion_xl, &zoo_moflow, &zoo_se3};
enum { TABLES = sizeof tables / sizeof *tables, NAME_MAX_FOLDED = 64 };

size_t zoo_count(void)
{
    size_t n = 0;
    for (size_t i = 0; i < TABLES; i++) n += tables[i]->count;
    return n;
}

const zoo_entry *zoo_at(size_t i)
{
    for (size_t t = 0; t < TABLES; t++) {
        if (i < tables[t]->count) return &tables[t]->rows[i];
        i -= tables[t]->count;
    }
    return NULL;
}

/* The entry's names one after the other: first its own, then the aliases. */
static bool next_name(const zoo_entry *m, const char **rest, str *out)
{
    if (!*rest) {
        *rest = m->aliases;
        *out = str_c(m->name);
        return true;
    }
    size_t n = 0;
    while (**rest == ' ') (*rest)++;
    while ((*rest)[n] && (*rest)[n] != ' ') n++;
    *out = (str){*rest, n};
    *rest += n;
    return n > 0;
}

static char plain(char c)
{
    return c == '-' || c == ' ' ? '_' : (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

/* But for case, and for '-' and ' ' instead of '_': regnet_x_1_6gf and regnet_x_16gf are two models. */
static bool same_name(str a, str b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++)
        if (plain(a.ptr[i]) != plain(b.ptr[i])) return false;
    return true;
}

/* What stands behind the owner in a name of the Hub. */
static str without_owner(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] == '/') return (str){name.ptr + i + 1, name.len - i - 1};
    return name;
}

const zoo_entry *zoo_find(str name, pg_error *e)
{
    char wanted[NAME_MAX_FOLDED], known[NAME_MAX_FOLDED];
    const zoo_entry *m, *near = NULL, *folded = NULL, *owned = NULL;
    str w = {wanted, str_fold(wanted, sizeof wanted, name)};
    unsigned best = w.len / 3 < 3 ? (unsigned)(w.len / 3) : 3; /* how far off a name may be to be suggested */
    bool cut = w.len + 1 == sizeof wanted;
    for (size_t i = 0; w.len && !cut && (m = zoo_at(i)) != NULL; i++) {
        const char *rest = NULL;
        str full;
        while (next_name(m, &rest, &full)) {
            if (same_name(name, full)) return m;
            str k = {known, str_fold(known, sizeof known, full)};
            if (!folded && str_eq(w, k)) folded = m;
            if (!owned && same_name(name, without_owner(full))) owned = m;
            unsigned d = best ? str_distance(w, k, best) : 1;
            if (d < best || (d == best && best && !near)) {
                best = d;
                near = m;
            }
        }
    }
    if (folded || owned) return folded ? folded : owned;
    if (near)
        error_set(e, PG_E_NOT_FOUND, "there is no built-in model '%.*s' (did you mean '%s'?)", STR_ARG(name),
                  near->name);
    else
        error_set(e, PG_E_NOT_FOUND,
                  "there is no built-in model '%.*s' (some that are: resnet50, bert-base-uncased, llama-7b)",
                  STR_ARG(name));
    return NULL;
}

static pg_code check_image(const zoo_entry *m, int64_t size, pg_error *e)
{
    if (size < m->image_min || size > ZOO_IMAGE_MAX)
        return error_set(e, PG_E_USAGE, "%s takes images of %d to %d pixels a side, not %lld (its default is %d)",
                         m->name, m->image_min, ZOO_IMAGE_MAX, (long long)size, m->image_size);
    if (size % m->image_step)
        return error_set(e, PG_E_USAGE, "%s takes image sizes that are multiples of %d, not %lld (its default is %d)",
                         m->name, m->image_step, (long long)size, m->image_size);
    return PG_E_OK;
}

pg_code zoo_build(graph *g, const zoo_entry *m, const zoo_options *opt, pg_error *e)
{
    if (m->config) return error_set(e, PG_E_GRAPH, "%s is a configuration, which the zoo has no builder for", m->name);
    nn n = {.g = g, .entry = m, .zero = NO_TENSOR, .six = NO_TENSOR, .sequence = -1};
    n.weights = m->weights ? m->weights : DT_FP32;
    n.image = opt && opt->image_size ? opt->image_size : m->image_size;
    if (m->image_size) {
        pg_code code = check_image(m, n.image, e);
        if (code) return code;
    }
    g->name = str_c(m->name);
    g->format = STR("built-in");
    g->family = str_c(m->family);
    g->producer = STR("phantom-gpu");
    n.batch = graph_add_symbol(g, STR("batch"), 1);
    if (m->sequence) n.sequence = graph_add_symbol(g, STR("sequence"), m->sequence);
    n.failed = n.batch < 0 || (m->sequence && n.sequence < 0);
    g->batch_symbol = n.batch;
    if (!n.failed) m->build(&n, m->dims);
    return n.failed ? error_nomem(e, g->a) : PG_E_OK;
}
