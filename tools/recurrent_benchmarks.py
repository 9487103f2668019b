#!/usr/bin/env python3
"""Rows whose time recurrent layers decide, as a benchmark file: MLPerf's RNN-T (offline, one whole GPU, known batch, fp16) and NVIDIA's
Temporal Fusion Transformer under TensorRT at small batches. usage: recurrent_benchmarks.py FOLDER OUT.json
FOLDER: with mlperf_inference.csv.gz and deeplearningexamples.csv.gz"""
import csv, gzip, json, sys

csv.field_size_limit(1 << 24)
rows, seen = [], set()


def table(name):
    return csv.DictReader(gzip.open(f'{sys.argv[1]}/{name}.csv.gz', 'rt'))


def add(r, metric):
    row = dict(model=r['model'], gpu=r['gpu'], batch=int(r['batch']), precision='fp16', runtime='tensorrt', metric=metric,
               value=float(r['value']), family=r['model'])
    key = tuple(sorted(row.items()))
    if row['value'] > 0 and key not in seen: rows.append(row)
    seen.add(key)


for r in table('mlperf_inference'):
    if r['model'] != 'rnnt' or r['metric'] != 'offline_throughput' or r['precision'] != 'fp16' or r['gpu_count'] != '1': continue
    if r['batch'].isdigit() and 'MIG' not in r['notes'] and 'MaxQ' not in r['notes']: add(r, 'throughput')
for r in table('deeplearningexamples'):
    if r['model'] != 'tft' or r['metric'] != 'server_compute_infer_latency' or 'TensorRT' not in r['framework']: continue
    if r['batch'].isdigit() and 2 <= int(r['batch']) <= 16: add(r, 'latency_ms')
with open(sys.argv[2], 'w') as f: json.dump({'version': 1, 'benchmarks': rows}, f)
print(len(rows), 'rows')
