#!/usr/bin/env python3
"""Makes the tables of docs/accuracy.md anew, each between its markers, from what `phantom-gpu validate --json` says today.

usage: accuracy_tables.py DATA PROGRAM [SECTION...]
DATA: a folder with tools/benchmarks.py and the tables it reads (not in this repository); without it only the sections on built-in
points are made. Sections are the names in the markers, `<!-- table: NAME -->` ... `<!-- end -->`; without any: all.
"""
import json, os, re, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DATA, PROGRAM, ONLY = sys.argv[1], sys.argv[2], sys.argv[3:]
PAGE = HERE + '/docs/accuracy.md'
SPLITS = {None: 'in sample', 'family': 'families left out', 'gpu': 'GPUs left out', 'random': 'rows left out (optimistic)'}
BUILTIN = HERE + '/data/benchmarks/'
work = tempfile.TemporaryDirectory()

# name: (suite of benchmarks.py or built-in file, rows at most where splits are fitted, splits, group that gets rows of its own)
SECTIONS = {
    'images': ('timm', 0, [None, 'family', 'gpu'], 'by_gpu'),
    'compiled': ('timm-compile', 0, [None, 'family', 'gpu'], 'by_gpu'),
    'training': ('timm-train', 0, [None, 'family', 'gpu'], 'by_gpu'),
    'gemm': ('gemm', 2000, [None, 'gpu'], 'by_gpu'),
    'gemm-precision': ('gemm', 2000, [None], 'by_precision'),
    'attention': ('attention', 2000, [None, 'gpu'], 'by_gpu'),
    'attention-kind': ('attention', 2000, [None], 'by_family'),
    'experts': ('layers-experts', 1500, [None, 'gpu'], 'by_gpu'),
    'experts-precision': ('layers-experts', 0, [None], 'by_family'),
    'latent': ('layers-latent', 0, [None], 'by_gpu'),
    'recurrent': ('layers-recurrent', 1500, [None, 'gpu'], 'by_gpu'),
    'fp32': (['fp32-gemm', 'fp32-conv', 'fp32-vector'], 1000, [None, 'gpu'], 'by_gpu'),
    'fp32-kind': (['fp32-gemm', 'fp32-conv', 'fp32-vector'], 1000, [None], 'by_family'),
    'vendor': ('vendor', 0, [None], 'by_gpu'),
    'vendor-training': ('vendor-train', 0, [None], 'by_gpu'),
    'builtin': (None, 0, [None, 'family', 'gpu'], 'by_file'),
    'builtin-runtime': (None, 0, [None], 'by_runtime'),
    'pytorch': ('deeplearningexamples.json', 0, [None, 'gpu'], 'by_gpu'),
    'encoders': ('fastertransformer.json', 0, [None, 'gpu'], 'by_gpu'),
    'engines': ('mlperf.json', 0, [None, 'gpu'], 'by_gpu'),
    'power': ('tests/power/boards.json', 0, [None], 'by_gpu'),
    'power-task': ('tests/power/boards.json', 0, [None], 'by_task'),
    'power-system': ('tests/power/systems.json', 0, [None], 'by_gpu'),
    'energy': ('tests/power/energy.json', 0, [None], 'by_task'),
    'energy-speed': ('tests/power/tokens.json', 0, [None], 'by_gpu'),
}


def output(*command):
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode: sys.exit(f'{" ".join(command)}: {r.stderr}')
    return '\n'.join(l for l in r.stdout.split('\n') if l.startswith('|'))


def pair_files():
    pairs, host = f'{work.name}/pairs.json', f'{work.name}/host.json'
    if not os.path.exists(host):
        output(sys.executable, HERE + '/tools/pair_benchmarks.py', DATA + '/data/bench/timm.csv.gz', models(), pairs)
        output(sys.executable, HERE + '/tools/host_benchmarks.py', DATA + '/data/bench/deeplearningexamples.csv.gz', host)
    return pairs, host


def fit_transfer(*args):
    build = os.path.dirname(os.path.abspath(PROGRAM))
    subprocess.run(['ninja', '-C', build, 'fit_transfer'], check=True, stdout=subprocess.DEVNULL)
    return output(build + '/fit_transfer', *args)


def measured(): return fit_transfer(*pair_files())


def measured_strange():
    tables = [fit_transfer('--leave', gpu, *pair_files()).split('\n') for gpu in ('rtx3090', 'rtx4090', 'rtx5090', 't4')]
    rows = [l.replace('**all**', f'**all with {g}**') for g, t in zip(('RTX 3090', 'RTX 4090', 'RTX 5090', 'T4'), tables) for l in t[2:] if 'same' in l or 'all' in l]
    return '\n'.join(tables[0][:2] + rows)


def intervals():
    build = os.path.dirname(os.path.abspath(PROGRAM))
    subprocess.run(['ninja', '-C', build, 'fit_intervals'], check=True, stdout=subprocess.DEVNULL)
    return output(build + '/fit_intervals', *(suite_file(s, 0) for s in ('timm', 'timm-compile', 'timm-train')))


def calibrated():
    return output(sys.executable, HERE + '/tools/calibrate_table.py', PROGRAM, 'timm=' + suite_file('timm', 0), 'DeepLearningExamples=' + pair_files()[1],
                  'torchvision=' + BUILTIN + 'torchvision.json')


def memory():
    return output(sys.executable, HERE + '/tools/memory_table.py', PROGRAM, suite_file('timm-train', 0), suite_file('timm', 0))


# Tables that validate doesn't make; all need DATA.
SPECIAL = {'memory': memory, 'measured': measured, 'measured-strange': measured_strange, 'calibrated': calibrated, 'intervals': intervals}


def suite_file(suite, limit):
    """A benchmark file of a suite, made once."""
    if '/' in suite: return HERE + '/' + suite
    if suite.endswith('.json'): return BUILTIN + suite
    out = f'{work.name}/{suite}-{limit}.json'
    if not os.path.exists(out) and suite.startswith('layers-'):
        subprocess.run([sys.executable, HERE + '/tools/layer_benchmarks.py', DATA, suite[7:], out, str(limit)], check=True, stdout=subprocess.DEVNULL)
    if not os.path.exists(out):
        subprocess.run([sys.executable, DATA + '/tools/benchmarks.py', suite, out, '--models', models(), '--limit', str(limit)],
                       check=True, stdout=subprocess.DEVNULL)
    return out


def models():
    folder = os.environ.get('TIMM_MODELS') or work.name + '/timm'
    if not os.path.isdir(folder):
        os.makedirs(folder)
        subprocess.run(['tar', '-xJf', DATA + '/models/timm.tar.xz', '-C', folder], check=True)
    return folder


def summary(suite, limit, split):
    command = [PROGRAM, 'validate', '--json']
    for s in suite if isinstance(suite, list) else [suite] if suite else []:
        command += ['--benchmark-data', suite_file(s, limit if split else 0)]
    if split: command += ['--split', split]
    r = subprocess.run(command, capture_output=True, text=True)
    if r.returncode: sys.exit(f'{" ".join(command)}: {r.stderr}')
    return json.loads(r.stdout)['summary']


def percent(x, sign=''):
    return '-' if x is None else f'{100 * x:{sign}.1f}'


def line(name, s):
    base = s['baselines']
    return '| ' + ' | '.join([name, str(s['count']), percent(s['mape']), percent(s['median']), percent(s['p90']), percent(s['bias'], '+'),
                              percent(s['within_10']), percent(s['within_25']), percent(s['interval_coverage']),
                              percent(base['roofline']['mape']), percent(base['scalar']['mape'])]) + ' |'


def table(suite, limit, splits, group):
    lines = ['| what | points | MAPE | median | p90 | bias | within 10 % | within 25 % | in interval | roofline | scalar |',
             '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |']
    skipped = 0
    for split in splits:
        s = summary(suite, limit, split)
        if not split: skipped = s['skipped']
        if not s['count']: return f"Not predicted yet: all {s['skipped']} rows are skipped."
        label = 'as shipped' if isinstance(suite, str) and '/' in suite else SPLITS[split]  # nothing is fitted on those
        lines.append(line(f'**{label}**', s))
        names = sorted(s[group], key=lambda n: -s[group][n]['count'])[:16]
        lines += [line(f'{os.path.basename(n).split("-0.json")[0]}, {label}', s[group][n]) for n in names if len(s[group]) > 1]
    return '\n'.join(lines) + (f'\n\n{skipped} rows were skipped.' if skipped else '')


def main():
    with open(PAGE) as f: page = f.read()
    there = re.findall(r'<!-- table: (\S+) -->', page)
    unknown = set(ONLY) - set(there)
    if unknown: sys.exit(f'{PAGE} has no table {", ".join(sorted(unknown))}')
    for name in ONLY or there:
        suite = SECTIONS[name][0] if name in SECTIONS else name
        needs_data = suite is not None and not str(suite).endswith('.json')
        if needs_data and not os.path.isdir(DATA + '/data'): continue
        print(name, flush=True)
        made = SPECIAL[name]() if name in SPECIAL else table(*SECTIONS[name])
        with open(PAGE) as f: page = f.read()
        page = re.sub(rf'(<!-- table: {name} -->\n).*?(<!-- end -->)', lambda m: m[1] + made + '\n' + m[2], page, flags=re.S)
        with open(PAGE + '.new', 'w') as f: f.write(page)
        os.replace(PAGE + '.new', PAGE)


main()
