/* What the names in a PyTorch pickle stand for. */
#include "load/torch_internal.h"

/* ---- the allow-list ---- */

/* Called with arguments. A name that ends in '*' stands for all that begin so. */
static const char *const callables[] = {
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.Counter",
    "collections.deque",
    "torch._utils._rebuild_*",
    "torch._tensor._rebuild_from_type*",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "torch.Tensor",
    "torch.Size",
    "torch.device",
    "torch.serialization._get_layout",
    "torch.jit._pickle.build_*",
    "torch.jit._pickle.restore_type_tag",
    "torch._C.Generator",
    "torch._C._nn._parse_to",
    "torch.distributed._shard.sharded_tensor.*",
    "__torch__.*",
    "builtins.set",
    "builtins.frozenset",
    "builtins.list",
    "builtins.dict",
    "builtins.tuple",
    "builtins.slice",
    "builtins.range",
    "builtins.complex",
    "builtins.bytearray",
    "builtins.int",
    "builtins.float",
    "builtins.bool",
    "builtins.str",
    "builtins.bytes",
    "builtins.object",
    "__builtin__.set",
    "__builtin__.frozenset",
    "__builtin__.list",
    "__builtin__.dict",
    "__builtin__.tuple",
    "__builtin__.slice",
    "__builtin__.xrange",
    "__builtin__.complex",
    "__builtin__.bytearray",
    "__builtin__.object",
    "copyreg._reconstructor",
    "copy_reg._reconstructor",
    "_codecs.encode",
    "numpy.core.multiarray.*",
    "numpy._core.multiarray.*",
    "numpy.core.numeric._frombuffer",
    "numpy._core.numeric._frombuffer",
    "numpy.random._pickle.*",
    "numpy.dtype",
    "numpy.dtypes.*",
    "numpy.ndarray",
    "argparse.Namespace",
    "types.SimpleNamespace",
    "pathlib.*",
    "datetime.*",
    "decimal.Decimal",
    "fractions.Fraction",
    "uuid.UUID",
    "functools.partial",
};

/* Python's own modules that hold no class of a model: not even an instance of theirs is taken. */
static const char *const strangers[] = {
    "os",          "posix",     "nt",      "sys",        "subprocess", "commands",
    "shutil",      "socket",    "pty",     "platform",   "runpy",      "code",
    "importlib",   "ctypes",    "codeop",  "webbrowser", "pickle",     "_pickle",
    "marshal",     "cffi",      "timeit",  "pdb",        "bdb",        "asyncio",
    "tempfile",    "threading", "urllib",  "http",       "requests",   "multiprocessing",
    "pip",         "pydoc",     "profile", "cProfile",   "builtins",   "imp",
    "__builtin__", "httplib",   "trace",   "ensurepip",
};

static bool listed(str name)
{
    for (size_t i = 0; i < sizeof callables / sizeof callables[0]; i++) {
        str have = str_c(callables[i]);
        if (have.ptr[have.len - 1] != '*' ? str_eq(name, have)
                                          : name.len >= have.len - 1 && !memcmp(name.ptr, have.ptr, have.len - 1))
            return true;
    }
    return false;
}

bool torch_allow(str name, pickle_call how)
{
    if (listed(name)) return true;
    if (how == PICKLE_RUN) return false;
    const char *dot = name.len ? memchr(name.ptr, '.', name.len) : NULL;
    str top = {name.ptr, dot ? (size_t)(dot - name.ptr) : name.len};
    for (size_t i = 0; i < sizeof strangers / sizeof strangers[0]; i++)
        if (str_is(top, strangers[i])) return false;
    return true;
}

/* ---- types ---- */

dtype torch_type_of(str name)
{
    static const struct {
        const char *name;
        dtype type;
    } types[] = {
        {"FloatStorage", DT_FP32},
        {"DoubleStorage", DT_FP64},
        {"HalfStorage", DT_FP16},
        {"BFloat16Storage", DT_BF16},
        {"LongStorage", DT_INT64},
        {"IntStorage", DT_INT32},
        {"ShortStorage", DT_INT16},
        {"CharStorage", DT_INT8},
        {"ByteStorage", DT_UINT8},
        {"BoolStorage", DT_BOOL},
        {"QInt8Storage", DT_INT8},
        {"QUInt8Storage", DT_UINT8},
        {"QInt32Storage", DT_INT32},
        {"QUInt4x2Storage", DT_UINT4},
        {"QUInt2x4Storage", DT_UINT2},
        {"ComplexFloatStorage", DT_COMPLEX64},
        {"ComplexDoubleStorage", DT_COMPLEX128},
        {"UntypedStorage", DT_UINT8},
        {"float32", DT_FP32},
        {"float", DT_FP32},
        {"float64", DT_FP64},
        {"double", DT_FP64},
        {"float16", DT_FP16},
        {"half", DT_FP16},
        {"bfloat16", DT_BF16},
        {"float8_e4m3fn", DT_FP8E4M3},
        {"float8_e5m2", DT_FP8E5M2},
        {"float8_e4m3fnuz", DT_FP8E4M3},
        {"float8_e5m2fnuz", DT_FP8E5M2},
        {"int64", DT_INT64},
        {"long", DT_INT64},
        {"int32", DT_INT32},
        {"int", DT_INT32},
        {"int16", DT_INT16},
        {"int8", DT_INT8},
        {"uint8", DT_UINT8},
        {"uint16", DT_UINT16},
        {"uint32", DT_UINT32},
        {"uint64", DT_UINT64},
        {"bool", DT_BOOL},
        {"qint8", DT_INT8},
        {"quint8", DT_UINT8},
        {"qint32", DT_INT32},
        {"complex64", DT_COMPLEX64},
        {"complex128", DT_COMPLEX128},
        {"quint4x2", DT_UINT4},
    };
    size_t dot = name.len;
    while (dot && name.ptr[dot - 1] != '.') dot--;
    if (!str_starts(name, "torch.")) return DT_UNKNOWN;
    str last = {name.ptr + dot, name.len - dot};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (str_is(last, types[i].name)) return types[i].type;
    return DT_UNKNOWN;
}

dtype torch_type_of_code(int64_t code)
{
    static const dtype types[] = {DT_UINT8, DT_INT8,  DT_INT16,     DT_INT32,     DT_INT64,      DT_FP16,
                                  DT_FP32,  DT_FP64,  DT_COMPLEX64, DT_COMPLEX64, DT_COMPLEX128, DT_BOOL,
                                  DT_INT8,  DT_UINT8, DT_INT32,     DT_BF16,      DT_UINT4,      DT_UINT2};
    return code >= 0 && code < (int64_t)(sizeof types / sizeof types[0]) ? types[code] : DT_UNKNOWN;
}

/* ---- tensors ---- */

static bool read_dims(const pickle_value *v, int *rank, int64_t *dims)
{
    if (v && v->kind == PICKLE_OBJECT) v = pickle_arg(v, 0); /* torch.Size((...)) */
    if (!v || (v->kind != PICKLE_TUPLE && v->kind != PICKLE_LIST) || v->n > TORCH_RANK) return false;
    *rank = (int)v->n;
    for (uint32_t i = 0; i < v->n; i++) {
        if (v->items[i]->kind != PICKLE_INT || v->items[i]->v.i < 0) return false;
        dims[i] = v->items[i]->v.i;
    }
    return true;
}

/* ("storage", type, key, location, elements) */
static bool read_storage(const pickle_value *v, torch_tensor *t)
{
    if (!v || v->kind != PICKLE_PERSISTENT) return false;
    const pickle_value *id = v->v.object.of;
    const pickle_value *type = pickle_item(id, 1), *key = pickle_item(id, 2), *n = pickle_item(id, 4);
    if (!type || type->kind != PICKLE_GLOBAL || !key || key->kind != PICKLE_TEXT || !n || n->kind != PICKLE_INT)
        return false;
    t->type = t->storage_type = torch_type_of(type->v.text);
    t->key = key->v.text;
    t->storage = n->v.i;
    return n->v.i >= 0;
}

/* (storage, offset, size, stride, ...), which all functions of this kind begin with */
static bool read_view(const pickle_value *v, torch_tensor *t)
{
    const pickle_value *offset = pickle_arg(v, 1);
    int strides;
    if (!read_storage(pickle_arg(v, 0), t) || !offset || offset->kind != PICKLE_INT) return false;
    t->offset = offset->v.i;
    return read_dims(pickle_arg(v, 2), &t->rank, t->dims) && read_dims(pickle_arg(v, 3), &strides, t->strides) &&
           strides == t->rank;
}

static dtype numpy_type(const pickle_value *v)
{
    static const struct {
        const char *name;
        dtype type;
    } types[] = {{"f4", DT_FP32},   {"f8", DT_FP64},   {"f2", DT_FP16}, {"i8", DT_INT64},
                 {"i4", DT_INT32},  {"i2", DT_INT16},  {"i1", DT_INT8}, {"u1", DT_UINT8},
                 {"u2", DT_UINT16}, {"u4", DT_UINT32}, {"b1", DT_BOOL}, {"c8", DT_COMPLEX64}};
    const pickle_value *name = pickle_is(v, "numpy.dtype") ? pickle_arg(v, 0) : NULL;
    for (size_t i = 0; name && name->kind == PICKLE_TEXT && i < sizeof types / sizeof types[0]; i++)
        if (str_is(name->v.text, types[i].name)) return types[i].type;
    return DT_UNKNOWN;
}

/* _reconstruct(...) with the state (version, shape, dtype, order, bytes) */
static bool read_array(const pickle_value *v, torch_tensor *t)
{
    if (!pickle_is(v, "numpy.core.multiarray._reconstruct") && !pickle_is(v, "numpy._core.multiarray._reconstruct"))
        return false;
    t->type = numpy_type(pickle_item(v->state, 2));
    t->storage = -1;
    return t->type != DT_UNKNOWN && read_dims(pickle_item(v->state, 1), &t->rank, t->dims);
}

/* _rebuild_meta_tensor_no_storage(type, size, stride, trained) */
static bool read_meta(const pickle_value *v, torch_tensor *t)
{
    const pickle_value *type = pickle_arg(v, 0);
    t->type = type && type->kind == PICKLE_GLOBAL ? torch_type_of(type->v.text) : DT_UNKNOWN;
    t->storage = -1;
    return read_dims(pickle_arg(v, 1), &t->rank, t->dims);
}

static bool named(const pickle_value *v, const char *beginning)
{
    return v->kind == PICKLE_OBJECT && v->v.object.of->kind == PICKLE_GLOBAL &&
           str_starts(v->v.object.of->v.text, beginning);
}

bool torch_tensor_of(const pickle_value *v, torch_tensor *out)
{
    enum { WRAPPED = 4 };
    bool parameter = false;
    for (int i = 0; v && i < WRAPPED; i++) {
        memset(out, 0, sizeof *out);
        out->parameter = parameter;
        if (v->kind != PICKLE_OBJECT) return false;
        if (named(v, "torch._utils._rebuild_parameter") || pickle_is(v, "torch.nn.parameter.Parameter")) {
            parameter = true;
            v = pickle_arg(v, 0);
        } else if (pickle_is(v, "torch.nn.parameter.Buffer")) {
            v = pickle_arg(v, 0);
        } else if (named(v, "torch._tensor._rebuild_from_type")) { /* (function, type, arguments, state) */
            const pickle_value *args = pickle_arg(v, 2), *function = pickle_arg(v, 0);
            if (!args || !function || function->kind != PICKLE_GLOBAL) return false;
            pickle_value call = {.kind = PICKLE_OBJECT, .v.object = {function, args}};
            bool deeper = named(&call, "torch._tensor.");
            return !deeper && torch_tensor_of(&call, out);
        } else if (pickle_is(v, "torch._utils._rebuild_meta_tensor_no_storage")) {
            return read_meta(v, out);
        } else if (pickle_is(v, "torch._utils._rebuild_tensor_v3")) {
            const pickle_value *type = pickle_arg(v, 6);
            if (!read_view(v, out) || !type || type->kind != PICKLE_GLOBAL) return false;
            out->type = torch_type_of(type->v.text);
            return out->type != DT_UNKNOWN;
        } else if (named(v, "torch._utils._rebuild_tensor") || named(v, "torch._utils._rebuild_qtensor")) {
            return read_view(v, out) && out->type != DT_UNKNOWN;
        } else {
            return read_array(v, out);
        }
    }
    return false;
}

bool torch_view_fits(const torch_tensor *t)
{
    int64_t last = t->offset, reach;
    double bytes = (double)t->storage * dtype_bytes(t->storage_type);
    if (t->storage < 0) return true;
    if (t->offset < 0) return false;
    for (int i = 0; i < t->rank; i++) {
        if (!t->dims[i]) return true;
        if (__builtin_mul_overflow(t->dims[i] - 1, t->strides[i], &reach) || __builtin_add_overflow(last, reach, &last))
            return false;
    }
    return ((double)last + 1) * dtype_bytes(t->type) <= bytes;
}

bool torch_is_module(const pickle_value *v)
{
    const pickle_value *m = pickle_get(v, "_modules"), *p = pickle_get(v, "_parameters");
    return v && v->kind == PICKLE_OBJECT && m && p;
}
