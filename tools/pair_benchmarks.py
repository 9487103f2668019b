#!/usr/bin/env python3
"""Rows of the same models on several GPUs and under several versions of PyTorch as a benchmark file: what one measurement says about
another GPU (fit_transfer). usage: pair_benchmarks.py timm.csv.gz MODELS OUT.json
MODELS: the folder with the exported models, NAME_SIZE.onnx and NAME_SIZE_reparam.onnx."""
import csv, gzip, json, os, sys

table, folder, out = sys.argv[1:]
have = {f[:-5] for f in os.listdir(folder) if f.endswith('.onnx')}
rows = []
for r in csv.DictReader(gzip.open(table, 'rt')):
    if r['task'] != 'inference': continue
    name = f"{r['model']}_{r['image_size']}"
    if r['runtime_version'] >= 'torch 2.9' and name + '_reparam' in have: name += '_reparam'
    if name not in have: continue
    rows.append(dict(model=os.path.join(os.path.abspath(folder), name + '.onnx'), gpu=r['gpu'], batch=int(r['batch']), image_size=int(r['image_size']),
                     precision=r['precision'], autocast=bool(int(r['autocast'])), layout=r['layout'], runtime=r['runtime'],
                     runtime_version=r['runtime_version'].split()[1], metric='latency_ms', value=float(r['step_ms']), family=r['family']))
with open(out, 'w') as f: json.dump({'version': 1, 'benchmarks': rows}, f)
print(len(rows), 'rows')
