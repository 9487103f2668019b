#!/usr/bin/env python3
"""Holds predicted memory against benchmarks that went to smaller batches until a step ran: the batch that ran must fit into the GPU, the
next larger one must not. Prints a table.

usage: memory_table.py PROGRAM BENCHMARKS.json...
BENCHMARKS.json: rows of pytorch-image-models, whose benchmark goes from its first batch down in the steps below. A row at the first batch
says only that it fits. The step may have failed for other reasons than memory (kernels' limits on indices): rows of one model that stop at
the same batch on GPUs of different sizes are left out.
"""
import collections, json, os, subprocess, sys, tempfile

STEPS = [1024, 768, 512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1]
GIB = {'rtx3090': 24, 'rtx4090': 24, 'rtx5090': 32}  # as sold; the share of it that is predicted is what counts
KEY = ('task', 'gpu', 'runtime', 'runtime_version', 'layout', 'precision')


def key(row): return tuple(row.get(k) for k in KEY)


def shares(program, rows):
    """Predicted memory of each row over the GPU's."""
    out = {}
    with tempfile.NamedTemporaryFile('w', suffix='.json') as f:
        json.dump({'version': 1, 'benchmarks': rows}, f)
        f.flush()
        r = subprocess.run([program, 'validate', '--benchmark-data', f.name, '--json', '--verbose'], capture_output=True, text=True)
    if r.returncode: sys.exit(r.stderr)
    for p in json.loads(r.stdout)['points']:
        if p['predicted']: out[(p['model'], p['batch']) + key(p)] = p['predicted'] / p['value']
    return out


def limited(rows):
    """(row, next batch or None) of each configuration; without those whose limit wasn't memory."""
    first, seen, stops = {}, {}, collections.defaultdict(set)
    for r in rows: first[key(r)] = max(first.get(key(r), 0), r['batch'])
    for r in rows:
        if r['batch'] in STEPS and r['gpu'] in GIB: seen[(r['model'],) + key(r)] = r
    for r in seen.values():
        if r['batch'] < first[key(r)]: stops[(r['model'], r['task'], r['runtime'], r['batch'])].add(GIB[r['gpu']])
    for r in seen.values():
        if r['batch'] == first[key(r)]: yield r, None
        elif len(stops[(r['model'], r['task'], r['runtime'], r['batch'])]) == 1: yield r, STEPS[STEPS.index(r['batch']) - 1]


def main():
    program, rows = sys.argv[1], []
    for name in sys.argv[2:]:
        with open(name) as f: rows += json.load(f)['benchmarks']
    ask, pairs = [], list(limited(rows))
    for r, more in pairs:
        for batch in [r['batch']] + ([more] if more else []):
            ask.append(dict(r, batch=batch, metric='memory_bytes', value=GIB[r['gpu']] << 30))
    share, groups = shares(program, ask), collections.defaultdict(list)
    for r, more in pairs:
        low = share.get((r['model'], r['batch']) + key(r))
        high = share.get((r['model'], more) + key(r)) if more else None
        if low is None or (more and high is None): continue
        groups[(r['task'], r['gpu'], f"{r['runtime']} {r['runtime_version']}", r['layout'])].append((low, high, os.path.basename(r['model'])))
    print('| task | GPU | runtime | layout | ran at the first batch | of them said to fit | had to go down | right on both sides | too much | '
          'too little | mean miss | worst |')
    print('| --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |')
    for group, found in sorted(groups.items()):
        whole, cut = [f for f in found if f[1] is None], [f for f in found if f[1] is not None]
        if len(cut) < 5: continue
        miss = [(max(low - 1, 1 - high, 0), name.rsplit('.', 1)[0]) for low, high, name in cut]
        worst = ', '.join(f'{n} {100 * m:.0f} %' for m, n in sorted(miss, reverse=True)[:3] if m > 0)
        print(f"| {' | '.join(group)} | {len(whole)} | {sum(f[0] <= 1 for f in whole)} | {len(cut)} | {sum(m == 0 for m, _ in miss)} | "
              f'{sum(f[0] > 1 for f in cut)} | {sum(f[1] < 1 for f in cut)} | {100 * sum(m for m, _ in miss) / len(cut):.1f} % | {worst} |')


main()
