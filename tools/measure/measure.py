#!/usr/bin/env python3
"""Measures kernels and models on the GPU of this machine and writes a benchmark file for phantom-gpu.

  measure.py --out my-gpu.json             everything that is installed here, about an hour
  measure.py --out my-gpu.json --quick     a few kernels and models, about five minutes
  measure.py --list                        what would be measured

Needs Python 3.8 and PyTorch with CUDA (or ROCm); torchvision, timm and transformers as far as they are installed. Then:

  phantom-gpu validate --benchmark-data my-gpu.json
  phantom-gpu calibrate --gpu KEY --benchmark-data my-gpu.json --write my-gpu.toml

The file is complete after each measurement; started again with the same --out, it goes on where it was stopped."""
import argparse, datetime, fnmatch, json, os, shutil, statistics, subprocess, sys, tempfile, threading, time

# ---- what is measured: rows of the benchmark file without their value; no PyTorch needed ----

SQUARES = [256, 512, 1024, 2048, 4096, 8192]
GEMMS = [(m, n, k) for m in (1, 16, 128, 1024, 8192) for n, k in ((4096, 4096), (12288, 4096), (4096, 11008), (1024, 1024), (3072, 768))]
CONVS = [(batch, *c) for batch in (1, 32, 128) for c in (  # in, out, kernel, size, stride, padding, groups
    (3, 64, 7, 224, 2, 3, 1), (64, 64, 3, 56, 1, 1, 1), (64, 256, 1, 56, 1, 0, 1), (128, 128, 3, 28, 1, 1, 1), (256, 256, 3, 14, 1, 1, 1),
    (512, 2048, 1, 7, 1, 0, 1), (96, 96, 3, 56, 1, 1, 96), (384, 384, 7, 14, 1, 3, 384), (256, 256, 3, 28, 1, 1, 32))]
PREFILLS = [(b, q, q, h, kv, d, 1) for b, q in ((1, 128), (1, 1024), (1, 8192), (8, 512), (8, 2048)) for h, kv, d in ((32, 32, 128), (32, 8, 128), (12, 12, 64))]
DECODES = [(b, 1, l, h, kv, d, 0) for b, l in ((1, 512), (1, 8192), (16, 2048), (64, 1024)) for h, kv, d in ((32, 32, 128), (32, 8, 128))]
ROWS = [(64, 1024), (1024, 1024), (8192, 1024), (32768, 1024), (65536, 4096), (4096, 50257)]
ROW_OPS = ['softmax', 'layernorm', 'relu', 'gelu', 'tanh', 'add', 'mul', 'div', 'pow', 'add_scalar', 'mul_scalar', 'div_scalar', 'pow_scalar']

# phantom-gpu's name: (library, its name there)
IMAGE_MODELS = {n: ('torchvision', n) for n in (
    'resnet18 resnet34 resnet50 resnet101 resnext50_32x4d wide_resnet50_2 mobilenet_v2 mobilenet_v3_large mobilenet_v3_small mnasnet1_0 '
    'shufflenet_v2_x1_0 efficientnet_b0 efficientnet_b4 convnext_tiny convnext_base vgg16 alexnet squeezenet1_1 densenet121 '
    'inception_v3 vit_b_16 vit_l_16 swin_t swin_b').split()}
IMAGE_MODELS.update({'se_resnet50': ('timm', 'seresnet50'), 'mobilenet_v1': ('timm', 'mobilenetv1_100'),
                     'vit_small_patch16_224': ('timm', 'vit_small_patch16_224'), 'vit_base_patch16_384': ('timm', 'vit_base_patch16_384')})
SIZES = {'inception_v3': 299, 'vit_base_patch16_384': 384, 'efficientnet_b4': 380}
TEXT_MODELS = ['bert-base-uncased', 'bert-large-uncased', 'distilbert-base-uncased', 'roberta-base', 'gpt2', 'gpt2-medium']

QUICK_MODELS = {'resnet50', 'mobilenet_v2', 'efficientnet_b0', 'vit_b_16', 'convnext_tiny', 'bert-base-uncased'}


def op(kind, **sizes):
    return 'op:' + kind + ''.join(f':{k}={v}' for k, v in sizes.items())


def kernel_names(quick):
    gemms = dict.fromkeys([(s, s, s) for s in SQUARES] + GEMMS)
    names = [op('gemm', m=m, n=n, k=k) for m, n, k in gemms]
    names += [op('conv2d', **dict(zip(('batch', 'in', 'out', 'kernel', 'size', 'stride', 'padding', 'groups'), c))) for c in CONVS]
    names += [op('attention', **dict(zip(('batch', 'q_len', 'kv_len', 'heads', 'kv_heads', 'head_dim', 'causal'), a))) for a in PREFILLS + DECODES]
    names += [op(kind, rows=r, cols=c) for kind in ROW_OPS for r, c in ROWS]
    return names[::7] if quick else names


def plan(o):
    """All rows that the options ask for, in the order in which they are measured: the smallest steps of a model first."""
    rows = []
    if 'kernels' in o.suite:
        for name in kernel_names(o.quick):
            for p in o.precisions:
                if p == 'tf32' and not name.startswith(('op:gemm', 'op:conv2d')): continue
                if p in ('fp32', 'tf32') and name.startswith('op:attention'): continue
                rows.append(dict(model=name, task='inference', precision=p, runtime='pytorch', device_time=not o.eager_kernels))
    if 'models' in o.suite:
        names = list(IMAGE_MODELS) + TEXT_MODELS
        for name in [n for n in names if not o.quick or n in QUICK_MODELS]:
            for task in o.tasks:
                for runtime in o.runtimes:
                    for p in o.precisions:
                        # training in half precision is autocast's business; without it the weights would be half too
                        casts = (True,) if task == 'training' else o.autocast
                        for autocast in casts if p in ('fp16', 'bf16') else (False,):
                            for layout in o.layouts if name in IMAGE_MODELS else ('nchw',):
                                for batch in o.batches:
                                    row = dict(model=name, task=task, batch=batch, precision=p, runtime=runtime)
                                    if name in IMAGE_MODELS: row['image_size'] = SIZES.get(name, 224)
                                    else: row['seq_len'] = o.seq_len
                                    if autocast: row['autocast'] = True
                                    if layout != 'nchw': row['layout'] = layout
                                    if task == 'training': row['optimizer'] = o.optimizer
                                    rows.append(row)
    return [r for r in rows if any(fnmatch.fnmatch(r['model'], w) for w in o.only)]


def identity(row):
    """What makes two rows the same measurement."""
    keys = ('model', 'task', 'gpu', 'batch', 'image_size', 'seq_len', 'precision', 'autocast', 'runtime', 'runtime_version', 'layout',
            'optimizer', 'device_time', 'metric')
    return tuple((k, row[k]) for k in keys if k in row)


def describe(row):
    words = [row['model'], row['precision'] + (' autocast' if row.get('autocast') else ''), row['runtime']]
    if row['task'] != 'inference': words.insert(1, row['task'])
    if 'batch' in row: words.insert(1, f"batch {row['batch']}")
    if row.get('layout') == 'nhwc': words.append('nhwc')
    return ', '.join(words)


# ---- the file ----

def read_file(path):
    if not os.path.exists(path): return []
    with open(path) as f: data = json.load(f)
    if not isinstance(data, dict) or data.get('version') != 1 or not isinstance(data.get('benchmarks'), list):
        raise ValueError(f'{path}: is not a benchmark file of version 1; choose another --out')
    return data['benchmarks']


def write_file(path, rows):
    """Whole or not at all: a temporary file beside it, flushed to the disk, then renamed."""
    folder = os.path.dirname(os.path.abspath(path))
    fd, temporary = tempfile.mkstemp(prefix=os.path.basename(path) + '.', dir=folder)
    try:
        mask = os.umask(0)
        os.umask(mask)
        os.fchmod(fd, 0o666 & ~mask)
        with os.fdopen(fd, 'w') as f:
            f.write('{"version": 1, "benchmarks": [\n')
            f.write(',\n'.join(json.dumps(r) for r in rows))
            f.write('\n]}\n')
            f.flush()
            os.fsync(f.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


# ---- clocks and power while something runs ----

class Watch:
    """Asks nvidia-smi twice a second; silent where there is none."""
    FIELDS = ('clocks.sm', 'clocks.mem', 'power.draw', 'temperature.gpu')

    def __init__(self, index):
        self.lines, self.process = [], None
        if not shutil.which('nvidia-smi'): return
        command = ['nvidia-smi', f'--id={index}', '--query-gpu=' + ','.join(self.FIELDS), '--format=csv,noheader,nounits', '-lms', '500']
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout: self.lines.append((time.monotonic(), line))

    def since(self, start):
        """Medians since then; None for what isn't known."""
        columns = [[] for _ in self.FIELDS]
        for at, line in list(self.lines):
            if at < start: continue
            for column, text in zip(columns, line.split(',')):
                try: column.append(float(text))
                except ValueError: pass
        del self.lines[:-8]
        return [statistics.median(c) if c else None for c in columns]

    def stop(self):
        if self.process: self.process.terminate()


def driver_version(index):
    try:
        return subprocess.run(['nvidia-smi', f'--id={index}', '--query-gpu=driver_version', '--format=csv,noheader'], capture_output=True,
                              text=True, timeout=20, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError): return ''


# ---- running: everything below needs PyTorch ----

class Skip(Exception):
    """This row can't be measured here."""


class Bench:
    def __init__(self, o):
        import torch
        if not torch.cuda.is_available(): raise SystemExit('measure.py: PyTorch finds no GPU here; --dry-run shows what would be measured')
        self.torch, self.o = torch, o
        torch.cuda.set_device(o.device)
        self.name = torch.cuda.get_device_name(o.device)
        self.version = torch.__version__.split('+')[0]
        self.driver = driver_version(o.device)
        self.cuda = torch.version.cuda or torch.version.hip or ''
        self.watch = Watch(o.device)
        torch.backends.cudnn.benchmark = True
        self.cached = (None, None)

    def dtype(self, precision):
        return {'fp16': self.torch.float16, 'bf16': self.torch.bfloat16}.get(precision, self.torch.float32)

    def set_precision(self, precision):
        # fp32 is what PyTorch does by default: convolutions on TF32 units, products not
        self.torch.backends.cudnn.allow_tf32 = True
        self.torch.backends.cuda.matmul.allow_tf32 = precision == 'tf32'

    # -- kernels

    def tensor(self, *shape, dtype):
        return self.torch.randn(*shape, device='cuda', dtype=self.torch.float32).to(dtype)

    def kernel(self, row):
        torch, F, t = self.torch, self.torch.nn.functional, self.dtype(row['precision'])
        _, kind, *fields = row['model'].split(':')
        s = {k: int(v) for k, v in (f.split('=') for f in fields)}
        if kind == 'gemm':
            shape = ((s['batch'],) if s.get('batch', 1) > 1 else ())
            a, b = self.tensor(*shape, s['m'], s['k'], dtype=t), self.tensor(*shape, s['k'], s['n'], dtype=t)
            return lambda: torch.matmul(a, b)
        if kind == 'conv2d':
            g = s['groups']
            x = self.tensor(s['batch'], s['in'], s['size'], s['size'], dtype=t)
            w = self.tensor(s['out'], s['in'] // g, s['kernel'], s['kernel'], dtype=t)
            return lambda: F.conv2d(x, w, stride=s['stride'], padding=s['padding'], groups=g)
        if kind == 'attention':
            q = self.tensor(s['batch'], s['heads'], s['q_len'], s['head_dim'], dtype=t)
            k, v = (self.tensor(s['batch'], s['kv_heads'], s['kv_len'], s['head_dim'], dtype=t) for _ in range(2))
            extra = {} if s['heads'] == s['kv_heads'] else {'enable_gqa': True}  # torch 2.5 and later
            return lambda: F.scaled_dot_product_attention(q, k, v, is_causal=bool(s['causal']), **extra)
        x = self.tensor(s['rows'], s['cols'], dtype=t).abs() + 0.5
        if kind == 'softmax': return lambda: F.softmax(x, dim=-1)
        if kind == 'layernorm':
            w = torch.ones(s['cols'], device='cuda', dtype=t)
            return lambda: F.layer_norm(x, (s['cols'],), w)
        if kind in ('relu', 'gelu', 'tanh'):
            f = {'relu': F.relu, 'gelu': F.gelu, 'tanh': torch.tanh}[kind]
            return lambda: f(x)
        f = {'add': torch.add, 'mul': torch.mul, 'div': torch.div, 'pow': torch.pow}[kind.split('_')[0]]
        y = 1.5 if kind.endswith('_scalar') else self.tensor(s['rows'], s['cols'], dtype=t).abs() + 0.5
        return lambda: f(x, y)

    # -- models

    def build(self, name):
        """The model with random weights: nothing is downloaded."""
        if name in IMAGE_MODELS:
            library, there = IMAGE_MODELS[name]
            if library == 'torchvision':
                import torchvision
                extra = {'init_weights': False, 'aux_logits': False} if name == 'inception_v3' else {}
                return getattr(torchvision.models, there)(weights=None, **extra)
            import timm
            return timm.create_model(there, pretrained=False)
        import transformers as T
        large = dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
        make = {'bert-base-uncased': lambda: T.BertModel(T.BertConfig()), 'bert-large-uncased': lambda: T.BertModel(T.BertConfig(**large)),
                'distilbert-base-uncased': lambda: T.DistilBertModel(T.DistilBertConfig()),
                'roberta-base': lambda: T.RobertaModel(T.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)),
                'gpt2': lambda: T.GPT2LMHeadModel(T.GPT2Config(use_cache=False)),
                'gpt2-medium': lambda: T.GPT2LMHeadModel(T.GPT2Config(use_cache=False, n_embd=1024, n_layer=24, n_head=16))}
        return make[name]()

    def model(self, row):
        key = (row['model'], row['task'], row['precision'] if not row.get('autocast') else 'fp32', row.get('layout'), row['runtime'])
        if self.cached[0] == key: return self.cached[1]
        self.cached = (None, None)
        self.torch.cuda.empty_cache()
        try: m = self.build(row['model'])
        except ImportError as e: raise Skip(f'{e.name} is not installed')
        except (AttributeError, RuntimeError) as e: raise Skip(f'this version has no {row["model"]}: {e}')
        m = m.cuda()
        if not row.get('autocast'): m = m.to(self.dtype(row['precision']))
        if row.get('layout') == 'nhwc': m = m.to(memory_format=self.torch.channels_last)
        m.train(row['task'] == 'training')
        if row['runtime'] == 'pytorch-compile':
            self.torch._dynamo.reset()
            m = self.torch.compile(m)
        self.cached = (key, m)
        return m

    def step(self, row):
        torch, m = self.torch, self.model(row)
        half = row['precision'] in ('fp16', 'bf16')
        if 'image_size' in row:
            x = torch.randn(row['batch'], 3, row['image_size'], row['image_size'], device='cuda')
            if half and not row.get('autocast'): x = x.to(self.dtype(row['precision']))
            if row.get('layout') == 'nhwc': x = x.to(memory_format=torch.channels_last)
        else: x = torch.randint(0, 30000, (row['batch'], row['seq_len']), device='cuda')
        cast = lambda: torch.autocast('cuda', dtype=self.dtype(row['precision']), enabled=bool(row.get('autocast')), cache_enabled=True)

        def output():
            y = m(x)
            return y if torch.is_tensor(y) else y[0]

        if row['task'] == 'inference':
            def run():
                with torch.inference_mode(), cast(): output()
            return run
        params = [p for p in m.parameters() if p.requires_grad]
        opt = torch.optim.SGD(params, lr=1e-4, momentum=0.9) if row['optimizer'] == 'sgd' else torch.optim.AdamW(params, lr=1e-5)
        target = torch.randint(0, 1000, (row['batch'],), device='cuda')

        def train():
            opt.zero_grad(set_to_none=True)
            with cast():
                y = output()
                # classes where there are some; else the mean of what comes out stands in, which costs next to nothing
                loss = torch.nn.functional.cross_entropy(y.float(), target) if y.dim() == 2 and 'image_size' in row else y.float().mean()
            loss.backward()
            opt.step()
        return train

    # -- timing

    def timed(self, run, loops):
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(loops): run()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / loops

    def graph_of(self, run, loops):
        """The same calls as one CUDA graph: GPU time without the host."""
        torch = self.torch
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream):
            for _ in range(3): run()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(loops): run()
        return graph.replay

    def median(self, run, device_time):
        """Milliseconds of a call: warm-up first, then the median of samples of at least 20 ms each."""
        o, torch = self.o, self.torch
        run()
        torch.cuda.synchronize()
        once = max(self.timed(run, 3), 1e-3)
        inner = 1
        if device_time:
            inner = max(1, min(200, int(10 / once)))
            run = self.graph_of(run, inner)
            once = max(self.timed(run, 1), 1e-3)
        loops = max(1, int(20 / once + 0.5))
        begin = time.monotonic()
        while time.monotonic() - begin < o.warm_up: self.timed(run, loops)
        since, samples = time.monotonic(), []
        while len(samples) < 5 or (time.monotonic() - since < o.seconds and len(samples) < 1000): samples.append(self.timed(run, loops) / inner)
        return statistics.median(samples), samples, since

    def measure(self, row):
        torch = self.torch
        self.set_precision(row['precision'])
        try:
            run = self.kernel(row) if row['model'].startswith('op:') else self.step(row)
            guard = torch.inference_mode() if row['model'].startswith('op:') else torch.enable_grad()
            with guard: value, samples, since = self.median(run, row.get('device_time', False))
        except torch.cuda.OutOfMemoryError: raise Skip('does not fit into the memory')
        except (RuntimeError, TypeError, NotImplementedError) as e: raise Skip(str(e).split('\n')[0][:160])
        finally: run = None
        sm, mem, watts, celsius = self.watch.since(since)
        notes = [f'{len(samples)} samples, {min(samples):.4g} to {max(samples):.4g} ms']
        notes += [f'{text}{x:.0f}{unit}' for text, x, unit in (('SM ', sm, ' MHz'), ('memory ', mem, ' MHz'), ('', watts, ' W'), ('', celsius, ' C')) if x is not None]
        notes += [f'driver {self.driver}'] * bool(self.driver) + [f'CUDA {self.cuda}'] * bool(self.cuda)
        done = dict(row, gpu=self.o.gpu or self.name, runtime_version=self.version, metric='latency_ms', value=round(value, 6),
                    source=self.o.source, date=self.o.date, notes=', '.join(notes))
        rows = [done]
        if self.o.power and watts is not None: rows.append(dict(done, metric='power_w', value=watts))
        return rows


# ---- the program ----

class Dry:
    """Stands in for a GPU: the file is as it would be, but for the values."""
    name, version = 'Custom GPU', '0.0.0'
    watch = None

    def __init__(self, o): self.o = o

    def measure(self, row):
        return [dict(row, gpu=self.o.gpu or 'custom', runtime_version=self.version, metric='latency_ms', value=1.0, source='dry run: nothing was measured',
                     date=self.o.date)]


def arguments(argv):
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = lambda text: [w for w in text.split(',') if w]
    a.add_argument('--out', help='the benchmark file; measurements in it are kept and not made again')
    a.add_argument('--quick', action='store_true', help='a seventh of the kernels, six models, short')
    a.add_argument('--list', action='store_true', help='shows what would be measured, and ends')
    a.add_argument('--dry-run', action='store_true', help='writes the file with made-up values; needs neither GPU nor PyTorch')
    a.add_argument('--suite', type=words, default=['kernels', 'models'], help='kernels,models')
    a.add_argument('--only', type=words, default=['*'], help="patterns of names: 'resnet*,op:gemm*'")
    a.add_argument('--precisions', type=words, default=['fp32', 'tf32', 'fp16', 'bf16'])
    a.add_argument('--batches', type=lambda t: [int(x) for x in t.split(',')], default=[1, 8, 32, 128])
    a.add_argument('--seq-len', type=int, default=128, help='of text models (128)')
    a.add_argument('--tasks', type=words, default=['inference', 'training'])
    a.add_argument('--runtimes', type=words, default=['pytorch'], help='pytorch,pytorch-compile')
    a.add_argument('--layouts', type=words, default=['nchw'], help='nchw,nhwc')
    a.add_argument('--autocast', choices=['yes', 'no', 'both'], default='yes', help='inference in fp16 and bf16 under torch.autocast (yes)')
    a.add_argument('--optimizer', choices=['sgd', 'adamw'], default='sgd')
    a.add_argument('--eager-kernels', action='store_true', help='times kernels with the host, as a loop of calls, not as a CUDA graph')
    a.add_argument('--power', action='store_true', help='also a row of board power for each measurement')
    a.add_argument('--gpu', help="the GPU's key, where its own name isn't known to 'phantom-gpu list-gpus'")
    a.add_argument('--device', type=int, default=0, help='which GPU of this machine (0)')
    a.add_argument('--seconds', type=float, help='of samples for each measurement (1; quick: 0.3)')
    a.add_argument('--warm-up', type=float, help='seconds before them (0.5; quick: 0.2)')
    a.add_argument('--source', default='measured by me', help='who measured, for the rows')
    a.add_argument('--date', default=datetime.date.today().isoformat())
    o = a.parse_args(argv)
    if not o.out and not o.list: a.error('--out FILE.json is needed')
    for name, known in (('suite', ('kernels', 'models')), ('precisions', ('fp32', 'tf32', 'fp16', 'bf16')), ('tasks', ('inference', 'training')),
                        ('runtimes', ('pytorch', 'pytorch-compile')), ('layouts', ('nchw', 'nhwc'))):
        for word in getattr(o, name):
            if word not in known: a.error(f"--{name}: there is no '{word}'; it is one of {', '.join(known)}")
    if min(o.batches) < 1 or o.seq_len < 1: a.error('sizes must be at least 1')
    o.autocast = {'yes': (True,), 'no': (False,), 'both': (True, False)}[o.autocast]
    o.seconds = o.seconds if o.seconds is not None else 0.3 if o.quick else 1
    o.warm_up = o.warm_up if o.warm_up is not None else 0.2 if o.quick else 0.5
    return o


def run(o, bench, rows):
    done = read_file(o.out)
    gpu = o.gpu or (bench.name if isinstance(bench, Bench) else 'custom')
    have = {identity(r) for r in done}
    todo = [r for r in rows if identity(dict(r, gpu=gpu, runtime_version=bench.version, metric='latency_ms')) not in have]
    if len(todo) < len(rows): print(f'{len(rows) - len(todo)} of {len(rows)} are in {o.out} already')
    if not todo: write_file(o.out, done)
    skipped, full = 0, set()
    for i, row in enumerate(todo, 1):
        family = tuple(v for k, v in row.items() if k != 'batch')
        try:
            if family in full: raise Skip('a smaller batch did not fit')
            results = bench.measure(row)
        except Skip as e:
            skipped += 1
            if 'fit' in str(e): full.add(family)
            print(f'[{i}/{len(todo)}] {describe(row)}: skipped: {e}', flush=True)
            continue
        done += results
        write_file(o.out, done)
        print(f"[{i}/{len(todo)}] {describe(row)}: {results[0]['value']:.5g} ms", flush=True)
    print(f'{len(done)} rows in {o.out}' + (f'; {skipped} could not be measured' if skipped else ''))
    return 0


def main(argv=None):
    o = arguments(argv)
    rows = plan(o)
    if o.list:
        for row in rows: print(describe(row))
        print(f'{len(rows)} measurements', file=sys.stderr)
        return 0
    bench = None
    try:
        read_file(o.out)  # a file that can't be gone on with is said before anything runs
        bench = Dry(o) if o.dry_run else Bench(o)
        return run(o, bench, rows)
    except ModuleNotFoundError as e:
        print(f'measure.py: {e.name} is not installed; --dry-run shows what would be measured', file=sys.stderr)
    except (OSError, ValueError) as e: print(f'measure.py: {e}', file=sys.stderr)
    except KeyboardInterrupt: print(f'\nmeasure.py: stopped; the same command goes on with {o.out}', file=sys.stderr)
    finally:
        if bench and bench.watch: bench.watch.stop()
    return 1


if __name__ == '__main__': sys.exit(main())
