#!/usr/bin/env python3
"""Rows of one framework's inference (static batch, one GPU) of NVIDIA's DeepLearningExamples tables as a benchmark file: their small
batches show what the host costs. Only classifiers, BERT and, of TensorFlow, nnU-Net and NCF: the other tables hold work on the CPU
before or after the network, or texts of unknown length. usage: host_benchmarks.py deeplearningexamples.csv.gz OUT.json [PyTorch|TensorFlow]"""
import csv, gzip, json, sys

csv.field_size_limit(1 << 24)
UNITS = {'ms': 'latency_ms', 'images/s': 'throughput', 'samples/s': 'throughput', 'sequences/s': 'throughput', 'img/s': 'throughput'}
framework = sys.argv[3] if len(sys.argv) > 3 else 'PyTorch'
MODELS = ['resnet50', 'efficientnet_b0', 'efficientnet_b4', 'bert-base-uncased', 'bert-large-uncased']
# The grouped convolutions of cuDNN 8.0 (TensorFlow's containers of 2020) took several times as long on T4 and in TF32 as those of 8.1:
# they say nothing of other convolutions. nnU-Net's are the only plain ones of TensorFlow 2, NCF's the only small steps.
MODELS += ['nnunet_2d', 'nnunet_3d', 'ncf'] if framework == 'TensorFlow' else ['resnext101_32x4d', 'se_resnext101_32x4d']
rows = []
for r in csv.DictReader(gzip.open(sys.argv[1], 'rt')):
    metric = UNITS.get(r['unit'])
    if r['task'] != 'inference' or r['gpu_count'] not in ('1', '') or not r['batch'].isdigit() or not metric: continue
    if r['model'] not in MODELS or not r['source_path'].startswith(framework) or 'triton' in r['source'] + r['source_path']: continue
    if metric == 'latency_ms' and r['metric'] not in ('latency', 'latency_avg', 'latency_mean'): continue
    precision, _, xla = r['precision'].replace('mixed_', '').split('/')[0].partition('+')
    runtime = framework.lower() + ('-xla' if xla else '')
    # TensorFlow 1's pictures are decoded by ten threads (its runtime/runner.py), some 3500 a second: fewer than an A100 takes in halves
    if framework == 'TensorFlow' and r['source_path'].startswith('TensorFlow/Class') and 'a100' in r['gpu'] and precision == 'fp16' and int(r['batch']) > 8:
        continue
    row = dict(model=r['model'], gpu=r['gpu'], batch=int(r['batch']), precision=precision,
               autocast=r['precision'].startswith('mixed'), runtime=runtime, metric=metric, value=float(r['value']), family=r['model'])
    if framework == 'PyTorch': row['runtime_version'] = '1.11' # containers of 2020 and 2021
    else: # its source says whether it was compiled, and which means hold a first step of seconds
        del row['runtime']
        row.update(precision=precision + '+xla' * bool(xla), source=r['source_path'])
    # their launch scripts ask for channels last with mixed precision
    if row['autocast'] and r['source_path'].startswith('PyTorch/Classification'): row['layout'] = 'nhwc'
    if r['input_len'].isdigit() and int(r['input_len']): row['seq_len'] = int(r['input_len'])
    if row['value'] > 0: rows.append(row)
with open(sys.argv[2], 'w') as f: json.dump({'version': 1, 'benchmarks': rows}, f)
print(len(rows), 'rows')
