#!/usr/bin/env python3
"""How training throughput grows with GPUs in NVIDIA's DeepLearningExamples tables, for fit_scaling: one line a row,
model gpu gpus batch precision autocast sequence measured-share, the share being throughput over GPUs x that of one GPU.

usage: scaling_benchmarks.py deeplearningexamples.csv.gz out.txt

PyTorch rows of models whose input pipeline is no limit: BERT's fine-tuning (its pre-training adds up gradients of many batches
first), and image models in fp32 and TF32 (in half precision the same tables' 8 GPUs wait for images, as MXNet's rows show)."""
import csv, gzip, sys

csv.field_size_limit(1 << 24)
MODELS = {'resnet50': 112, 'efficientnet_b4': 32, 'efficientnet_b0': 128, 'bert-large-uncased': 0}  # batches where tables give none
found = {}
for r in csv.DictReader(gzip.open(sys.argv[1], 'rt')):
    if r['task'] != 'training' or r['model'] not in MODELS or not r['source_path'].startswith('PyTorch/'): continue
    half = r['precision'].startswith('mixed')
    batch = int(r['batch']) if r['batch'].isdigit() else MODELS[r['model']]
    image = not r['model'].startswith('bert')
    if (half and image) or (not image and r['input_len'] not in ('', '0', '384')) or not 0 < batch <= 256 or r['unit'] == 'ms': continue
    key = (r['model'], r['gpu'], batch, 'fp16' if half else r['precision'], int(half), 0 if image else int(r['input_len'] or 384))
    found.setdefault((key, r['source_path']), {})[int(r['gpu_count'] or 0)] = float(r['value'])
count = 0
with open(sys.argv[2], 'w') as out:
    for (key, _), by_gpus in sorted(found.items()):
        for n, value in sorted(by_gpus.items()):
            share = value / by_gpus[1] / n if 1 in by_gpus else 0
            if n < 2 or not 0.5 < share < 1.05: continue  # more than one: not the same batch
            model, gpu, batch, precision, autocast, sequence = key
            print(model, gpu, n, batch, precision, autocast, sequence, '%.4f' % share, file=out)
            count += 1
print(count, 'rows in', sys.argv[2])
