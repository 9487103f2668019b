#include "load/hf.h"

#include "load/hf_config.h"
#include "load/safetensors.h"
#include "zoo/zoo.h"

enum { CONFIG_MOST = 1 << 20 }; /* bytes of a config.json; real ones have at most 100 KB */

/* ---- layers ---- */

/* The kind that is like this one; a new one where there is none. */
static uint32_t kind_of(hf *c, lm_layer *kinds, uint32_t *n, const lm_layer *l)
{
    for (uint32_t i = 0; i < *n; i++) {
        lm_layer other = kinds[i];
        other.count = l->count;
        if (!memcmp(&other, l, sizeof other)) return i;
    }
    if (*n == HF_KINDS) {
        hf_fail(c, PG_E_LIMIT, "the model has more than %d different kinds of layers", HF_KINDS);
        return 0;
    }
    kinds[*n] = *l;
    kinds[*n].count = 0;
    return (*n)++;
}

void hf_add(hf *c, const lm_layer *l)
{
    if (c->failed) return;
    uint32_t i = kind_of(c, c->layers, &c->m.n_layers, l);
    if (c->m.n_order == HF_LAYERS) hf_fail(c, PG_E_LIMIT, "the model has more than %d layers", HF_LAYERS);
    if (c->failed) return;
    c->layers[i].count++;
    c->order[c->m.n_order++] = (uint8_t)i;
}

void hf_add_encoder(hf *c, const lm_layer *l, int64_t count)
{
    if (c->failed) return;
    uint32_t i = kind_of(c, c->encoder, &c->m.n_encoder, l);
    if (!c->failed) c->encoder[i].count += (uint32_t)count;
}

/* ---- the part of the file that describes the language model ---- */

static const char *const text_keys[] = {"text_config", "llm_config", "language_config", "text_model_config"};

static const json_t *text_part(hf *c)
{
    const json_t *root = c->root, *thinker = json_object_get(root, "thinker_config");
    if (json_is_object(thinker)) {
        format_text(c->where, sizeof c->where, "thinker_config.");
        root = thinker;
    }
    for (size_t i = 0; i < sizeof text_keys / sizeof *text_keys; i++) {
        const json_t *v = json_object_get(root, text_keys[i]);
        if (!json_is_object(v)) continue;
        size_t n = strlen(c->where);
        format_text(c->where + n, sizeof c->where - n, "%s.", text_keys[i]);
        c->nested = true;
        return v;
    }
    return root;
}

/* Parts that are described beside the text and are not sized: said, not dropped. */
static void say_other_parts(hf *c)
{
    static const char *const keys[] = {"vision_config",   "audio_config", "speech_config",
                                       "vit_config",      "visual",       "talker_config",
                                       "code2wav_config", "vision_tower", "audio_encoder_config"};
    const json_t *thinker = json_object_get(c->root, "thinker_config");
    char list[160] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        bool there = json_is_object(json_object_get(c->root, keys[i])) ||
                     json_is_object(json_object_get(thinker, keys[i]));
        if (there && n < sizeof list) n += format_text(list + n, sizeof list - n, "%s%s", n ? ", " : "", keys[i]);
    }
    if (n && !graph_warn(c->g, "config.json also describes %s: figures are of the text model alone", list))
        hf_fail(c, PG_E_NOMEM, "out of memory");
}

static void unknown_type(hf *c, const char *type)
{
    char known[160], shown[48];
    size_t n = 0;
    format_text(shown, sizeof shown, "%.40s", type);
    for (char *p = shown; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f) *p = '?';
    for (size_t i = 0; hf_family_at(i) && n + 24 < sizeof known; i++)
        n += format_text(known + n, sizeof known - n, "%s%s", i ? ", " : "", hf_family_at(i)->type);
    hf_fail(
        c, PG_E_UNSUPPORTED,
        "'%smodel_type' is '%s', whose layers are not known; give an ONNX export or a GGUF file of it (known: %s, ...)",
        c->where, shown, known);
}

static void find_family(hf *c)
{
    c->text = text_part(c);
    const char *type = json_get_text(c->text, "model_type", NULL);
    if (!type || (c->nested && !hf_family_find(type) && hf_family_find(json_get_text(c->root, "model_type", ""))))
        type = json_get_text(c->root, "model_type", NULL);
    if (!type && json_object_get(c->root, "_class_name")) {
        hf_fail(c, PG_E_UNSUPPORTED, "describes a diffusers model; export it to ONNX");
        return;
    }
    if (!type) {
        hf_fail(c, PG_E_FORMAT, "'%smodel_type' is missing: it says which architecture the other fields are of",
                c->where);
        return;
    }
    c->family = hf_family_find(type);
    if (!c->family) unknown_type(c, type);
}

/* ---- finishing ---- */

/* Layers that predict further tokens: like the last one, with a projection of two rows to one and three norms. */
static void count_drafts(hf *c)
{
    language_model *m = &c->m;
    int64_t n = hf_want(c, "num_nextn_predict_layers|num_mtp_modules|mtp_num_hidden_layers", 0, 0, HF_LAYERS);
    if (!n || !m->n_order) return;
    double h = (double)m->hidden;
    m->draft_parameters = (double)n *
                          (lm_layer_count(m, &c->layers[c->order[m->n_order - 1]], false) + 2 * h * h + 3 * h);
    if (!graph_warn(c->g, "%lld layer%s for predicting further tokens (%.4g million parameters) %s not counted",
                    (long long)n, n == 1 ? "" : "s", m->draft_parameters / 1e6, n == 1 ? "is" : "are"))
        hf_fail(c, PG_E_NOMEM, "out of memory");
}

static void *copy(hf *c, const void *from, size_t size)
{
    void *to = arena_alloc(c->g->a, size);
    if (to) memcpy(to, from, size);
    else hf_fail(c, PG_E_NOMEM, "out of memory");
    return to;
}

/* Everything into the arena, where it lives as long as the graph. */
static language_model *finish(hf *c)
{
    language_model *m = &c->m;
    if (!c->failed && !m->n_order) hf_fail(c, PG_E_FORMAT, "describes no layers");
    if (c->failed) return NULL;
    m->type = str_c(c->family->type);
    lm_layer *layers = copy(c, c->layers, m->n_layers * sizeof *layers);
    lm_layer *encoder = m->n_encoder ? copy(c, c->encoder, m->n_encoder * sizeof *encoder) : NULL;
    uint8_t *order = copy(c, c->order, m->n_order);
    language_model *all = copy(c, m, sizeof *m);
    if (c->failed) return NULL;
    all->order = order;
    lm_count(all, layers, encoder);
    return all;
}

static pg_code read_config(hf *c, const load_input *in)
{
    find_family(c);
    if (!c->failed) say_other_parts(c);
    if (!c->failed) c->family->fill(c);
    if (c->built) return c->failed ? c->e->code : PG_E_OK;
    if (!c->failed) count_drafts(c);
    if (!c->failed) hf_quantization(c, in);
    language_model *m = finish(c);
    if (!m) return c->e && c->e->code ? c->e->code : PG_E_FORMAT;
    c->g->language = m;
    return zoo_build_language(c->g, m, c->e);
}

pg_code hf_config_load(graph *g, const load_input *in, span text, pg_error *e)
{
    pg_error local = PG_ERROR_INIT;
    hf *c = ARENA_NEW(g->a, hf);
    if (!e) e = &local;
    if (!c) return error_nomem(e, g->a);
    c->g = g;
    c->e = e;
    c->lone = !in->folder && in->bytes.ptr == text.ptr;
    if (text.len > CONFIG_MOST) return error_set(e, PG_E_LIMIT, "config.json is larger than %d KB", CONFIG_MOST >> 10);
    json_t *root = json_text_read(text, "config.json", e);
    if (!root) return e->code;
    c->root = root;
    pg_code code = json_is_object(root) ? read_config(c, in)
                                        : error_set(e, PG_E_FORMAT, "config.json: the file holds no object ({...})");
    json_decref(root);
    if (code && g->a->failed && e->code != PG_E_LIMIT) code = error_nomem(e, g->a);
    return code;
}

/* ---- the format ---- */

static bool speaks_of(span text, const char *word)
{
    size_t n = strlen(word), most = text.len < 1 << 16 ? text.len : 1 << 16;
    for (size_t i = 0; i + n <= most; i++)
        if (text.ptr[i] == '"' && !memcmp(text.ptr + i, word, n)) return true;
    return false;
}

static bool is_config(span text)
{
    size_t i = 0;
    while (i < text.len && i < 64 && (text.ptr[i] <= ' ' || text.ptr[i] >= 0x80)) i++;
    return i < text.len && text.ptr[i] == '{' &&
           (speaks_of(text, "\"model_type\"") || speaks_of(text, "\"architectures\""));
}

static int hf_probe(const load_input *in)
{
    pg_error ignored = PG_ERROR_INIT;
    span text = in->bytes;
    if (in->folder && (!load_has(in, "config.json") || load_beside(in, "config.json", &text, &ignored))) return 0;
    if (is_config(text)) return 80;
    return !in->folder && str_ends(str_c(in->path), "config.json") ? LOAD_BY_NAME : 0;
}

static pg_code hf_load(graph *g, const load_input *in, const load_options *options, pg_error *e)
{
    span text = in->bytes;
    (void)options;
    g->format = STR("hugging-face");
    if (in->folder && !load_has(in, "config.json"))
        return error_set(e, PG_E_IO, "the folder has no config.json; give the model's file itself");
    pg_code code = in->folder ? load_beside(in, "config.json", &text, e) : PG_E_OK;
    if (!code) code = hf_config_load(g, in, text, e);
    return code || !g->language ? code : safetensors_compare(g, in, e);
}

const load_format load_hf_format = {"hugging-face", "a Hugging Face config.json", ".json", hf_probe, hf_load};
