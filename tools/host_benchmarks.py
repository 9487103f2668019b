#!/usr/bin/env python3
"""Rows of PyTorch inference (static batch, one GPU) of NVIDIA's DeepLearningExamples tables as a benchmark file: their small batches
show what the host costs. usage: host_benchmarks.py deeplearningexamples.csv.gz OUT.json"""
import csv, gzip, json, sys

csv.field_size_limit(1 << 24)
UNITS = {'ms': 'latency_ms', 'images/s': 'throughput', 'samples/s': 'throughput', 'sequences/s': 'throughput', 'img/s': 'throughput'}
rows = []
for r in csv.DictReader(gzip.open(sys.argv[1], 'rt')):
    metric = UNITS.get(r['unit'])
    if r['task'] != 'inference' or r['gpu_count'] not in ('1', '') or not r['batch'].isdigit() or not metric: continue
    if not r['source_path'].startswith('PyTorch/') or 'triton' in r['source'] + r['source_path']: continue
    if metric == 'latency_ms' and r['metric'] not in ('latency', 'latency_avg', 'latency_mean'): continue
    row = dict(model=r['model'], gpu=r['gpu'], batch=int(r['batch']), precision=r['precision'].replace('mixed_', ''),
               autocast=r['precision'].startswith('mixed'), runtime='pytorch', metric=metric, value=float(r['value']), family=r['model'])
    row['runtime_version'] = '1.11'  # containers of 2020 and 2021
    if row['autocast']: row['layout'] = 'nhwc'  # these repositories run mixed precision channels last
    if r['input_len'].isdigit() and int(r['input_len']): row['seq_len'] = int(r['input_len'])
    if row['value'] > 0: rows.append(row)
with open(sys.argv[2], 'w') as f: json.dump({'version': 1, 'benchmarks': rows}, f)
print(len(rows), 'rows')
