#!/usr/bin/env python3
"""Makes the files of tests/cases/pytorch that hold one network in forms which exporters take apart in different ways.

    make_pairs.py FOLDER

Needs torch.export and torchvision (Debian 13: python3-torch, python3-torchvision, python3-onnx).
"""
import os
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F
import torchvision
from torch.export import Dim
from torchvision.models.detection._utils import _topk_min

from make_export import save_program
from make_torch import save


def twice(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(True),
                         nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(True))


class Unet(nn.Module):
    """Convolutions with biases in front of batch normalisations, which ONNX's exporter folds together."""

    def __init__(self):
        super().__init__()
        self.down = twice(3, 4)
        self.middle = twice(4, 8)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.last = twice(8, 4)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        a = self.down(x)
        b = self.middle(F.max_pool2d(a, 2))
        b = F.interpolate(b, scale_factor=2.0, mode="bilinear", align_corners=True)
        return self.head(self.last(torch.cat((a, self.up(F.max_pool2d(b, 2))), 1)))


class Resized(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, 3, padding=1)
        self.b = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        x = F.interpolate(F.relu(self.a(x)), scale_factor=2.0, mode="bilinear", align_corners=False)
        x = F.interpolate(F.relu(self.b(x)), scale_factor=2.0, mode="nearest")
        x = F.interpolate(x, size=(48, 48), mode="bicubic", align_corners=False)
        return F.pixel_unshuffle(F.pixel_shuffle(x, 2), 4)


class Summed(nn.Module):
    """Attention as einsum, over dims that don't lie behind each other."""

    def __init__(self):
        super().__init__()
        self.q = nn.Linear(32, 32)
        self.k = nn.Linear(32, 32)
        self.v = nn.Linear(32, 32)

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = (part(x).view(b, t, 4, 8) for part in (self.q, self.k, self.v))
        a = torch.einsum("bihd,bjhd->bhij", q, k) * 8 ** -0.5
        return torch.einsum("bhij,bjhd->bihd", a.softmax(-1), v).reshape(b, t, 32)


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.EmbeddingBag(20, 8, mode="mean")
        self.l = nn.Linear(8, 4)

    def forward(self, x):
        return self.l(self.e(x))


class Parts(nn.Module):
    """Lists: in ONNX a loop that fills a sequence, or a split into one."""

    def __init__(self):
        super().__init__()
        self.l = nn.Linear(16, 16)
        self.m = nn.Linear(16, 16)

    def forward(self, x):
        first, rest = torch.tensor_split(x, (1,), dim=1)
        rest = self.l(rest)
        a, b = rest.reshape(x.shape[0], -1, 2, 16).unbind(2)
        return torch.cat((first, self.m(a) + b), 1)


class Placed(nn.Module):
    """Attention in a window, with a bias for each relative position."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(16, 48)
        self.table = nn.Parameter(torch.randn(49, 2))
        self.register_buffer("rows", torch.arange(256) % 49)

    def forward(self, x):
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, 2, 8).permute(2, 0, 3, 1, 4)
        a = (q * 8 ** -0.5) @ k.transpose(-2, -1)
        a = a + self.table[self.rows].view(16, 16, 2).permute(2, 0, 1).contiguous().unsqueeze(0)
        return (a.softmax(-1) @ v).transpose(1, 2).reshape(b, n, 16)


class Found(nn.Module):
    """A detector: an image without a batch, the best twenty of its boxes, and a head for them."""

    def __init__(self):
        super().__init__()
        self.c = nn.Conv2d(3, 8, 3, 2, 1)
        self.box = nn.Conv2d(8, 4, 1)
        self.score = nn.Conv2d(8, 1, 1)
        self.head = nn.Linear(4, 6)

    def forward(self, image):
        x = F.relu(self.c(image[None]))
        boxes = self.box(x).permute(0, 2, 3, 1).reshape(-1, 4)
        keep = torchvision.ops.nms(boxes, self.score(x).reshape(-1), 0.5)
        return self.head(boxes[keep[:20]])


class Chosen(nn.Module):
    """The best twenty pairs of a row and a class, as a detector chooses them, a head for their rows, and what doesn't overlap."""

    def __init__(self):
        super().__init__()
        self.c = nn.Linear(16, 3)
        self.l = nn.Linear(16, 6)

    def forward(self, x):
        scores = torch.sigmoid(self.c(x)).flatten()
        keep = scores > 0.05
        scores = scores[keep]
        at = torch.where(keep)[0]
        scores, best = scores.topk(_topk_min(at, 20, 0))
        at = at[best]
        rows = torch.div(at, 3, rounding_mode="floor")
        boxes = self.l(x[rows])
        keep = torch.ops.torchvision.nms(boxes[:, :4], scores, 0.5)[:10]
        return boxes[keep], at[keep] % 3


class Kept(nn.Module):
    """As many boxes as there are, by class, of which ten are kept."""

    def __init__(self):
        super().__init__()
        self.c = nn.Linear(16, 1)
        self.l = nn.Linear(16, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        scores = torch.sigmoid(self.c(x)).flatten()
        at = torch.where(scores > 0.05)[0]
        boxes = self.l(x[at])
        keep = torchvision.ops.batched_nms(boxes[:, :4], scores[at], at, 0.5)[:10]
        return self.head(boxes[keep])


class Listed(nn.Module):
    """Bags as rows of one list, as recommenders have them."""

    def __init__(self):
        super().__init__()
        self.e = nn.EmbeddingBag(50, 8, mode="max")
        self.l = nn.Linear(8, 4)

    def forward(self, x, offsets):
        return self.l(self.e(x, offsets))


class Layers(nn.Module):
    """Two layers in both directions, which start from nothing."""

    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(6, 8, 2, batch_first=True, bidirectional=True)
        self.l = nn.Linear(16, 4)

    def forward(self, x):
        return self.l(self.r(x)[0])


class Added(nn.Module):
    """Additions to a part of a tensor, in place, and one of a part of a part."""

    def __init__(self):
        super().__init__()
        self.q = nn.Linear(16, 16)
        self.o = nn.Linear(16, 16)

    def forward(self, x):
        q = self.q(x)
        x = q * torch.sigmoid(x)
        x[:, 1:, :] += q[:, 1:, :]
        x[:, 2:, 4:] *= q[:, 2:, 4:]
        return self.o(x)


class Assigned(nn.Module):
    """The same sum, as a tensor of its own that is written over the part: a copy."""

    def __init__(self):
        super().__init__()
        self.q = nn.Linear(16, 16)
        self.o = nn.Linear(16, 16)

    def forward(self, x):
        q = self.q(x)
        x = q * torch.sigmoid(x)
        x[:, 1:, :] = x[:, 1:, :] + q[:, 1:, :]
        return self.o(x)


class Padded(nn.Module):
    """Padding to whole windows, which is cut off again: nothing, at this size."""

    def __init__(self):
        super().__init__()
        self.q = nn.Linear(16, 16)
        self.o = nn.Linear(16, 16)

    def forward(self, x):
        _, h, w, _ = x.shape
        y = self.q(F.pad(x, (0, 0, 0, (4 - w % 4) % 4, 0, (4 - h % 4) % 4)))
        return self.o(y[:, :h, :w, :].contiguous() + x)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.r = nn.LSTM(6, 8, batch_first=True)
        self.l = nn.Linear(8, 4)

    def forward(self, x):
        return self.l(self.r(x)[0])


class Started(nn.Module):
    """A layer that is given its state, and whose last state is an output, too."""

    def __init__(self, kind):
        super().__init__()
        self.r = getattr(nn, kind)(6, 8, batch_first=True)
        self.h = nn.Linear(6, 8)

    def forward(self, x):
        h = self.h(x[:, 0])[None]
        return self.r(x, h)


class Own(nn.Module):
    """The formulas of an LSTM in the model's own code: many calls, whichever way it is exported."""

    def __init__(self):
        super().__init__()
        self.a = nn.Linear(8, 32)
        self.b = nn.Linear(6, 32)

    def forward(self, x, state):
        h, c = state
        i, f, g, o = (self.a(h) + self.b(x)).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class Stepped(nn.Module):
    """A loop over time around a cell."""

    def __init__(self, cell):
        super().__init__()
        self.c = cell
        self.l = nn.Linear(8, 4)
        self.pair = not isinstance(cell, (nn.GRUCell, nn.RNNCell))

    def forward(self, x):
        h = c = x.new_zeros(x.shape[0], 8)
        out = []
        for t in range(4):
            if self.pair:
                h, c = self.c(x[:, t], (h, c))
            else:
                h = self.c(x[:, t], h)
            out.append(h)
        return self.l(torch.stack(out, 1))


def main(folder):
    torch.manual_seed(0)
    image, words, batch = torch.rand(2, 3, 16, 16), torch.zeros(2, 6, dtype=torch.long), Dim("batch", min=2, max=32)
    models = {"unet": (Unet(), image), "resized": (Resized(), image), "summed": (Summed(), torch.zeros(2, 6, 32)),
              "bag": (Bag(), words), "parts": (Parts(), torch.zeros(2, 9, 16)), "placed": (Placed(), torch.zeros(2, 16, 16)),
              "added": (Added(), torch.zeros(2, 9, 16)), "assigned": (Assigned(), torch.zeros(2, 9, 16)),
              "padded": (Padded(), torch.zeros(2, 8, 8, 16)),
              "layer": (Layer(), torch.zeros(2, 4, 6)), "layers": (Layers(), torch.zeros(2, 4, 6)), "started_gru": (Started("GRU"), torch.zeros(2, 4, 6)),
              "started_rnn": (Started("RNN"), torch.zeros(2, 4, 6)),
              "cells_lstm": (Stepped(nn.LSTMCell(6, 8)), torch.zeros(2, 4, 6)),
              "cells_gru": (Stepped(nn.GRUCell(6, 8)), torch.zeros(2, 4, 6)),
              "cells_rnn": (Stepped(nn.RNNCell(6, 8)), torch.zeros(2, 4, 6)),
              "cells_own": (Stepped(Own()), torch.zeros(2, 4, 6))}
    for name, (model, x) in models.items():
        model.eval()
        path = os.path.join(folder, name)
        save(path + "_trace.pt", torch.jit.trace(model, x, check_trace=False))
        if name in ("added", "assigned"):
            save(path + "_script.pt", torch.jit.script(model))
        if name == "bag":
            save(path + "_script.pt", torch.jit.script(model))
            torch.onnx.export(model, (x,), path + ".onnx", opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
            continue
        program = torch.export.export(model, (x,), dynamic_shapes=({0: batch},))
        save_program(path + "_dynamic.pt2", program)
        save_program(path + "_decomposed.pt2", program.run_decompositions())
        torch.onnx.export(model, (x,), path + ".onnx", opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "batch"}})
    torch.onnx.export(Listed().eval(), (torch.zeros(24, dtype=torch.long), torch.arange(0, 24, 4)),
                      os.path.join(folder, "listed.onnx"), opset_version=17, input_names=["x", "offsets"])
    save(os.path.join(folder, "kept_script.pt"), torch.jit.script(Kept().eval()))
    save(os.path.join(folder, "chosen_script.pt"), torch.jit.script(Chosen().eval()))
    torch.onnx.export(Chosen().eval(), (torch.rand(64, 16),), os.path.join(folder, "chosen.onnx"), opset_version=17, input_names=["x"])
    torch.onnx.export(Found().eval(), (torch.rand(3, 32, 32),), os.path.join(folder, "found.onnx"), opset_version=17,
                      input_names=["x"])


if __name__ == "__main__":
    main(sys.argv[1])
