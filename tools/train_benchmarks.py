#!/usr/bin/env python3
"""Training on one GPU from published tables, as benchmark files.
usage: train_benchmarks.py nvidia deeplearningexamples.csv.gz OUT.json
       train_benchmarks.py tensorflow deeplearningexamples.csv.gz OUT.json
       train_benchmarks.py small misc.csv.gz OUT.json
       train_benchmarks.py language misc.csv.gz OUT.json [GPUS]

nvidia: PyTorch rows of NVIDIA DeepLearningExamples, to check training on GPUs and networks that no constant of it was fitted on.
Eager PyTorch of 2020 and 2021: version 1. Mixed precision runs channels-last in the image networks. Tables without a batch take it
from the configurations beside them (at such sizes throughput hardly depends on it); large batches are accumulated from smaller
ones, with an optimizer step a whole batch that hardly counts.
tensorflow: the same tables' rows of TensorFlow, graph and XLA, that give a batch, and of BERT a length: image networks, nnU-Net, BERT.
small: torchvision's networks at batch 12, forward and backward pass alone (ryujaehun/pytorch-gpu-benchmark): mostly the host's time.
language: MPT under llm-foundry (PyTorch 1.13 on A100, 2.1 on H100, FSDP) on 8 GPUs, or on up to GPUS. Attention by Triton's FlashAttention of the first version
(scripts/train/benchmarking/submit_benchmarks.py of 2023: attn_impl triton), which PyTorch's own calls had in 2.0 and 2.1.
The time of small's rows includes the copy of the batch from pageable memory, about 6 GB/s: that is taken off."""
import csv, gzip, json, statistics, sys

BATCH = {  # fp32 or tf32, mixed: V100; A100
    'resnet50': ((128, 256), (256, 256)), 'resnext101_32x4d': ((64, 128), (128, 256)), 'se_resnext101_32x4d': ((64, 128), (128, 256)),
    'efficientnet_b0': ((128, 256), (256, 256)), 'efficientnet_b4': ((32, 64), (64, 128)),
}
IMAGE = {'efficientnet_b4': 380}
MICRO = {'fp32': 8, 'fp16': 64}  # BERT's steps of 128 tokens on a V100 of 32 GB


def language(r, most=8):
    if r['source'] != 'mosaicml/llm-foundry' or r['precision'] != 'bf16' or int(r['gpu_count']) > most: return None
    note = dict(x.split('=', 1) for x in r['notes'].split('; '))
    gpus, length, parts = int(r['gpu_count']), int(r['input_len']), int(note['grad_accum'])
    if note['act_cpu_offload'] != 'False': return None
    model = r['model'].split('/')[-1]
    return dict(model=model, task='training', gpu=r['gpu'], gpu_count=gpus, data_parallel=gpus, zero_stage=3, micro_batches=parts,
                gradient_checkpointing=note['act_ckpt'] == 'True', batch=int(note['microbatch']) * parts, seq_len=length, precision='bf16',
                autocast=True, runtime='pytorch', runtime_version='2.1', optimizer='adamw', metric='throughput',
                value=float('%.6g' % (float(r['value']) / length)), family='mpt', source=r['source'] + ' ' + r['source_path'])


def nvidia(r):
    if r['task'] != 'training' or r['gpu_count'] != '1' or r['metric'] != 'throughput': return None
    if not r['source_path'].startswith('PyTorch/') or any(c in r['precision'] for c in '/|+'): return None
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
        if r['input_len'] == '512': return None  # without padding: up to 1.3 times the roof of whole sequences
        b.update(batch=int(r['batch']), optimizer='adamw', seq_len=int(r['input_len'] or 384))
        if b['batch'] > 1000: b.update(batch=MICRO[precision], optimizer='none')
        return b
    return None


TENSORFLOW = ('resnet50', 'resnext101_32x4d', 'se_resnext101_32x4d', 'nnunet_2d', 'nnunet_3d', 'unet_industrial', 'bert-large-uncased',
              'mask_rcnn_r50_fpn', 'ssd320_resnet50_fpn', 'vnet')


def tensorflow(r):
    if r['task'] != 'training' or r['gpu_count'] != '1' or r['metric'] not in ('throughput', 'throughput_avg'): return None
    if not r['source_path'].startswith('TensorFlow') or r['model'] not in TENSORFLOW or not r['batch'].isdigit(): return None
    precision, _, xla = r['precision'].replace('mixed_', '').split('/')[0].partition('+')
    bert = r['model'].startswith('bert')
    if precision not in ('fp16', 'fp32', 'tf32') or float(r['value']) <= 0 or bert and not r['input_len'].isdigit(): return None
    b = dict(model=r['model'], task='training', gpu=r['gpu'], batch=int(r['batch']), precision=precision,
             autocast=r['precision'].startswith('mixed'), source=r['source_path'], # which says whether it was compiled
             optimizer='sgd' if 'Classification' in r['source_path'] else 'adamw', metric='throughput', value=float(r['value']), family=r['model'])
    if xla or 'xla' in r['notes'].lower(): b['precision'] += '+xla'
    if bert: b['seq_len'] = int(r['input_len'])
    return b


def small(rows):
    seen = {}
    for r in rows:
        if 'ryujaehun' not in r['source'] or r['task'] != 'training' or r['gpu_count'] != '1' or 'OLD script' in r['notes']: continue
        if r['precision'] not in ('fp32', 'tf32', 'fp16') or r['unit'] != 'ms': continue
        seen.setdefault((r['model'], r['gpu'], r['precision']), []).append(float(r['value']))
    for (model, gpu, precision), values in seen.items():
        copy_ms = 12 * 3 * 224 * 224 * (2 if precision == 'fp16' else 4) / 6e9 * 1e3
        yield dict(model=model, task='training', gpu=gpu, batch=12, precision=precision, runtime='pytorch', runtime_version='1.8',
                   optimizer='none', metric='latency_ms', value=statistics.median(values) - copy_ms, family=model)


def main():
    with gzip.open(sys.argv[2], 'rt') as f:
        rows = csv.DictReader(f)
        most = int(sys.argv[4]) if len(sys.argv) > 4 else 8
        of = {'nvidia': nvidia, 'tensorflow': tensorflow, 'language': lambda r: language(r, most)}.get(sys.argv[1])
        l = [x for x in map(of, rows) if x] if of else list(small(rows))
    with open(sys.argv[3], 'w') as f: json.dump({'version': 1, 'benchmarks': l}, f)
    print(f'{len(l)} rows in {sys.argv[3]}')


if __name__ == '__main__': main()
