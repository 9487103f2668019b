#!/usr/bin/env python3
"""Makes data/benchmarks/*.json, the built-in measured points, from the tables of a data folder (not in this repository).

usage: make_benchmarks.py DATA [PROGRAM [NAME...]]
DATA: a folder with data/bench, data/kernels and tools/benchmarks.py; PROGRAM: phantom-gpu (build/phantom-gpu), which says what
models and GPUs it knows by name; NAME: of the files, those alone. The same data and program give the same files.

What is taken: models that are built in, on one GPU, where the table says what was run (batch, precision, lengths); single kernels,
a sample of each (table, precision, kind) with every size class in it. What is left out: rows that hold more than the model's step
(padding removed, servers' queues), other frameworks than the runtimes that we predict, and repeats of one configuration.
"""
import csv, glob, gzip, hashlib, importlib.util, json, os, re, subprocess, sys

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
csv.field_size_limit(1 << 24)
DATA = sys.argv[1]
PROGRAM = sys.argv[2] if len(sys.argv) > 2 else HERE + '/build/phantom-gpu'
spec = importlib.util.spec_from_file_location('benchmarks', DATA + '/tools/benchmarks.py')
tables = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tables)

PER_STRATUM, PER_VECTOR = 48, 16  # rows of one table, precision and kind; of elementwise and row operations
KERNEL_DATE = '2026-08-21'  # of the commit below


def known(command, key):
    return json.loads(subprocess.run([PROGRAM, command, '--json'], check=True, capture_output=True, text=True).stdout)[key]


MODELS = {m['name']: m for m in known('list-models', 'models')}
fold = lambda s: re.sub('[ _-]', '', s.lower())
GPUS = {fold(n) for g in known('list-gpus', 'gpus') for n in [g['key'], *(g.get('aliases') or [])]}
DEFAULT_IMAGE = {m['name']: m['image_size'] for m in MODELS.values()}


def rows(path):
    with gzip.open(f'{DATA}/data/{path}', 'rt') as f: yield from csv.DictReader(f)


def knows_gpu(name):
    if fold(name) not in GPUS:
        r = subprocess.run([PROGRAM, 'list-hardware', '--gpu', name, '--json'], capture_output=True)
        (GPUS if r.returncode == 0 else UNKNOWN_GPUS).add(fold(name))
    return fold(name) in GPUS


UNKNOWN_GPUS = set()
SIZES = {}


def size_of(name):
    """Parameters in millions and GMACs of a built-in model."""
    if name not in SIZES:
        r = subprocess.run([PROGRAM, 'load-model', name, '--json'], check=True, capture_output=True, text=True)
        j = json.loads(r.stdout)
        SIZES[name] = (j['parameters'] / 1e6, (j['macs'] or 0) / 1e9)
    return SIZES[name]


def timm_name(r):
    """The built-in model that a timm model is: its name under torchvision's rules, checked by size."""
    n = r['model'].split('.')[0]
    candidates = [n, n.replace('mobilenetv2_100', 'mobilenet_v2').replace('mobilenetv3_large_100', 'mobilenet_v3_large')
                  .replace('mobilenetv3_small_100', 'mobilenet_v3_small'), n.replace('seresne', 'se_resne'),
                  re.sub(r'^vit_(base|large)_patch(\d+)_224$', lambda m: f'vit_{m[1][0]}_{m[2]}', n),
                  re.sub(r'^swin_(tiny|small|base)_patch4_window7_224$', lambda m: f'swin_{m[1][0]}', n)]
    for c in candidates:
        if c not in MODELS or int(r['image_size']) != (DEFAULT_IMAGE[c] or 0): continue
        params, macs = size_of(c)
        close = lambda x, key, most: r[key] and abs(x / float(r[key]) - 1) < most
        if close(params, 'params_m', 0.01) and close(macs, 'gmacs', 0.03): return c
    return None


def timm():
    """Of several versions of PyTorch each: what a version changes is part of the truth."""
    seen = set()
    for r in rows('bench/timm.csv.gz'):
        m = timm_name(r)
        k = (m, r['task'], r['gpu'], r['batch'], r['precision'], r['autocast'], r['layout'], r['runtime'], r['runtime_version'])
        if not m or k in seen: continue
        seen.add(k)
        source, file = r['source'].split(':')
        yield dict(model=m, task=r['task'], gpu=r['gpu'], batch=int(r['batch']), precision=r['precision'],
                   autocast=bool(int(r['autocast'])), runtime=r['runtime'], runtime_version=r['runtime_version'].split()[1],
                   layout=r['layout'], **({'optimizer': 'sgd'} if r['task'] == 'training' else {}), metric='latency_ms',
                   value=float(r['step_ms']), source='pytorch-image-models',
                   url='https://github.com/{}/blob/{}/{}'.format(*source.split('@'), file))


# Under PyTorch the server's compute time ends when the kernels are issued, not when they are done.
TRITON = {'Triton NVIDIA TensorRT': 'tensorrt', 'Triton ONNX Runtime': 'onnxruntime',
          'Triton ONNX Runtime +NVIDIA TensorRT': 'tensorrt', 'Triton ONNX Runtime +NVIDIA TensorRT FP16': 'tensorrt'}


def precision_of(text):
    p = text.split(' ')[0].split('/')[0]
    return (p.replace('mixed_', ''), p.startswith('mixed')) if re.fullmatch(r'(mixed_)?(fp32|tf32|fp16|bf16|int8|fp8)', p) else None


def named(r, runtime, metric, value, **more):
    """A row of a table with model names; None where it leaves something open."""
    p = precision_of(r['precision'])
    if r['model'] not in MODELS or not p or not r['batch'].isdigit() or not 0 < int(r['batch']) <= 1 << 20: return None
    if r['gpu_count'] not in ('1', '') or not knows_gpu(r['gpu']) or value <= 0: return None
    sequence = MODELS[r['model']]['sequence'] is not None
    if sequence and not r['input_len'].isdigit(): return None
    row = dict(model=r['model'], task=r['task'], gpu=r['gpu'], batch=int(r['batch']), precision=p[0], autocast=p[1], runtime=runtime)
    if sequence: row['seq_len'] = int(r['input_len'])
    if r['task'] == 'training' and 'optimizer' not in more: return None
    source = r['source'].split(' ')[0]
    return {**row, **more, 'metric': metric, 'value': value, 'source': r['source'], 'date': r['date'],
            'url': f"https://github.com/{source}/blob/{r['commit_or_version']}/{r['source_path']}" if '/' in source else ''}


UNITS = {'images/s': 'throughput', 'sequences/s': 'throughput', 'samples/s': 'throughput', 'inferences/s': 'throughput',
         'img/s': 'throughput'}


# Detection and segmentation tables hold pre- and post-processing on the CPU, or volumes that are cut into tiles.
OTHER_THAN_A_STEP = re.compile('ssd|mask|retina|efficientdet|unet|vnet|yolo')


# Its speech also has rows of a smaller WaveGlow than the released one, and lengths of the audio. Wide & Deep ran as CUDA graphs of
# powers of two ("Capture CUDA Graph"), to which Triton pads the batches between them; at batch 1 nothing else counts than the gaps between
# kernels, which such a graph doesn't have.
def is_other_model(r):
    if r['model'] == 'tacotron2/waveglow': return 'WN channels=512' not in r['notes'] or 'audio length' in r['notes']
    batch = int(r['batch']) if r['batch'].isdigit() else 0
    return r['model'] == 'wide_and_deep' and 'TensorRT' in r['framework'] and (batch & (batch - 1) != 0 or batch == 1)


# Which modules are scripted: modeling.py of the Temporal Fusion Transformer.
SCRIPTED = 'PyTorch/Forecasting/TFT/README.md'


def deeplearningexamples():
    seen = set()
    for r in rows('bench/deeplearningexamples.csv.gz'):
        triton = 'triton' in r['source']
        runtime = TRITON.get(r['framework']) if triton else 'pytorch' if r['source_path'].startswith('PyTorch/') else None
        # a Triton row's own measure of the model's step; tables' means
        ms = r['unit'] == 'ms' and r['metric'] == ('server_compute_infer_latency' if triton else 'latency_avg')
        per_s = not triton and UNITS.get(r['unit']) and r['metric'] in ('throughput', 'throughput_avg')
        if r['source_path'] == SCRIPTED: runtime = 'torchscript'
        if is_other_model(r): continue
        if not runtime or not (ms or per_s) or r['task'] != 'inference' or 'unit inferred' in r['notes'] and not per_s: continue
        x = named(r, runtime, 'latency_ms' if ms else 'throughput', float(r['value']), **({'autocast': False} if triton else {}))
        if not x or OTHER_THAN_A_STEP.search(x['model']): continue
        k = tuple(x.get(n) for n in ('model', 'gpu', 'batch', 'precision', 'autocast', 'runtime', 'seq_len')) + (triton,)
        if k in seen: continue  # latency and throughput of one run say the same
        seen.add(k)
        yield x


def mlperf():
    """Offline (the batch from the submitter's configuration) and SingleStream, TensorRT, image models."""
    seen = set()
    for r in rows('bench/mlperf_inference.csv.gz'):
        n = r['notes'].lower()
        if 'TensorRT' not in r['framework'] or 'mig' in n or 'maxq' in n or re.search('bert|unet|dlrm', r['model']): continue  # no lengths; volumes; samples of many rows
        m = dict(r, model={'ssd-mobilenet-v1': 'ssd_mobilenet_v1'}.get(r['model'], r['model'].replace('-', '_') if
                           r['model'].replace('-', '_') in MODELS else r['model']))
        if r['metric'] == 'offline_throughput': metric, value = 'throughput', float(r['value'])
        elif r['metric'] == 'singlestream_latency_mean': metric, value = 'latency_ms', float(r['value'])
        else: continue
        x = named(m, 'tensorrt', metric, value)
        if not x or x['precision'] not in ('int8', 'fp16'): continue
        version = re.search(r'TensorRT ([\d.]+)', r['framework'])
        if version: x['runtime_version'] = version[1]
        x['source'] = f"{r['source']}, {re.search('submitter=([^;]*)', r['notes'])[1]}"
        x['url'] = 'https://github.com/mlcommons/inference_results_' + r['source'].split(' ')[2]
        k = tuple(x.get(n) for n in ('model', 'gpu', 'batch', 'precision', 'metric', 'runtime_version'))
        if k in seen: continue
        seen.add(k)
        yield x


def torchvision():
    """Wall time with the copy of the batch to the GPU in it: only where that is a small part (7 MB, about 1 ms). Asked of what several
    machines took together: one by one, the slow ones of them would be taken alone. PyTorch of 2019 to 2021."""
    made = []
    for r in rows('bench/misc.csv.gz'):
        if r['source'] != 'ryujaehun/pytorch-gpu-benchmark' or r['precision'] not in ('fp32', 'tf32'): continue
        x = named(r, 'pytorch', 'latency_ms', float(r['value']), optimizer='none', runtime_version='1.8')
        if x: made.append(dict(x, notes='holds the pageable copy of the batch to the GPU', precision='fp32'))
    yield from (x for x in settle(made) if x['value'] >= 25)


def fastertransformer():
    """Its own baselines: TorchScript and eager PyTorch."""
    for r in rows('bench/misc.csv.gz'):
        if r['source'] != 'NVIDIA/FasterTransformer' or r['unit'] != 'ms' or r['metric'] != 'latency': continue
        if not re.search(r'bench: (TorchScript|torch)( |-FP16|$)', r['framework']): continue
        x = named(r, 'pytorch', 'latency_ms', float(r['value']))
        if x and x['precision'] != 'int8': yield dict(x, notes=r['framework'].split(': ')[1])


def sample(rows, key, size):
    """Some rows of each stratum, spread evenly over the order of `size`, ties broken by a hash."""
    strata = {}
    for r in rows: strata.setdefault(key(r), []).append(r)
    mark = lambda r: hashlib.sha256(json.dumps(r, sort_keys=True).encode()).hexdigest()
    for k in sorted(strata):
        l = sorted(strata[k], key=lambda r: (size(r), mark(r)))
        matrix = re.match('op:(gemm|conv2d|attention)', l[0]['model'])
        n = min(PER_STRATUM if matrix else PER_VECTOR, len(l))
        for i in range(n): yield l[i * len(l) // n + len(l) // n // 2 if len(l) > n else i]


def aiconfigurator():
    """GEMMs and attention under TensorRT-LLM and vLLM, GPU time."""
    out = []
    for op, make in (('gemm', tables.gemm), ('context_attention', tables.attention), ('generation_attention', tables.attention)):
        for f in sorted(glob.glob(f'{DATA}/data/kernels/{op}/*.csv.gz')):
            gpu, framework = os.path.basename(f)[:-7].split('__')
            if gpu == 'a100_sxm_80gb' and 'trtllm' in framework and op == 'generation_attention': continue  # cached pages were shared
            for r in rows(f'kernels/{op}/' + os.path.basename(f)):
                x = make(r, gpu, framework.split('-')[0])
                if not x or not knows_gpu(gpu): continue
                x['runtime_version'] = framework.split('-', 1)[1]
                blocks = x['family'] == 'fp8_block'
                if blocks: x['model'] += ':block=128'
                if blocks and framework.startswith('vllm'): del x['device_time']  # issued one by one from Python
                x['family'] = 'op:gemm block' if blocks else 'op:' + (op if op == 'gemm' else x['family'])
                out.append(dict(x, source=f'aiconfigurator {op} {framework}',
                                url='https://github.com/ai-dynamo/aiconfigurator/tree/095f58a51c4c', date=KERNEL_DATE))
    yield from sample(out, lambda r: (r['source'], r['gpu'], r['precision'], r['family']), lambda r: r['value'])


def layers():
    """Mixtures of experts and recurrences of serving runtimes, GPU time."""
    out = []
    for what in ('experts', 'recurrent'):
        for r in layer_benchmarks.rows(DATA, what):
            if not knows_gpu(r['gpu']): continue
            out.append(dict(r, family=':'.join(r['model'].split(':')[:2]) + ' ' + r['family'], date=KERNEL_DATE,
                            url='https://github.com/ai-dynamo/aiconfigurator/tree/095f58a51c4c'))
    yield from sample(out, lambda r: (r['source'], r['gpu'], r['runtime'], r['precision'], r['family']), lambda r: r['value'])


def neusight():
    """Eager PyTorch in fp32."""
    out = []
    for kind in ('gemm', 'conv', 'vector'):
        for x in tables.fp32(kind):
            if not knows_gpu(x['gpu']): continue
            x['family'] = ':'.join(x['model'].split(':')[:2])
            # The table's columns n and k are exchanged: see docs/cost-model.md.
            if kind == 'gemm': x['model'] = re.sub(r':n=(\d+):k=(\d+)', r':n=\2:k=\1', x['model'])
            out.append(dict(x, source=f'NeuSight kernels_{kind}', url='https://github.com/sitar-lab/NeuSight'))
    batch = lambda r: 'b' if 'op:gemm' in r['model'] and ':batch=1:' not in r['model'] else ''
    yield from sample(out, lambda r: (r['gpu'], r['family'], batch(r)), lambda r: r['value'])


def llama_cpp():
    """Prompts and generation under llama.cpp."""
    for task in ('decode', 'prefill'):
        for r, note in language.llama(tables, DATA, task):
            if not knows_gpu(r['gpu']): continue
            r['family'] = r['model'].split('/')[-1]
            if r['gpu_count'] == 1: r = {k: v for k, v in r.items() if k not in ('gpu_count', 'pipeline_parallel', 'tensor_parallel')}
            yield dict(r, source=note['source'], date=note['date'],
                       url=f"https://github.com/{note['source']}/blob/{note['commit_or_version']}/{note['source_path'].replace(' ', '%20')}")


def llm_foundry():
    """Steps of MPT on 8 GPUs and more."""
    for r in rows('bench/misc.csv.gz'):
        x = training.language(r, 512)
        if not x or not knows_gpu(r['gpu']): continue
        yield dict(x, source='mosaicml/llm-foundry', date=r['date'], url=f"https://github.com/mosaicml/llm-foundry/blob/{r['commit_or_version']}/{r['source_path']}")


def trtllm_docs():
    """Most tokens a second under TensorRT-LLM."""
    yield from (r for r in language.offline(DATA) if knows_gpu(r['gpu']))


def serving():
    """Requests at a fixed concurrency under serving runtimes, of models that are built in."""
    names = {'Meta-Llama-3.1-70B': 'llama-3.1-70b', 'Meta-Llama-3.1-8B': 'llama-3.1-8b'}
    for metric in ('ttft_ms', 'tpot_ms'):
        for r in language.serving(tables, DATA, metric):
            name = names.get(r['model'].split('--')[-1])
            if not name: continue
            r = {k: v for k, v in r.items() if not (k.endswith('parallel') and v == 1)}
            yield dict(r, model=name, family=name, value=float('%.6g' % r['value']), source='aiconfigurator serving',
                       url='https://github.com/ai-dynamo/aiconfigurator/tree/095f58a51c4c', date=KERNEL_DATE)


ORDER = ['model', 'task', 'gpu', 'gpu_count', 'data_parallel', 'tensor_parallel', 'pipeline_parallel', 'expert_parallel',
         'zero_stage', 'micro_batches', 'gradient_checkpointing', 'batch', 'seq_len',
         'input_len', 'output_len', 'concurrency', 'poll_steps', 'first_run', 'precision', 'autocast', 'quantization', 'runtime', 'runtime_version', 'layout', 'optimizer',
         'device_time', 'metric', 'value', 'family', 'source', 'url', 'date', 'notes']


def settle(made):
    """Of repeats of one configuration the median; those that contradict each other by over 15 % are all left out."""
    groups = {}
    for r in made: groups.setdefault(json.dumps({k: v for k, v in r.items() if k not in ('value', 'url', 'date', 'notes')}, sort_keys=True), []).append(r)
    for g in groups.values():
        g.sort(key=lambda r: (r['value'], json.dumps(r)))
        if g[-1]['value'] <= g[0]['value'] * 1.15: yield g[len(g) // 2]


def write(name, made):
    l = []
    for r in settle(made):
        assert set(r) <= set(ORDER), set(r) - set(ORDER)
        if not r.get('autocast'): r.pop('autocast', None)
        if r['task'] == 'inference': r = {k: v for k, v in r.items() if k not in ('task', 'optimizer')}
        l.append({k: r[k] for k in ORDER if r.get(k) not in (None, '')})
    l.sort(key=lambda r: json.dumps(r))
    path = f'{HERE}/data/benchmarks/{name}.json'
    with open(path + '.new', 'w') as f:
        f.write('{"version": 1, "benchmarks": [\n' + ',\n'.join(json.dumps(r, separators=(',', ':')) for r in l) + '\n]}\n')
    os.replace(path + '.new', path)
    print(f'{name}: {len(l)} rows, {os.path.getsize(path) // 1000} kB')


sys.path.insert(0, HERE + '/tools')
import layer_benchmarks
import llm_benchmarks as language
import train_benchmarks as training

for name in ('timm', 'deeplearningexamples', 'mlperf', 'torchvision', 'fastertransformer', 'aiconfigurator', 'layers', 'neusight', 'llama_cpp', 'llm_foundry', 'trtllm_docs', 'serving'):
    if not sys.argv[3:] or name in sys.argv[3:]: write(name, globals()[name]())
