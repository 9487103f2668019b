#!/usr/bin/env python3
"""What `calibrate` makes of a few rows, as a Markdown table: calibrated on some rows of half of the model families, tried on all rows of
the others; ten times with other families and rows. The GPU is known by its specification alone: a copy under another name, without what
was fitted on it. Profiles are written with --force, so that harm shows; beside it the error with the
profiles that `calibrate` would have written by itself, and how often that was.

usage: calibrate_table.py PROGRAM SOURCE=BENCHMARKS.json..."""
import json, os, random, re, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM, FILES = os.path.abspath(sys.argv[1]), [(a.split('=', 1)[0], os.path.abspath(a.split('=', 1)[1])) for a in sys.argv[2:]]
SIZES, TIMES = (5, 10, 50), 10


def copy(file, table, gpu, name):
    """The GPU's section of a built-in file under another key, without aliases."""
    out, on = [], False
    for line in open(f'{HERE}/data/{file}'):
        m = re.match(r'\[([^\]]+)\]', line)
        if m: on = m[1] == f'{table}.{gpu}' or m[1].startswith(f'{table}.{gpu}.')
        if not on or line.startswith(('aliases', 'name')): continue
        out.append(line.replace(f'{table}.{gpu}', f'{table}.copy_{gpu}'))
        if m and m[1] == f'{table}.{gpu}': out.append(f'name = "{name}"\n')
    return ''.join(out)


def run(*args):
    return subprocess.run([PROGRAM, *args], capture_output=True, text=True)


def write(name, rows):
    with open(name, 'w') as f: json.dump({'version': 1, 'benchmarks': rows}, f)


def summary(*args):
    r = run('validate', '--json', *args)
    if r.returncode: sys.exit(r.stderr)
    return json.loads(r.stdout)['summary']


def trial(rows, gpu, size, seed):
    """(before, after, share in the interval, would be written) on families that were not calibrated on."""
    rnd = random.Random(seed)
    families = sorted({r['family'] for r in rows})
    rnd.shuffle(families)
    known = set(families[:max(1, len(families) // 2)])
    train = [r for r in rows if r['family'] in known]
    write('train.json', rnd.sample(train, min(size, len(train))))
    write('test.json', [r for r in rows if r['family'] not in known])
    made = run('calibrate', '--gpu', gpu, '--benchmark-data', 'train.json', '--write', 'profile.toml', '--force', '--json')
    if made.returncode: return None
    before, after = summary('--benchmark-data', 'test.json'), summary('--benchmark-data', 'test.json', '--hardware-profiles', 'profile.toml')
    return before['mape'], after['mape'], before['bias'], after['bias'], after['interval_coverage'] or 0, json.loads(made.stdout)['better']


def main():
    print('| rows of | GPU | rows | MAPE before | after | as used | bias before | after | in interval | written |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
    for source, path in FILES:
        with open(path) as f: rows = json.load(f)['benchmarks']
        gpus = sorted({r['gpu'] for r in rows}, key=lambda g: -sum(r['gpu'] == g for r in rows))
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            name = lambda g: ('GeForce ' if g.startswith('rtx') else 'Tesla ') + g  # which of the two decides if ECC costs bandwidth
            for file, table in (('gpu_models.toml', 'gpus'), ('hardware_profiles.toml', 'profiles')):
                with open(file, 'w') as f: f.write(''.join(copy(file, table, g, name(g)) for g in gpus))
            for gpu in gpus:
                mine = [dict(r, gpu='copy_' + gpu) for r in rows if r['gpu'] == gpu and r.get('layout', 'nchw') == 'nchw']
                for size in SIZES:
                    t = [x for x in (trial(mine, 'copy_' + gpu, size, seed) for seed in range(TIMES)) if x]
                    mean = [100 * sum(x[k] for x in t) / len(t) for k in range(6)]
                    used = 100 * sum(x[1] if x[5] else x[0] for x in t) / len(t)
                    print(f'| {source} | {gpu} | {size} | {mean[0]:.1f} | {mean[1]:.1f} | **{used:.1f}** | {mean[2]:+.1f} | {mean[3]:+.1f} | {mean[4]:.0f} | {mean[5]:.0f} % |', flush=True)
            os.chdir(HERE)


main()
