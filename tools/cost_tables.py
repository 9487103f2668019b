#!/usr/bin/env python3
"""Writes the tables of docs/cost-model.md: what is fitted on what, the constants as they are shipped, and the errors that fit_kernels
printed. `./dev kernel-tables` runs it.

usage: tools/cost_tables.py [REPORT]
REPORT: the output of `fit_kernels KERNELS --loo 1 --rows 150`: every group with the shipped constants, then each GPU after a fit without
it. With `--tables` or `--step` for some kinds the others' errors stay as they are, without a report all.
"""
import os, re, sys, tomllib

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
KINDS = {'gemm.bf16': 'product BF16', 'gemm.fp16': 'product FP16', 'gemm.fp8': 'product FP8', 'gemm.fp8-block': 'product FP8, block scales',
    'gemm.fp4': 'product NVFP4', 'gemm.int8': 'product INT8 (SmoothQuant)', 'gemm.w8': 'product INT8 weights', 'gemm.w4': 'product INT4 weights',
    'prefill.bf16': 'prefill BF16', 'prefill.fp8': 'prefill FP8', 'short.bf16': 'prompts up to 16 tokens BF16', 'short.fp8': 'prompts up to 16 tokens FP8',
    'decode.bf16': 'decode BF16', 'encoder.bf16': 'encoder attention BF16', 'apart.bf16': 'decode, heads apart BF16', 'fallback.bf16': 'fallback kernels BF16', 'fallback.fp8': 'fallback kernels FP8',
    'latent-prompt.bf16': 'latent attention, prompts', 'latent-prompt.fp8': 'latent attention, prompts, cache FP8', 'latent.bf16': 'latent attention, decode BF16',
    'latent.fp8': 'latent attention, decode FP8', 'moe.bf16': 'experts BF16', 'moe.fp8': 'experts FP8', 'moe.fp8-block': 'experts FP8, block scales',
    'moe.fp4': 'experts NVFP4', 'moe.packed': 'experts, weights of 4 bits', 'moe.other': 'experts, kernels apart', 'scan': 'gated delta rule, prompts',
    'scan.step': 'gated delta rule, decode', 'short-conv': 'short convolution', 'short-conv.mamba': 'short convolution (Mamba 2)',
    'gemm.fp32': 'product FP32', 'bmm.fp32': 'batched product FP32', 'conv.fp32': 'convolution FP32, issued from Python',
    'conv-gpu.fp32': 'convolution FP32', 'direct.fp32': 'convolution FP32, direct', 'fused.fp32': 'convolution FP32, Winograd in one kernel',
    'staged.fp32': 'convolution FP32, Winograd in stages', 'vector.fp32': 'elementwise FP32',
    'layernorm.fp32': 'layer norm FP32', 'softmax.fp32': 'softmax FP32', 'comm.allreduce': 'all-reduce', 'comm.allgather': 'all-gather', 'comm.reducescatter': 'reduce-scatter',
    'comm.alltoall': 'all-to-all', 'comm.send': 'send', 'comm.own': 'all-reduce, serving kernels'}


def constants():
    """constants.def says unit and meaning, the TOML file the value."""
    values, table = {}, ''
    for line in open(HERE + '/data/cost_constants.toml'):
        m = re.match(r'\[(.*)\]', line)
        table = m[1] if m else table
        m = re.match(r'(\w+) = (\S+)', line)
        if m: values[table, m[1]] = m[2]
    source = open(HERE + '/src/cost/constants.def').read()
    pattern = r'COST_CONSTANT\((\w+),\s*(\w+),\s*"([^"]*)",\s*[\d.]+,\s*[\d.]+,\s*((?:"[^"]*"\s*)+)\)'
    out = ['| constant | value | unit | meaning |', '| --- | --- | --- | --- |']
    for table, name, unit, meaning in re.findall(pattern, source):
        text = ' '.join(re.findall(r'"([^"]*)"', meaning))
        out.append(f'| {table}.{name} | {values[table, name]} | {unit} | {text} |')
    return out


def fitted():
    """data/fit.toml says which rows of the kernel tables a step takes."""
    steps = tomllib.load(open(HERE + '/data/fit.toml', 'rb'))['step']
    out = ['| step | fitted on | constants |', '| --- | --- | --- |']
    for s in steps:
        if s.get('tables'): out.append(f"| {s['name']} | {', '.join(KINDS[t] for t in s['tables'])} | {', '.join(f'`{c}`' for c in s['constants'])} |")
    return out


def errors(report, page):
    """Kinds that the report has nothing of keep their lines."""
    rows, left_out, out = {}, {}, None
    for line in open(report):
        m = re.match(r'left out: (\S+)', line)
        if m: out = left_out
        m = re.match(r'(\S+) (\S+) (\S+)\s+n\s+(\d+)\s+mape\s+(\S+)\s+median\s+(\S+)\s+p90\s+(\S+)\s+bias\s+(\S+)', line)
        if m: (rows if out is None else out)[m[2], m[1], m[3]] = m.groups()[3:]
    text = ['| kind | GPU | table | rows | shipped | median | p90 | bias | left out |', '| --- | --- | --- | --- | --- | --- | --- | --- | --- |']
    order, kept = list(KINDS), {}
    for line in page:
        cells = [c.strip() for c in line.strip('|\n').split('|')]
        kind = next((k for k in KINDS if KINDS[k] == cells[0]), None)
        if kind and kind not in {k[0] for k in rows}: kept[kind, cells[1], cells[2]] = line.rstrip('\n')
    for key in sorted([*rows, *kept], key=lambda k: (order.index(k[0]), k[1], k[2])):
        if key in kept:
            text.append(kept[key])
            continue
        n, mape, median, p90, bias = rows[key]
        text.append(f"| {KINDS[key[0]]} | {key[1]} | {key[2]} | {n} | {mape} | {median} | {p90} | {bias} | {left_out.get(key, ['', ''])[1]} |")
    return text


def put(text, name, lines):
    begin, end = f'<!-- {name}: written by tools/cost_tables.py -->\n', f'<!-- end of {name} -->'
    return text[:text.index(begin) + len(begin)] + '\n'.join(lines) + '\n' + text[text.index(end):]


def main():
    if len(sys.argv) > 2: sys.exit(__doc__)
    path = HERE + '/docs/cost-model.md'
    text = open(path).read()
    text = put(put(text, 'steps', fitted()), 'constants', constants())
    if len(sys.argv) == 2: text = put(text, 'errors', errors(sys.argv[1], text[text.index('<!-- errors'):].split('\n')))
    with open(path + '.new', 'w') as f: f.write(text)
    os.replace(path + '.new', path)


if __name__ == '__main__': main()
