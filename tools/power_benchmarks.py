#!/usr/bin/env python3
"""Boards of one chip under different power limits, as MLPerf ran them for ten minutes: benchmark rows for fit_models.

usage: power_benchmarks.py mlperf_inference.csv.gz out.json

Offline ResNet-50 in INT8, the median of a GPU's submissions in a round, a GPU. Systems that were throttled on purpose or cut up, and
boards whose limit is not the usual one, are left out."""
import csv, gzip, json, re, statistics, sys

GPUS = {'a100_pcie_40gb', 'a100_pcie_80gb', 'a100_sxm_40gb', 'a100_sxm_80gb', 'h100_pcie', 'h100_sxm', 'h100_nvl', 'l40', 'l40s', 't4', 'a10'}
found = {}
for r in csv.DictReader(gzip.open(sys.argv[1], 'rt')):
    text = r['notes'] + r['source_path']
    each = re.search(r'per_gpu=([\d.]+)', text)
    if r['model'] != 'resnet50' or r['metric'] != 'offline_throughput' or r['precision'] != 'int8' or r['gpu'] not in GPUS: continue
    if not each or re.search('maxq|mig|cts', text, re.I): continue
    found.setdefault((r['gpu'], r['source']), []).append(float(each[1]))
rows = [dict(model='resnet50', task='inference', gpu=g, batch=256, precision='int8', runtime='tensorrt', metric='throughput',
             value=statistics.median(v), family='resnet50', source=s) for (g, s), v in sorted(found.items())]
json.dump({'version': 1, 'benchmarks': rows}, open(sys.argv[2], 'w'), indent=1)
print(len(rows), 'rows in', sys.argv[2])
