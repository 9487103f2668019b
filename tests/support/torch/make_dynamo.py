#!/usr/bin/env python3
"""Makes ONNX files as PyTorch's second exporter (torch.onnx.export(dynamo=True)) builds them, of networks of make_export.py.

    make_dynamo.py FOLDER

Debian has no onnxscript, which that exporter needs, so the operators are written out here: gpt_dynamo.onnx and residual_dynamo.onnx as of
PyTorch 2.6, inlined, with opset 18; gpt_functions.onnx as of PyTorch 2.1 to 2.4, where each module and each ATen operator is a function of its
own, with conditions on ranks in them; gpt_overloads.onnx with one name for functions that their overload tells apart; causal_dynamo.onnx with the mask of a causal call; layer_dynamo.onnx with
nn.LSTM unrolled, layer_weights.onnx and layer_read.onnx that only look like it. Needs python3-onnx.
"""
import os
import sys

from onnx import AttributeProto, TensorProto, helper, numpy_helper

import numpy as np

LIB, COMMON, MODULES = "pkg.onnxscript.torch_lib", "pkg.onnxscript.torch_lib.common", "pkg.torch.2.4.0"


class Body:
    """Nodes of a graph or a function, which take and give names."""

    def __init__(self, prefix=""):
        self.nodes, self.weights, self.count, self.prefix = [], [], 0, prefix

    def __call__(self, op, *inputs, domain="", outs=1, out=None, overload=None, **attrs):
        names = out or ["%sval_%d" % (self.prefix, self.count + i) for i in range(outs)]
        self.count += outs
        node = helper.make_node(op, inputs, names, domain=domain, **attrs)
        if overload:
            node.overload = overload
        self.nodes.append(node)
        return names[0] if len(names) == 1 else names

    def refer(self, op, *inputs, of, kind, domain="", **attrs):
        """A node one of whose attributes is that of the function."""
        name = self(op, *inputs, domain=domain, **attrs)
        for attr, outer in of.items():
            self.nodes[-1].attribute.append(AttributeProto(name=attr, type=kind, ref_attr_name=outer))
        return name

    def ints(self, *values):
        return self("Constant", value=numpy_helper.from_array(np.array(values, np.int64)))

    def scalar(self, value):
        return self("Constant", value=numpy_helper.from_array(np.array(value, np.float32)))

    def weight(self, name, *dims):
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=dims)
        tensor.raw_data = bytes(4 * int(np.prod(dims)))
        self.weights.append(tensor)
        return name


def function(domain, name, inputs, outputs, body, attributes=(), overload=None, opset=18):
    f = helper.make_function(domain, name, inputs, outputs, body.nodes,
                             [helper.make_opsetid("", opset), helper.make_opsetid(LIB, 1), helper.make_opsetid(COMMON, 1)], attributes)
    if overload:
        f.overload = overload
    return f


def save(path, body, inputs, outputs, opset=18, functions=(), ir=10):
    def value(name, kind, dims):
        return helper.make_tensor_value_info(name, kind, dims)
    graph = helper.make_graph(body.nodes, "main_graph", [value(*x) for x in inputs], [value(*x) for x in outputs], body.weights)
    domains = sorted({f.domain for f in functions})
    model = helper.make_model(graph, producer_name="pytorch", producer_version="2.6.0", functions=functions, ir_version=ir,
                              opset_imports=[helper.make_opsetid("", opset)] + [helper.make_opsetid(d, 1) for d in domains])
    with open(path, "wb") as file:
        file.write(model.SerializeToString())


def linear(b, x, weight, bias=None):
    """With more than two dims: the weight is turned in the graph."""
    y = b("MatMul", x, b("Transpose", weight, perm=[1, 0]))
    return b("Add", y, bias) if bias else y


def turned(b, k):
    """Keys for a product with queries, as torch_lib turns any number of dims."""
    shape = b("Shape", k, start=0)
    last = b("Slice", shape, b.ints(-1), b.ints(9223372036854775807))
    second = b("Slice", shape, b.ints(-2), b.ints(-1))
    first = b("Slice", shape, b.ints(0), b.ints(-2))
    flat = b("Reshape", k, b("Concat", b.ints(-1), second, last, axis=0), allowzero=0)
    flat = b("Transpose", flat, perm=[0, 2, 1])
    return b("Reshape", flat, b("Concat", first, last, second, axis=0), allowzero=0)


def causal_mask(b, q, k):
    """aten_scaled_dot_product_attention's own, of ones in a lower triangle."""
    rows = b("Slice", b("Shape", q, start=0), b.ints(-2), b.ints(-1))
    columns = b("Slice", b("Shape", k, start=0), b.ints(-2), b.ints(-1))
    ones = b("Expand", b("CastLike", b.scalar(1.0), q), b("Concat", rows, columns, axis=0))
    hidden = b("Equal", b("Trilu", ones, upper=0), b("CastLike", b.scalar(0.0), q))
    return b("Where", hidden, b("CastLike", b.scalar(float("-inf")), q), b("CastLike", b.scalar(0.0), q))


def attention(b, q, k, v, causal=False):
    """aten_scaled_dot_product_attention, without a mask of the model's."""
    mask = causal_mask(b, q, k) if causal else None
    last = b("Slice", b("Shape", q, start=0), b.ints(-1), b.ints(9223372036854775807))
    scale = b("Div", b("CastLike", b.scalar(1.0), q), b("Sqrt", b("CastLike", last, q)))
    scale = b("Sqrt", b("CastLike", scale, q))
    scores = b("MatMul", b("Mul", q, scale), b("Mul", turned(b, k), scale))
    p = b("Softmax", b("Add", scores, mask) if causal else scores, axis=-1)
    return b("MatMul", p, v)


def gelu(b, x):
    y = b("Erf", b("Mul", x, b("CastLike", b.scalar(0.70710677), x)))
    y = b("Mul", x, b("Add", y, b("CastLike", b.scalar(1.0), x)))
    return b("Mul", y, b("CastLike", b.scalar(0.5), x))


def size_at(b, x, axis):
    """aten.sym_size.int, as the exporter writes it."""
    return b("Squeeze", b("Shape", x, start=axis, end=axis + 1))


def join(b, *parts):
    return b("Concat", *[b("Reshape", p, b.ints(-1), allowzero=0) if isinstance(p, str) else b.ints(p) for p in parts], axis=0)


def gpt_weights(b):
    for name, dims in (("e.weight", (20, 8)), ("p.weight", (32, 8)), ("n1.weight", (8,)), ("n1.bias", (8,)), ("qkv.weight", (24, 8)),
                       ("qkv.bias", (24,)), ("o.weight", (8, 8)), ("o.bias", (8,)), ("n2.weight", (8,)), ("n2.bias", (8,)),
                       ("u.weight", (32, 8)), ("u.bias", (32,)), ("w.weight", (8, 32)), ("w.bias", (8,))):
        b.weight(name, *dims)


GPT_IN = [("x", TensorProto.INT64, ["batch", "time"])]
GPT_OUT = [("logits", TensorProto.FLOAT, ["batch", "time", 20])]


def gpt_dynamo(path):
    b = Body()
    gpt_weights(b)
    n, t = size_at(b, "x", 0), size_at(b, "x", 1)
    steps = b("Range", b("Constant", value_int=0), t, b("Constant", value_int=1))
    y = b("Add", b("Gather", "e.weight", "x", axis=0), b("Gather", "p.weight", steps, axis=0))
    z = b("LayerNormalization", y, "n1.weight", "n1.bias", axis=-1, epsilon=1e-5)
    z = linear(b, z, "qkv.weight", "qkv.bias")
    q, k, v = b("Split", z, b.ints(8, 8, 8), axis=-1, outs=3)
    heads = []
    for part in (q, k, v):
        part = b("Reshape", part, join(b, b("Mul", n, t), 2, 4), allowzero=1)
        part = b("Reshape", part, join(b, n, t, 2, 4), allowzero=1)
        heads.append(b("Transpose", part, perm=[0, 2, 1, 3]))
    a = b("Transpose", attention(b, *heads), perm=[0, 2, 1, 3])
    a = b("Reshape", a, join(b, b("Mul", n, t), -1), allowzero=1)
    a = b("Gemm", a, "o.weight", "o.bias", transB=1)
    y = b("Add", y, b("Reshape", a, join(b, n, t, 8), allowzero=1))
    z = b("LayerNormalization", y, "n2.weight", "n2.bias", axis=-1, epsilon=1e-5)
    z = linear(b, gelu(b, linear(b, z, "u.weight", "u.bias")), "w.weight", "w.bias")
    y = b("Add", y, z)
    b("MatMul", y, b("Transpose", "e.weight", perm=[1, 0]), out=["logits"])
    save(path, b, GPT_IN, GPT_OUT)


def is_scalar():
    b = Body()
    b("Equal", b("Size", b("Shape", "x")), b("Constant", value_int=0), out=["return_val"])
    return function(COMMON, "IsScalar", ["x"], ["return_val"], b)


def rank_of():
    b = Body()
    b("Size", b("Shape", "x"), out=["return_val"])
    return function(COMMON, "Rank", ["x"], ["return_val"], b)


def branch(op, x, prefix, **attrs):
    b = Body(prefix)
    name = b(op, x, **attrs)
    return helper.make_graph(b.nodes, prefix, [], [helper.make_empty_tensor_value_info(name)])


def library():
    """Functions of torch_lib as of onnxscript 0.1."""
    made = [is_scalar(), rank_of()]
    b = Body()  # a matrix is turned, anything less is left
    cond = b("Equal", b("Rank", "self", domain=COMMON), b("Constant", value_int=2))
    b("If", cond, out=["return_val"], then_branch=branch("Transpose", "self", "then_", perm=[1, 0]),
      else_branch=branch("Identity", "self", "else_"))
    made.append(function(LIB, "aten_t", ["self"], ["return_val"], b))

    b = Body()
    b.refer("Gemm", "mat1", "mat2", "self", of={"alpha": "alpha", "beta": "beta"}, kind=AttributeProto.FLOAT)
    b.nodes[-1].output[0] = "return_val"
    made.append(function(LIB, "aten_addmm", ["self", "mat1", "mat2"], ["return_val"], b, ["alpha", "beta"]))

    b = Body()
    b("Reshape", "self", b("Cast", "size", to=TensorProto.INT64), out=["return_val"])
    made.append(function(LIB, "aten_view", ["self", "size"], ["return_val"], b))

    b = Body()
    b("Gather", "weight", "indices", out=["return_val"])
    made.append(function(LIB, "aten_embedding", ["weight", "indices"], ["return_val"], b))

    b = Body()
    y = gelu(b, "self")
    b("Identity", y, out=["return_val"])
    made.append(function(LIB, "_aten_gelu_approximate_none", ["self"], ["return_val"], b))

    b = Body()
    y = attention(b, "query", "key", "value")
    b("Identity", y, out=["return_val"])
    made.append(function(LIB, "_aten_scaled_dot_product_attention_no_mask_onnx", ["query", "key", "value"], ["return_val"], b))

    b = Body()
    alpha = b("CastLike", b.refer("Constant", of={"value_float": "alpha"}, kind=AttributeProto.FLOAT), "other")
    b("Add", "self", b("Mul", "other", alpha), out=["return_val"])
    made.append(function(LIB, "aten_add", ["self", "other"], ["return_val"], b, ["alpha"]))

    b = Body()
    b.refer("Transpose", "self", of={"perm": "perm"}, kind=AttributeProto.INTS)
    b.nodes[-1].output[0] = "return_val"
    made.append(function(LIB, "aten_transpose", ["self"], ["return_val"], b, ["perm"]))

    b = Body()
    shape = b("Gather", b("Shape", "self"), b.refer("Constant", of={"value_int": "dim"}, kind=AttributeProto.INT), axis=0)
    b("Identity", shape, out=["return_val"])
    made.append(function(LIB, "aten_sym_size", ["self"], ["return_val"], b, ["dim"]))
    return made


def lib(b, name, *inputs, **attrs):
    return b(name, *inputs, domain=LIB, **attrs)


def module(b, made, name, inputs, build, overload=None):
    """A module's forward as a function, and its call."""
    inner = Body("m_")
    y = build(inner)
    inner("Identity", y, out=["out"])
    made.append(function(MODULES, name, inputs, ["out"], inner, overload=overload))
    return b(name, *inputs, domain=MODULES, overload=overload)


def flat_linear(b, x, n, t, width, weight, bias):
    """Linear of three dims as view, addmm, view."""
    y = lib(b, "aten_view", x, join(b, b("Mul", n, t), -1))
    y = lib(b, "aten_addmm", bias, y, lib(b, "aten_t", weight), alpha=1.0, beta=1.0)
    return lib(b, "aten_view", y, join(b, n, t, width))


def gpt_functions(path, overloads):
    """With modules as functions, told apart by their names or by overloads of one."""
    b, made = Body(), library()
    gpt_weights(b)
    n, t = lib(b, "aten_sym_size", "x", dim=0), lib(b, "aten_sym_size", "x", dim=1)

    def call(name, inputs, build):
        if overloads:
            return module(b, made, "forward", inputs, build, overload=name)
        return module(b, made, "torch_nn_modules_" + name, inputs, build)

    e = call("sparse_Embedding_e_1", ["e.weight", "x"], lambda f: lib(f, "aten_embedding", "e.weight", "x"))
    steps = b("Range", b("Constant", value_int=0), t, b("Constant", value_int=1))
    p = call("sparse_Embedding_p_1", ["p.weight", steps], lambda f: lib(f, "aten_embedding", "p.weight", steps))
    y = lib(b, "aten_add", e, p, alpha=1.0)
    z = call("normalization_LayerNorm_n1_1", [y, "n1.weight", "n1.bias"],
             lambda f: f("LayerNormalization", y, "n1.weight", "n1.bias", axis=-1, epsilon=1e-5))
    x1 = z
    z = call("linear_Linear_qkv_1", [x1, n, t, "qkv.weight", "qkv.bias"],
             lambda f: flat_linear(f, x1, n, t, 24, "qkv.weight", "qkv.bias"))
    parts = b("Split", z, b.ints(8, 8, 8), axis=-1, outs=3)
    heads = []
    for part in parts:
        part = lib(b, "aten_view", part, join(b, b("Mul", n, t), 2, 4))
        part = lib(b, "aten_view", part, join(b, n, t, 2, 4))
        heads.append(lib(b, "aten_transpose", part, perm=[0, 2, 1, 3]))
    a = lib(b, "_aten_scaled_dot_product_attention_no_mask_onnx", *heads)
    a = lib(b, "aten_view", lib(b, "aten_transpose", a, perm=[0, 2, 1, 3]), join(b, b("Mul", n, t), -1))
    x2 = a
    a = call("linear_Linear_o_1", [x2, "o.weight", "o.bias"],
             lambda f: lib(f, "aten_addmm", "o.bias", x2, lib(f, "aten_t", "o.weight"), alpha=1.0, beta=1.0))
    y = lib(b, "aten_add", y, lib(b, "aten_view", a, join(b, n, t, 8)), alpha=1.0)
    x3 = y
    z = call("normalization_LayerNorm_n2_1", [x3, "n2.weight", "n2.bias"],
             lambda f: f("LayerNormalization", x3, "n2.weight", "n2.bias", axis=-1, epsilon=1e-5))
    x4 = z
    z = call("linear_Linear_u_1", [x4, n, t, "u.weight", "u.bias"], lambda f: flat_linear(f, x4, n, t, 32, "u.weight", "u.bias"))
    x5 = lib(b, "_aten_gelu_approximate_none", z)
    z = call("linear_Linear_w_1", [x5, n, t, "w.weight", "w.bias"], lambda f: flat_linear(f, x5, n, t, 8, "w.weight", "w.bias"))
    y = lib(b, "aten_add", x3, z, alpha=1.0)
    flat = lib(b, "aten_view", y, join(b, b("Mul", n, t), -1))
    y = b("MatMul", flat, lib(b, "aten_t", "e.weight"))
    b("Reshape", y, join(b, n, t, 20), out=["logits"])
    save(path, b, GPT_IN, GPT_OUT, functions=made, ir=10 if overloads else 8)


def residual_dynamo(path):
    """Batch normalisations stay; sizes of the mean are an input."""
    b = Body()

    def conv(x, name, a, c, k, stride):
        b.weight(name + ".weight", c, a, k, k)
        return b("Conv", x, name + ".weight", group=1, pads=[k // 2] * 4, auto_pad="NOTSET", strides=[stride] * 2, dilations=[1, 1])

    def norm(x, name, c):
        for part in ("weight", "bias", "running_mean", "running_var"):
            b.weight("%s.%s" % (name, part), c)
        return b("BatchNormalization", x, *["%s.%s" % (name, p) for p in ("weight", "bias", "running_mean", "running_var")],
                 epsilon=1e-5, momentum=0.9, training_mode=0)

    x = b("Relu", norm(conv("x", "stem", 3, 4, 7, 2), "norm", 4))
    x = b("MaxPool", x, kernel_shape=[3, 3], pads=[1] * 4, strides=[2, 2], dilations=[1, 1], ceil_mode=0, storage_order=0,
          auto_pad="NOTSET")
    y = b("Relu", norm(conv(x, "block.c1", 4, 8, 3, 2), "block.n1", 8))
    y = norm(conv(y, "block.c2", 8, 8, 3, 1), "block.n2", 8)
    y = b("Relu", b("Add", y, norm(conv(x, "block.down.0", 4, 8, 1, 2), "block.down.1", 8)))
    y = b("ReduceMean", y, b.ints(-1, -2), keepdims=1, noop_with_empty_axes=0)
    y = b("Reshape", y, b("Concat", b("Shape", y, start=0, end=1), b.ints(8), axis=0), allowzero=1)
    b.weight("head.weight", 10, 8)
    b.weight("head.bias", 10)
    b("Gemm", y, "head.weight", "head.bias", transB=1, alpha=1.0, beta=1.0, out=["linear"])
    save(path, b, [("x", TensorProto.FLOAT, ["batch", 3, 32, 32])], [("linear", TensorProto.FLOAT, ["batch", 10])])


def causal_dynamo(path):
    b = Body()
    for name, dims in (("qkv.weight", (48, 16)), ("qkv.bias", (48,)), ("o.weight", (16, 16)), ("o.bias", (16,))):
        b.weight(name, *dims)
    n, t = size_at(b, "x", 0), size_at(b, "x", 1)
    parts = b("Split", linear(b, "x", "qkv.weight", "qkv.bias"), b.ints(16, 16, 16), axis=-1, outs=3)
    heads = [b("Transpose", b("Reshape", p, join(b, n, t, 2, 8), allowzero=1), perm=[0, 2, 1, 3]) for p in parts]
    a = b("Transpose", attention(b, *heads, causal=True), perm=[0, 2, 1, 3])
    y = b("MatMul", b("Reshape", a, join(b, n, t, 16), allowzero=1), b("Transpose", "o.weight", perm=[1, 0]))
    b("Add", y, "o.bias", out=["linear_1"])
    dims = ["batch", "time", 16]
    save(path, b, [("x", TensorProto.FLOAT, dims)], [("linear_1", TensorProto.FLOAT, dims)])


def unrolled(path, weights="r.weight_hh_l0", read=False):
    """nn.LSTM over four steps. `weights`: those of the last step. `read`: the second state is an output, too."""
    b = Body()
    for name, dims in (("r.weight_ih_l0", (32, 6)), ("r.weight_hh_l0", (32, 8)), ("r.bias_ih_l0", (32,)), ("r.bias_hh_l0", (32,)),
                       ("l.weight", (4, 8)), ("l.bias", (4,))):
        b.weight(name, *dims)
    if weights != "r.weight_hh_l0":
        b.weight(weights, 32, 8)
    n, one = size_at(b, "x", 0), b.ints(1)
    x = b("Transpose", "x", perm=[1, 0, 2])
    every = b("Add", b("MatMul", x, b("Transpose", "r.weight_ih_l0", perm=[1, 0])), "r.bias_ih_l0")
    h, c = (b("Expand", b.scalar(0.0), join(b, 1, n, 8)) for _ in range(2))
    states = []
    for t in range(4):
        step = b("Squeeze", b("Slice", every, b.ints(t), b.ints(t + 1), b.ints(0), one), b.ints(0))
        turned_weight = b("Transpose", weights if t == 3 else "r.weight_hh_l0", perm=[1, 0])
        y = b("Gemm", b("Reshape", h, join(b, n, 8), allowzero=1), turned_weight, "r.bias_hh_l0", alpha=1.0, beta=1.0)
        y = b("Add", b("Reshape", y, join(b, 1, n, 32), allowzero=1), step)
        i, f, g, o = b("Split", y, b.ints(8, 8, 8, 8), axis=2, outs=4)
        c = b("Add", b("Mul", b("Sigmoid", f), c), b("Mul", b("Sigmoid", i), b("Tanh", g)))
        h = b("Mul", b("Sigmoid", o), b("Tanh", c), out=["state"] if read and t == 1 else None)
        states.append(h)
    y = b("Transpose", b("Concat", *states, axis=0), perm=[1, 0, 2])
    b("Add", b("MatMul", y, b("Transpose", "l.weight", perm=[1, 0])), "l.bias", out=["linear"])
    outputs = [("linear", TensorProto.FLOAT, ["batch", 4, 4])] + [("state", TensorProto.FLOAT, [1, "batch", 8])] * read
    save(path, b, [("x", TensorProto.FLOAT, ["batch", 4, 6])], outputs)


def main(folder):
    unrolled(os.path.join(folder, "layer_dynamo.onnx"))
    unrolled(os.path.join(folder, "layer_weights.onnx"), weights="other.weight")
    unrolled(os.path.join(folder, "layer_read.onnx"), read=True)
    causal_dynamo(os.path.join(folder, "causal_dynamo.onnx"))
    gpt_dynamo(os.path.join(folder, "gpt_dynamo.onnx"))
    gpt_functions(os.path.join(folder, "gpt_functions.onnx"), False)
    gpt_functions(os.path.join(folder, "gpt_overloads.onnx"), True)
    residual_dynamo(os.path.join(folder, "residual_dynamo.onnx"))


if __name__ == "__main__":
    main(sys.argv[1])
