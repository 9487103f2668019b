#!/usr/bin/env python3
"""Rows of ONNX Runtime and TensorRT (BERT, offline, one GPU) of NVIDIA's DeepLearningExamples as a benchmark file: the time that Triton
measured for the computation alone. usage: engine_benchmarks.py deeplearningexamples.csv.gz RUNTIME OUT.json"""
import csv, gzip, json, sys

csv.field_size_limit(1 << 24)
rows = []
for r in csv.DictReader(gzip.open(sys.argv[1], 'rt')):
    if r['metric'] != 'server_compute_infer_latency' or not r['model'].startswith('bert-') or not r['batch'].isdigit(): continue
    runtime = 'tensorrt' if 'TensorRT' in r['framework'] else 'onnxruntime' if 'ONNX' in r['framework'] else None
    if runtime != sys.argv[2]: continue
    row = dict(model=r['model'], gpu=r['gpu'], batch=int(r['batch']), precision='fp16', seq_len=int(r['input_len']), runtime=runtime,
               metric='latency_ms', value=float(r['value']), family=r['model'])
    row['runtime_version'] = '8.2' if runtime == 'tensorrt' else '1.10'  # containers of 2022
    rows.append(row)
with open(sys.argv[3], 'w') as f: json.dump({'version': 1, 'benchmarks': rows}, f)
print(len(rows), 'rows')
