#!/usr/bin/env python3
"""Training on one GPU from NVIDIA DeepLearningExamples' tables, as a benchmark file: to check the training model on GPUs and networks
that its constants were not fitted on. usage: train_benchmarks.py deeplearningexamples.csv.gz OUT.json

Eager PyTorch of 2020 and 2021: version 1. Mixed precision runs channels-last in the image networks. Tables without a batch take it
from the configurations beside them (at such sizes throughput hardly depends on it); large batches are accumulated from smaller ones,
with an optimizer step a whole batch that hardly counts."""
import csv, gzip, json, sys

BATCH = {  # fp32 or tf32, mixed: V100; A100
    'resnet50': ((128, 256), (256, 256)), 'resnext101_32x4d': ((64, 128), (128, 256)), 'se_resnext101_32x4d': ((64, 128), (128, 256)),
    'efficientnet_b0': ((128, 256), (256, 256)), 'efficientnet_b4': ((32, 64), (64, 128)),
}
IMAGE = {'efficientnet_b4': 380}
MICRO = {('fp32', '128'): 8, ('fp16', '128'): 64, ('fp32', '512'): 2, ('fp16', '512'): 8}  # BERT's steps on a V100 of 32 GB


def row(r):
    if r['task'] != 'training' or r['gpu_count'] != '1' or r['metric'] != 'throughput': return None
    if not r['source_path'].startswith('PyTorch/') or '/' in r['precision'] or '|' in r['precision'] or '+' in r['precision']: return None
    mixed = r['precision'].startswith('mixed')
    precision = r['precision'].replace('mixed_', '')
    b = dict(model=r['model'], task='training', gpu=r['gpu'], precision=precision, autocast=mixed, runtime='pytorch', runtime_version='1.9',
             optimizer='sgd', metric='throughput', value=float(r['value']), family=r['model'], source=r['source_path'])
    if r['model'] in BATCH:
        b['batch'] = BATCH[r['model']]['a100' in r['gpu']][mixed]
        b['layout'] = 'nhwc' if mixed else 'nchw'
        if r['model'] in IMAGE: b['image_size'] = IMAGE[r['model']]
        return b
    if r['model'] == 'bert-large-uncased' and r['batch'].isdigit():
        b.update(batch=int(r['batch']), optimizer='adamw', seq_len=int(r['input_len'] or 384))
        if b['batch'] > 1000:
            b['batch'] = MICRO[(precision, r['input_len'])]
            b['optimizer'] = 'none'
        return b
    return None


def main():
    with gzip.open(sys.argv[1], 'rt') as f: l = [x for x in map(row, csv.DictReader(f)) if x]
    with open(sys.argv[2], 'w') as f: json.dump({'version': 1, 'benchmarks': l}, f)
    print(f'{len(l)} rows in {sys.argv[2]}')


main()
