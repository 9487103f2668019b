#!/usr/bin/env python3
"""Makes the files of tests/cases/pytorch with PyTorch (Debian: python3-torch), and the same models as ONNX.

    make_torch.py FOLDER

Archives have zeros as weights and are packed anew without debug information, so that the files are a few kilobytes.
"""
import io
import os
import sys
import zipfile

import torch
import torch.nn as nn
import torch.nn.functional as F


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 16, 3, 2, 1)
        self.d = nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.u = nn.ConvTranspose2d(16, 8, 2, 2)
        self.p = nn.AdaptiveAvgPool2d(4)
        self.f = nn.Linear(128, 10)

    def forward(self, x):
        x = F.relu(self.c(x))
        x = x + F.hardswish(self.d(x))
        x = self.u(F.max_pool2d(x, 2, ceil_mode=True))
        return F.log_softmax(self.f(self.p(x).view(x.size(0), -1)), 1)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.o = nn.Linear(16, 16)
        self.n = nn.LayerNorm(16)
        self.g = nn.GELU()

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(self.n(x)).reshape(b, n, 3, 2, 8).permute(2, 0, 3, 1, 4).unbind(0)
        a = ((q @ k.transpose(-2, -1)) * 0.35355).softmax(-1)
        return x + self.g(self.o((a @ v).transpose(1, 2).reshape(b, n, c)))


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(20, 8)
        self.l = nn.LSTM(8, 8, 2, batch_first=True, bidirectional=True)
        self.f = nn.Linear(16, 4)

    def forward(self, x):
        y, _ = self.l(self.e(x))
        return self.f(y)


class Flow(nn.Module):
    """Loops, conditions, lists, in-place operators, sizes."""

    def __init__(self):
        super().__init__()
        self.ls = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
        self.k = nn.Parameter(torch.ones(8))

    def forward(self, x, times: int = 4):
        for l in self.ls:
            x = torch.relu(l(x))
        i = 0
        while i < times:
            x = x * self.k
            i += 1
        for j in range(times):
            if j % 2 == 0:
                x = x + 1
            else:
                x = x - 1
        x[:, 0] = 0
        x.mul_(2)
        parts = [x[:, j:j + 2] for j in range(2)]
        return torch.cat(parts, 1), x.view(x.size(0), -1)


class Guarded(nn.Module):
    """Says of its inputs what they must be."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(24, 4))

    def forward(self, x, rate: int):
        if x.shape[-1] != 24:
            raise ValueError("24 features, please")
        if rate == 16000:
            y = x.matmul(self.w)
        else:
            y = x.matmul(self.w).matmul(self.w.t())
        return y


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = torch.quantization.QuantStub()
        self.c = nn.Conv2d(3, 8, 3, 2, 1)
        self.r = nn.ReLU()
        self.d = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.l = nn.Linear(8, 4)
        self.s = torch.nn.quantized.FloatFunctional()
        self.o = torch.quantization.DeQuantStub()

    def forward(self, x):
        x = self.r(self.c(self.q(x)))
        return self.o(self.l(self.s.add(x, self.d(x)).mean([2, 3])))


def quantised():
    model = Quantised().eval()
    model.qconfig = torch.quantization.get_default_qconfig("fbgemm")
    model = torch.quantization.fuse_modules(model, [["c", "r"]])
    torch.quantization.prepare(model, inplace=True)
    model(torch.randn(2, 3, 16, 16))
    return torch.quantization.convert(model)


def pack(path, data):
    """The archive again: no debug information, zeros as weights, deflated."""
    source = zipfile.ZipFile(io.BytesIO(data))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name in source.namelist():
            if name.endswith(".debug_pkl") or name.endswith("byteorder"):
                continue
            bytes_ = source.read(name)
            small = "/constants/" in name and len(bytes_) <= 64  # sizes and the like, which are read
            if "/data/" in name or ("/constants/" in name and not small):
                bytes_ = bytes(len(bytes_))
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_STORED if small else zipfile.ZIP_DEFLATED
            out.writestr(entry, bytes_)


def save(path, what, legacy=False):
    out = io.BytesIO()
    if isinstance(what, torch.jit.ScriptModule):
        torch.jit.save(what, out)
    else:
        torch.save(what, out, _use_new_zipfile_serialization=not legacy)
    if legacy:
        open(path, "wb").write(out.getvalue())
    else:
        pack(path, out.getvalue())


def main(folder):
    torch.manual_seed(0)
    models = {"conv": (Conv(), torch.zeros(1, 3, 32, 32)), "attention": (Attention(), torch.zeros(1, 10, 16)),
              "words": (Words(), torch.zeros(1, 6, dtype=torch.long)), "flow": (Flow(), torch.zeros(1, 8))}
    for name, (model, x) in models.items():
        model.eval()
        save(os.path.join(folder, name + "_trace.pt"), torch.jit.trace(model, x, check_trace=False))
        save(os.path.join(folder, name + "_script.pt"), torch.jit.script(model))
        if name != "flow":
            torch.onnx.export(model, x, os.path.join(folder, name + ".onnx"), opset_version=15, input_names=["x"],
                              dynamic_axes={"x": {0: "batch"}})
    save(os.path.join(folder, "guarded_script.pt"), torch.jit.script(Guarded()))
    save(os.path.join(folder, "quantised_script.pt"), torch.jit.script(quantised()))
    conv = Conv().eval()
    optimizer = torch.optim.Adam(conv.parameters())
    conv(torch.zeros(1, 3, 32, 32)).sum().backward()
    optimizer.step()
    save(os.path.join(folder, "state.pth"), conv.state_dict())
    save(os.path.join(folder, "legacy.pth"), nn.Linear(4, 3).state_dict(), legacy=True)
    prefixed = {"module." + k: v for k, v in conv.state_dict().items()}
    save(os.path.join(folder, "checkpoint.pth"), {"epoch": 3, "state_dict": prefixed, "optimizer": optimizer.state_dict()})
    shared = nn.Linear(8, 8)
    save(os.path.join(folder, "tied.pth"), {"a.weight": shared.weight, "b.weight": shared.weight, "half": shared.weight[:4],
                                            "bias": shared.bias})
    save(os.path.join(folder, "module.pt"), nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()))


if __name__ == "__main__":
    main(sys.argv[1])
