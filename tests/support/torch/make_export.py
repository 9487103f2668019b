#!/usr/bin/env python3
"""Makes the files of tests/cases/pytorch that need torch.export (PyTorch 2.6 or newer; Debian 13: python3-torch).

    make_export.py FOLDER

Each model is saved as traced, scripted and frozen TorchScript, as programs of torch.export with a fixed and with free sizes, and as ONNX.
Weights are zeros, and what says where a node came from is left out, so that the files are a few kilobytes and name no machine.
"""
import io
import json
import os
import sys
import zipfile

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch._higher_order_ops.while_loop import while_loop
from torch.export import Dim

from make_torch import save


class Block(nn.Module):
    """Of a ResNet."""

    def __init__(self, a, b, stride):
        super().__init__()
        self.c1 = nn.Conv2d(a, b, 3, stride, 1, bias=False)
        self.n1 = nn.BatchNorm2d(b)
        self.c2 = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.n2 = nn.BatchNorm2d(b)
        self.down = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x):
        y = F.relu(self.n1(self.c1(x)), inplace=True)
        y = self.n2(self.c2(y))
        y += self.down(x)
        return F.relu(y, inplace=True)


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.block = Block(4, 8, 2)
        self.mean = nn.AdaptiveAvgPool2d((1, 1))
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = self.block(self.pool(F.relu(self.norm(self.stem(x)))))
        return self.head(torch.flatten(self.mean(x), 1))


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 8)
        self.p = nn.Embedding(32, 8)
        self.n1 = nn.LayerNorm(8)
        self.qkv = nn.Linear(8, 24)
        self.o = nn.Linear(8, 8)
        self.n2 = nn.LayerNorm(8)
        self.u = nn.Linear(8, 32)
        self.w = nn.Linear(32, 8)
        self.head = nn.Linear(8, 20, bias=False)
        self.head.weight = self.e.weight

    def forward(self, x):
        b, t = x.shape
        y = self.e(x) + self.p(torch.arange(t, device=x.device))
        q, k, v = self.qkv(self.n1(y)).split(8, -1)
        q, k, v = (z.reshape(b * t, 2, 4).view(b, t, 2, 4).transpose(1, 2) for z in (q, k, v))
        a = F.scaled_dot_product_attention(q, k, v)
        y = y + self.o(a.transpose(1, 2).reshape(b * t, -1)).view(b, t, -1)
        y = y + self.w(F.gelu(self.u(self.n2(y))))
        return self.head(y)


class Rotary(nn.Module):
    """Of a Llama: grouped heads, rotated by angles that come from an outer product."""

    def __init__(self):
        super().__init__()
        self.q = nn.Linear(32, 32, bias=False)
        self.k = nn.Linear(32, 16, bias=False)
        self.v = nn.Linear(32, 16, bias=False)
        self.o = nn.Linear(32, 32, bias=False)
        self.register_buffer("f", torch.zeros(4))

    def turn(self, x, c, s):
        a, b = x.chunk(2, -1)
        return x * c + torch.cat((-b, a), -1) * s

    def forward(self, x):
        b, t, d = x.shape
        angle = torch.outer(torch.arange(t, device=x.device).float(), self.f)
        angle = torch.cat((angle, angle), -1)
        q = self.turn(self.q(x).view(b, t, 4, 8).transpose(1, 2), angle.cos(), angle.sin())
        k = self.turn(self.k(x).view(b, t, 2, 8).transpose(1, 2), angle.cos(), angle.sin()).repeat_interleave(2, 1)
        v = self.v(x).view(b, t, 2, 8).transpose(1, 2).repeat_interleave(2, 1)
        a = F.scaled_dot_product_attention(q, k, v)
        return x + self.o(a.transpose(1, 2).reshape(b, t, d))


class Causal(nn.Module):
    """Heads of a decoder, which the fused call masks."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.o = nn.Linear(16, 16)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (z.view(b, t, 2, 8).transpose(1, 2) for z in self.qkv(x).split(16, -1))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.o(a.transpose(1, 2).reshape(b, t, 16))


class Grouped(nn.Module):
    """Takes three dims, but only its sizes say so."""

    def __init__(self):
        super().__init__()
        self.q = nn.Linear(32, 32, bias=False)
        self.k = nn.Linear(32, 16, bias=False)

    def forward(self, x):
        b, t, _ = x.shape
        q = self.q(x).view(b, t, 4, 8).transpose(1, 2)
        k = self.k(x).view(b, t, 2, 8).transpose(1, 2)
        return F.scaled_dot_product_attention(q, k, k, enable_gqa=True).transpose(1, 2).flatten(2)


class Repeated(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(8, 8)

    def forward(self, x):
        return while_loop(lambda i, y: i < 4, lambda i, y: (i + 1, self.l(y)), (torch.tensor(0), x))[1]


class Encoder(nn.Module):
    """Reads the batch in its second dim, as nn.MultiheadAttention does within."""

    def __init__(self):
        super().__init__()
        self.l = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True, norm_first=True)

    def forward(self, x):
        return self.l(x)


class Shifted(nn.Module):
    """Of a Swin: attention in windows of an image that was rolled, under a mask that is made in every step."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(8, 24)
        self.o = nn.Linear(8, 8)

    def forward(self, x):
        b = x.shape[0]
        x = torch.roll(x, (-2, -2), (1, 2))
        x = x.view(b, 2, 4, 2, 4, 8).permute(0, 1, 3, 2, 4, 5).reshape(b * 4, 16, 8)
        q, k, v = self.qkv(x).reshape(b * 4, 16, 3, 2, 4).permute(2, 0, 3, 1, 4)
        a = (q * 0.5).matmul(k.transpose(-2, -1))
        mask = x.new_zeros((8, 8))
        for i, rows in enumerate(((0, -4), (-4, -2), (-2, None))):
            for j, columns in enumerate(((0, -4), (-4, -2), (-2, None))):
                mask[rows[0]:rows[1], columns[0]:columns[1]] = 3 * i + j
        mask = mask.view(2, 4, 2, 4).permute(0, 2, 1, 3).reshape(4, 16)
        mask = mask.unsqueeze(1) - mask.unsqueeze(2)
        mask = mask.masked_fill(mask != 0, -100.0).masked_fill(mask == 0, 0.0)
        a = (a.view(b, 4, 2, 16, 16) + mask.unsqueeze(1).unsqueeze(0)).view(b * 4, 2, 16, 16).softmax(-1)
        y = self.o(a.matmul(v).transpose(1, 2).reshape(b * 4, 16, 8))
        y = y.view(b, 2, 2, 4, 4, 8).permute(0, 1, 3, 2, 4, 5).reshape(b, 8, 8, 8)
        return torch.roll(y, (2, 2), (1, 2))


class Gated(nn.Module):
    """Activations that are calls of their own, but not in core ATen; a norm by the root mean square, masked scores, a bilinear form."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(16, 16)
        self.b = nn.Linear(16, 16)
        self.c = nn.PReLU()
        self.w = nn.Parameter(torch.zeros(16))
        self.form = nn.Bilinear(16, 16, 3)
        self.register_buffer("mask", torch.tril(torch.ones(6, 6)))

    def forward(self, x):
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.w
        y = F.hardswish(self.a(x)) * F.hardsigmoid(self.b(x))
        y = self.c(F.leaky_relu(F.elu(y)))
        p = (y @ y.transpose(1, 2) / 4).masked_fill(self.mask == 0, float("-inf")).softmax(-1) @ y
        return self.form(p, y)


def forget(value):
    """Takes away where nodes came from, in graphs within graphs too."""
    if isinstance(value, dict) and "target" in value:
        value["metadata"] = {}
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        forget(inner)


def save_program(path, program):
    data = io.BytesIO()
    torch.export.save(program, data)
    source = zipfile.ZipFile(data)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in source.namelist():
            if not name.endswith(".json") and not name.endswith("version"):
                continue
            text = source.read(name)
            if name.endswith(".json"):
                whole = json.loads(text)
                whole["graph_module"]["module_call_graph"] = []
                forget(whole)
                text = json.dumps(whole, separators=(",", ":"))
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, text)


def main(folder):
    torch.manual_seed(0)
    words = torch.zeros(2, 6, dtype=torch.long)
    image = torch.zeros(2, 3, 32, 32)
    save(os.path.join(folder, "grouped_trace.pt"), torch.jit.trace(Grouped().eval(), torch.zeros(1, 6, 32)))
    save_program(os.path.join(folder, "repeated_static.pt2"), torch.export.export(Repeated(), (torch.zeros(2, 8),)))
    free = ({0: Dim("batch", min=2, max=32), 1: Dim("time", min=2, max=64)},)
    save_program(os.path.join(folder, "causal_dynamic.pt2"),
                 torch.export.export(Causal().eval(), (torch.zeros(2, 6, 16),), dynamic_shapes=free))
    models = {"residual": (Residual(), image, {0: "batch"}), "gpt": (Gpt(), words, {0: "batch", 1: "time"}),
              "rotary": (Rotary(), torch.zeros(2, 6, 32), {0: "batch", 1: "time"}),
              "encoder": (Encoder(), torch.zeros(2, 6, 16), {0: "batch"}),
              "shifted": (Shifted(), torch.zeros(2, 8, 8, 8), {0: "batch"}),
              "gated": (Gated(), torch.zeros(2, 6, 16), {0: "batch"})}
    for name, (model, x, free) in models.items():
        model.eval()
        path = os.path.join(folder, name)
        save(path + "_trace.pt", torch.jit.trace(model, x, check_trace=False))
        if name != "shifted":  # whose slices of one shape or another TorchScript does not take
            script = torch.jit.script(model)
            save(path + "_script.pt", script)
            save(path + "_frozen.pt", torch.jit.freeze(script))
        shapes = ({axis: Dim(title, min=2, max=32) for axis, title in free.items()},)
        free_sizes = torch.export.export(model, (x,), dynamic_shapes=shapes)
        save_program(path + "_static.pt2", torch.export.export(model, (x,)))
        save_program(path + "_dynamic.pt2", free_sizes)
        save_program(path + "_decomposed.pt2", free_sizes.run_decompositions())
        if name != "gated":  # which has no counterpart in ONNX: the bilinear form
            torch.onnx.export(model, (x,), path + ".onnx", opset_version=17, input_names=["x"], dynamic_axes={"x": free})


if __name__ == "__main__":
    main(sys.argv[1])
