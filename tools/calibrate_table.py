#!/usr/bin/env python3
"""What `calibrate` makes of a few rows, as a Markdown table: calibrated on some rows of half of the model families, tried on rows of
the others; many times with other families and rows. The GPU is known by its specification alone: a copy under another name, without what
was fitted on it, in some lines with a wrong figure. Profiles are written with --force, so that harm shows; beside it the error with the
profiles that `calibrate` would have written by itself, and how often that was.

usage: calibrate_table.py PROGRAM SOURCE=BENCHMARKS.json..."""
import json, os, random, re, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM, FILES = os.path.abspath(sys.argv[1]), {a.split('=', 1)[0]: os.path.abspath(a.split('=', 1)[1]) for a in sys.argv[2:]}
SIZES, TIMES, LEAST, TEST_MOST, MANY = (5, 10, 50), 30, 14, 80, 150

# What is wrong in some lines: of which GPU under which rows, which figure, times what. The host's is what its profile says of it.
WRONG = [
    ('timm', 'rtx3090', 'bandwidth 20 % too high', 'bandwidth_gbs', 1.2),
    ('timm', 'rtx3090', 'twice its tensor peak', 'fp16_tflops', 2),
    ('DeepLearningExamples', 'v100_sxm_16gb', 'bandwidth 20 % too high', 'bandwidth_gbs', 1.2),
    ('DeepLearningExamples', 'v100_sxm_16gb', 'host 1.6 times as slow', 'host_factor', 1 / 1.6),
    ('DeepLearningExamples', 't4', 'host 1.6 times as slow', 'host_factor', 1 / 1.6),
    ('DeepLearningExamples', 't4', 'twice its power limit', 'tdp_watts', 2),
]


def copy(file, table, gpu, key=None, times=1):
    """The GPU's section of a built-in file under another key, without aliases; one figure changed."""
    out, on = [], False
    name = ('GeForce ' if gpu.startswith(('rtx', 'gtx', 'titan')) else 'Tesla ') + gpu  # which of the two decides if ECC costs bandwidth
    for line in open(f'{HERE}/data/{file}'):
        m = re.match(r'\[([^\]]+)\]', line)
        if m: on = m[1] == f'{table}.{gpu}' or m[1].startswith(f'{table}.{gpu}.')
        if not on or line.startswith(('aliases', 'name')): continue
        figure = re.match(r'(\w+) = ([\d.]+)\s*$', line)
        if key and figure and figure[1] == key:
            line = f'{key} = {float(figure[2]) * times:.6g}\n'
        out.append(line.replace(f'{table}.{gpu}', f'{table}.copy_{gpu}'))
        if m and m[1] == f'{table}.{gpu}': out.append(f'name = "{name}"\n')
    if key == 'host_factor' and table == 'profiles': out.append(f'[{table}.copy_{gpu}.calibration]\nhost_factor = {times:.6g}\n')
    return ''.join(out)


def run(*args):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True)


def write(name, rows):
    with open(name, 'w') as f: json.dump({'version': 1, 'benchmarks': rows}, f)


def validate(rows, *args):
    """A point for each row."""
    write('rows.json', rows)
    r = run('validate', '--json', '--benchmark-data', 'rows.json', *args)
    if r.returncode: sys.exit(r.stderr)
    return json.loads(r.stdout)['points']


def mean(x):
    x = list(x)
    return sum(x) / len(x) if x else 0


def family(row):
    return row.get('family') or re.match(r'[A-Za-z]+', row['model'])[0]


def trial(points, gpu, size, seed):
    """MAPE and bias before and after, share in the interval, whether it would be written: of families that were not calibrated on."""
    rnd = random.Random(seed)
    families = sorted({family(p) for p in points})
    rnd.shuffle(families)
    known = set(families[:max(1, len(families) // 2)])
    train, test = [p for p in points if family(p) in known], [p for p in points if family(p) not in known]
    write('train.json', [p['row'] for p in rnd.sample(train, min(size, len(train)))])
    test = rnd.sample(test, min(TEST_MOST, len(test)))
    made = run('calibrate', '--gpu', gpu, '--benchmark-data', 'train.json', '--write', 'profile.toml', '--force', '--json')
    if made.returncode: return None
    after = validate([p['row'] for p in test], '--hardware-profiles', 'profile.toml')
    error = lambda points: (mean(abs(p['error']) for p in points), mean(p['error'] * (1 if p['metric'] == 'latency_ms' else -1) for p in points))
    inside = mean(p['low'] <= p['value'] <= p['high'] for p in after)
    return *error(test), *error(after), inside, json.loads(made.stdout)['better']


def line(source, rows, gpu, what='', key=None, times=1, sizes=SIZES):
    for file, table in (('gpu_models.toml', 'gpus'), ('hardware_profiles.toml', 'profiles')):
        with open(file, 'w') as f: f.write(copy(file, table, gpu, key, times))
    mine = [dict(r, gpu='copy_' + gpu) for r in rows if r['gpu'] == gpu and r.get('layout', 'nchw') == 'nchw']
    points = [dict(p, row=r) for p, r in zip(validate(mine), mine) if 'skipped' not in p]
    for size in sizes:
        if size > 0.7 * len(points): continue
        t = [x for x in (trial(points, 'copy_' + gpu, size, seed) for seed in range(TIMES if len(points) < MANY else 2 * TIMES // 3)) if x]
        before, bias, after, bias_after, inside, better = (100 * mean(x[k] for x in t) for k in range(6))
        used = 100 * mean(x[2] if x[5] else x[0] for x in t)
        print(f'| {source} | {gpu}{", " * bool(what)}{what} | {size} | {before:.1f} | {after:.1f} | **{used:.1f}** | {bias:+.1f} | {bias_after:+.1f} | {inside:.0f} | {better:.0f} % |', flush=True)
        yield size, before, after, used


def main():
    print('| rows of | GPU | rows | MAPE before | after | as used | bias before | after | in interval | written |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
    made = []
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for source, path in FILES.items():
            with open(path) as f: rows = json.load(f)['benchmarks']
            gpus = sorted({r['gpu'] for r in rows}, key=lambda g: -sum(r['gpu'] == g for r in rows))
            for gpu in gpus:
                if sum(r['gpu'] == gpu for r in rows) >= LEAST: made += line(source, rows, gpu)
            for of, gpu, what, key, times in WRONG:
                if of == source: made += line(source, rows, gpu, what, key, times, SIZES[:2])
        os.chdir(HERE)
    for size in SIZES:
        some = [m for m in made if m[0] == size]
        print(f'| **all lines** | | {size} | ' + ' | '.join(f'{mean(m[k] for m in some):.1f}' for k in (1, 2)) + f' | **{mean(m[3] for m in some):.1f}** | | | | |')


main()
