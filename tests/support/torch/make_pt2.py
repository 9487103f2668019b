#!/usr/bin/env python3
"""Writes archives as torch.export does, by hand, in shapes that PyTorch 2.6 does not write (make_export.py has those that it does).

    make_pt2.py FOLDER

A program is written down as calls of operators on names; types and sizes of the results are left out, as a reader may not need them.
"""
import json
import sys
import zipfile


def tensor(name):
    return {"as_tensor": {"name": name}}


def size(n):
    if isinstance(n, int):
        return {"as_int": n}
    return {"as_expr": {"expr_str": "Symbol('%s', positive=True, integer=True)" % n, "hint": {"as_int": 2}}}


def meta(dims, dtype=7):
    return {"dtype": dtype, "sizes": [size(d) for d in dims], "requires_grad": False, "layout": 7,
            "device": {"type": "cpu", "index": None}, "strides": [], "storage_offset": {"as_int": 0}}


def argument(v):
    if v is None:
        return {"as_none": True}
    if isinstance(v, bool):
        return {"as_bool": v}
    if isinstance(v, int):
        return {"as_int": v}
    if isinstance(v, float):
        return {"as_float": v}
    if isinstance(v, str):
        return {"as_sym_int": {"as_name": v[1:]}} if v.startswith("$") else tensor(v)
    if v and all(isinstance(x, str) and not x.startswith("$") for x in v):
        return {"as_tensors": [{"name": x} for x in v]}
    if any(isinstance(x, str) for x in v):
        return {"as_sym_ints": [{"as_name": x[1:]} if isinstance(x, str) else {"as_int": x} for x in v]}
    return {"as_ints": v}


def node(target, outputs, args, kinds=True, **keywords):
    inputs = [{"name": "arg%d" % i, "arg": argument(a), **({"kind": 1} if kinds else {})} for i, a in enumerate(args)]
    inputs += [{"name": k, "arg": argument(v), **({"kind": 2} if kinds else {})} for k, v in keywords.items()]
    outs = [{"as_sym_int": {"as_name": o[1:]}} if o.startswith("$") else tensor(o) for o in outputs]
    return {"target": target, "inputs": inputs, "outputs": outs, "metadata": {}}


def program(inputs, parameters, buffers, nodes, outputs, symbols):
    values = {n: meta(d, t) for n, (d, t) in inputs.items()}
    values.update({"p_" + n.replace(".", "_"): meta(d) for n, d in parameters.items()})
    values.update({"b_" + n.replace(".", "_"): meta(d) for n, d in buffers.items()})
    specs = [{"parameter": {"arg": {"name": "p_" + n.replace(".", "_")}, "parameter_name": n}} for n in parameters]
    specs += [{"buffer": {"arg": {"name": "b_" + n.replace(".", "_")}, "buffer_name": n, "persistent": True}}
              for n in buffers]
    specs += [{"user_input": {"arg": tensor(n)}} for n in inputs]
    return {
        "graph_module": {
            "graph": {"inputs": [tensor(n) for n in values], "outputs": [tensor(n) for n in outputs], "nodes": nodes,
                      "tensor_values": values, "sym_int_values": {s: size(s) for s in symbols}, "sym_bool_values": {}},
            "signature": {"input_specs": specs, "output_specs": [{"user_output": {"arg": tensor(n)}} for n in outputs]},
            "module_call_graph": [],
        },
        "opset_version": {"aten": 10},
        "range_constraints": {s: {"min_val": 1, "max_val": 1024} for s in symbols},
        "schema_version": {"major": 8, "minor": 8},
        "torch_version": "2.9.0",
    }


A = "torch.ops.aten."


def conv():
    """The network of make_torch.py of the same name."""
    parameters = {"c.weight": [16, 3, 3, 3], "c.bias": [16], "d.weight": [16, 1, 3, 3], "d.bias": [16],
                  "u.weight": [16, 8, 2, 2], "u.bias": [8], "f.weight": [10, 128], "f.bias": [10]}
    nodes = [
        node(A + "sym_size.int", ["$sym_size_int_1"], ["x", 0]),
        node(A + "conv2d.default", ["conv2d"], ["x", "p_c_weight", "p_c_bias", [2, 2], [1, 1]]),
        node(A + "relu.default", ["relu"], ["conv2d"]),
        node(A + "conv2d.default", ["conv2d_1"], ["relu", "p_d_weight", "p_d_bias", [1, 1], [1, 1], [1, 1], 16]),
        node(A + "hardswish.default", ["hardswish"], ["conv2d_1"]),
        node(A + "add.Tensor", ["add"], ["relu", "hardswish"]),
        node(A + "max_pool2d.default", ["max_pool2d"], ["add", [2, 2], [2, 2], [0, 0], [1, 1], True]),
        node(A + "conv_transpose2d.input", ["convt"], ["max_pool2d", "p_u_weight", "p_u_bias", [2, 2]]),
        node(A + "adaptive_avg_pool2d.default", ["pool"], ["convt", [4, 4]]),
        node(A + "view.default", ["view"], ["pool", ["$sym_size_int_1", 128]]),
        node(A + "linear.default", ["linear"], ["view", "p_f_weight", "p_f_bias"]),
        node(A + "log_softmax.int", ["log_softmax"], ["linear", 1]),
    ]
    return program({"x": (["s77", 3, 32, 32], 7)}, parameters, {}, nodes, ["log_softmax"], ["s77"])


def attention(kinds):
    """A fixed batch of 1, arguments without their kind, as older versions write them; decomposed layers."""
    parameters = {"qkv.weight": [48, 16], "qkv.bias": [48], "o.weight": [16, 16], "o.bias": [16],
                  "n.weight": [16], "n.bias": [16]}
    n = lambda t, o, a, **k: node(t, o, a, kinds, **k)
    nodes = [
        n(A + "native_layer_norm.default", ["ln", "ln_1", "ln_2"], ["x", [16], "p_n_weight", "p_n_bias", 1e-05]),
        n(A + "linear.default", ["linear"], ["ln", "p_qkv_weight", "p_qkv_bias"]),
        n(A + "reshape.default", ["reshape"], ["linear", [1, 10, 3, 2, 8]]),
        n(A + "permute.default", ["permute"], ["reshape", [2, 0, 3, 1, 4]]),
        n(A + "unbind.int", [], ["permute"]),
        n(A + "transpose.int", ["transpose"], ["k", -2, -1]),
        n(A + "matmul.default", ["matmul"], ["q", "transpose"]),
        n(A + "mul.Tensor", ["mul"], ["matmul", 0.35355]),
        n(A + "softmax.int", ["softmax"], ["mul", -1]),
        n(A + "matmul.default", ["matmul_1"], ["softmax", "v"]),
        n(A + "transpose.int", ["transpose_1"], ["matmul_1", 1, 2]),
        n(A + "reshape.default", ["reshape_1"], ["transpose_1", [1, 10, 16]]),
        n(A + "linear.default", ["linear_1"], ["reshape_1", "p_o_weight", "p_o_bias"]),
        n(A + "gelu.default", ["gelu"], ["linear_1"]),
        n(A + "add.Tensor", ["add"], ["x", "gelu"]),
    ]
    nodes[4]["outputs"] = [{"as_tensors": [{"name": "q"}, {"name": "k"}, {"name": "v"}]}]
    return program({"x": ([1, 10, 16], 7)}, parameters, {}, nodes, ["add"], [])


def unknown():
    """An operator that nobody knows, whose result the file declares; a condition."""
    inner = {"inputs": [tensor("a")], "outputs": [tensor("b")], "tensor_values": {},
             "nodes": [node(A + "relu.default", ["b"], ["a"])]}
    cond = {"target": "torch.ops.higher_order.cond", "outputs": [{"as_tensors": [{"name": "y"}]}], "metadata": {},
            "inputs": [{"name": "pred", "arg": tensor("m")},
                       {"name": "t", "arg": {"as_graph": {"name": "true", "graph": inner}}},
                       {"name": "f", "arg": {"as_graph": {"name": "false", "graph": inner}}},
                       {"name": "operands", "arg": {"as_tensors": [{"name": "odd"}]}}]}
    nodes = [node("torch.ops.mine.odd.default", ["odd"], ["x"]), node(A + "any.default", ["m"], ["x"]), cond,
             node(A + "sum.dim_IntList", ["sum"], ["y", [1]])]
    p = program({"x": (["s0", 8], 7)}, {}, {}, nodes, ["sum"], ["s0"])
    p["graph_module"]["graph"]["tensor_values"]["odd"] = meta(["s0", 4])
    return p


def called():
    """A region that torch.compile marked: its name stands between the graph and the operands."""
    inner = {"inputs": [tensor("a"), tensor("b")], "outputs": [tensor("c")], "tensor_values": {},
             "nodes": [node(A + "linear.default", ["c"], ["a", "b"])]}
    call = {"target": "torch.ops.higher_order.invoke_subgraph", "outputs": [{"as_tensors": [{"name": "y"}]}], "metadata": {},
            "inputs": [{"name": "subgraph", "arg": {"as_graph": {"name": "repeated", "graph": inner}}},
                       {"name": "identifier", "arg": {"as_string": "subgraph_0"}},
                       {"name": "arg0", "arg": tensor("x")}, {"name": "arg1", "arg": tensor("p_w")}]}
    return program({"x": (["s0", 8], 7)}, {"w": [4, 8]}, {}, [call], ["y"], ["s0"])


def layers():
    """The network of make_pairs.py of the same name, as PyTorch decomposes it where it has oneDNN: a call for each layer and direction."""
    parameters, nodes, x = {"l.weight": [4, 16], "l.bias": [4]}, [
        node(A + "sym_size.int", ["$n"], ["x", 0]),
        node(A + "full.default", ["h"], [[4, "$n", 8], 0.0]),
        node(A + "full.default", ["c"], [[4, "$n", 8], 0.0]),
        node(A + "permute.default", ["turned"], ["x", [1, 0, 2]])], "turned"
    for layer in range(2):
        for way in range(2):
            k, at = "l%d%s" % (layer, "_reverse" * way), 2 * layer + way
            for name, dims in (("weight_ih", [32, 16 if layer else 6]), ("weight_hh", [32, 8]), ("bias_ih", [32]), ("bias_hh", [32])):
                parameters["r.%s_%s" % (name, k)] = dims
            states = []
            for state in "hc":
                nodes.append(node(A + "slice.Tensor", [state + k], [state, 0, at, at + 1]))
                nodes.append(node(A + "squeeze.dims", ["s" + state + k], [state + k, [0]]))
                nodes.append(node(A + "unsqueeze.default", ["u" + state + k], ["s" + state + k, 0]))
                states.append("u" + state + k)
            weights = ["p_r_%s_%s" % (name, k) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
            nodes.append(node(A + "mkldnn_rnn_layer.default", ["y" + k, "yh" + k, "yc" + k, "w" + k],
                              [x] + weights + states + [way == 1, [], 2, 8, 1, True, False, False, False]))
        nodes.append(node(A + "cat.default", ["cat%d" % layer], [["yl%d" % layer, "yl%d_reverse" % layer], 2]))
        x = "cat%d" % layer
    nodes += [node(A + "permute.default", ["back"], [x, [1, 0, 2]]),
              node(A + "permute.default", ["w"], ["p_l_weight", [1, 0]]),
              node(A + "expand.default", ["many"], ["w", ["$n", 16, 4]]),
              node(A + "bmm.default", ["y"], ["back", "many"]),
              node(A + "add.Tensor", ["out"], ["y", "p_l_bias"])]
    return program({"x": (["s0", 4, 6], 7)}, parameters, {}, nodes, ["out"], ["s0"])


def write(path, folder, programs, others=()):
    """The entries of PyTorch 2.9, whose weights a reader does not need; a name of before 2.8 in the root."""
    files = {"archive_format": "pt2", "archive_version": "0", "byteorder": "little"}
    for name, p in programs.items():
        files[name] = json.dumps(p, separators=(",", ":"))
    files.update({name: "" for name in others})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
        for name, text in files.items():
            entry = zipfile.ZipInfo(folder + name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, text)


if __name__ == "__main__":
    out = sys.argv[1] + "/"
    write(out + "conv.pt2", "conv/", {"models/model.json": conv()})
    write(out + "attention.pt2", "attention/", {"models/model.json": attention(True)},
          ["data/weights/model_weights_config.json", "data/weights/weight_0", "data/constants/model_constants_config.json"])
    write(out + "attention_old.pt2", "", {"serialized_exported_program.json": attention(False)})
    write(out + "unknown.pt2", "unknown/", {"models/model.json": unknown()})
    write(out + "layers_onednn.pt2", "", {"serialized_exported_program.json": layers()})
    write(out + "several.pt2", "several/", {"extra/models/no.json": {}, "models/encoder.json": conv(), "models/decoder.json": called()})
    write(out + "compiled.pt2", "", {}, ["data/aotinductor/model/abc.wrapper.so"])
