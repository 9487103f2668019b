#!/usr/bin/env python3
"""Takes from the tables of language models the rows that say what was run, for fitting.

usage: llm_benchmarks.py DATA decode|prefill|tpot|ttft|offline OUT.json [RUNTIME]
DATA: a folder with data/bench, models/hf and tools/benchmarks.py.

llama.cpp's single runs (notebooks from before May 2024) divided each matrix among several GPUs, though the table calls it a layer split, and
their prompts are the first of their process: both stands in these rows (tensor_parallel, first_run). Left out: serving whose requests waited for memory (a first token later than a
fifth of all others took), on more than 8 GPUs, and DeepSeek-R1's times per token under TensorRT-LLM, where some rows guess several tokens
ahead and don't say so, and the times to the first token of SGLang's rows without a version (2025), which compiled kernels in their first
seconds: 7 to 9 s from 8 or 32 requests on, at 8192 tokens as at 1024. Of serving rows that say the same the middle one is taken, of two
that of tokens that aren't guessed (SGLang's of DeepSeek-R1 FP8 come in pairs, one with 0.76 of the other's time per token).
"""
import csv, gzip, importlib.util, json, re, sys


def open_tables(data):
    spec = importlib.util.spec_from_file_location('benchmarks', data + '/tools/benchmarks.py')
    tables = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tables)
    return tables


def llama(tables, data, task):
    """Rows with the table's own beside them."""
    path = data + '/data/bench/llama_cpp.csv.gz'
    with gzip.open(path, 'rt') as f:
        notes = [r for r in csv.DictReader(f) if 'ANOMALOUS' not in r['notes'] and r['task'] == task]
    for row, note in zip(tables.llama_cpp(path, task), notes):
        if 'llama-bench' not in note['notes']:
            row['first_run'] = True
            row['tensor_parallel'] = row.pop('pipeline_parallel')
        yield row, note


def middle(rows, metric):
    """One row of each configuration. Of two the one without guessed tokens: longer for each token, sooner with the first."""
    same = {}
    for r in rows: same.setdefault(tuple((k, v) for k, v in r.items() if k != 'value'), []).append(r)
    for rs in same.values(): yield sorted(rs, key=lambda r: r['value'])[len(rs) // 2 if metric == 'tpot' else (len(rs) - 1) // 2]


def serving(tables, data, metric):
    configs = tables.hub_configs(data + '/models/hf')
    both = [list(tables.serving(data + '/data/bench/serving.csv.gz', m, configs)) for m in ('ttft_ms', 'tpot_ms')]
    for ttft, tpot in zip(*both):
        waits = ttft['value'] > 0.2 * tpot['output_len'] * tpot['value']
        guesses = metric == 'tpot_ms' and 'DeepSeek-R1' in ttft['model'] and ttft['runtime'] == 'tensorrt-llm'
        compiles = metric == 'ttft_ms' and ttft['runtime'] == 'sglang' and not ttft['runtime_version']
        if not waits and not guesses and not compiles and ttft['gpu_count'] <= 8: yield ttft if metric == 'ttft_ms' else tpot


DOCS = {'meta-llama/Llama-3.1-70B-Instruct': 'llama-3.1-70b', 'mistralai/Mixtral-8x7B-v0.1': 'mixtral-8x7b', 'Qwen/Qwen3-30B-A3B': 'qwen3-30b-a3b',
        'Qwen/Qwen3-235B-A22B': 'qwen3-235b-a22b'}


def offline(data):
    """TensorRT-LLM's own tables of the most tokens a second: all requests are there from the start. How many ran at a time isn't said: 1024 are
    taken. Only tensor parallelism, models that are built in."""
    with gzip.open(data + '/data/bench/misc.csv.gz', 'rt') as f:
        for r in csv.DictReader(f):
            model, tensor = DOCS.get(r['model']), re.search(r'(?:^|; |=)TP=?(\d+)(?:;|$)', r['notes'])
            if r['source'] != 'NVIDIA/TensorRT-LLM docs' or 'in-flight' not in r['batch'] or not model or not tensor: continue
            gpus, share = int(tensor.group(1)), r['metric'].endswith('per_gpu')
            if gpus != int(r['gpu_count']): continue
            yield dict(model=model, task='serving', gpu=r['gpu'], gpu_count=gpus, tensor_parallel=gpus, concurrency=1024,
                       input_len=int(r['input_len']), output_len=int(r['output_len']), poll_steps=1, precision=r['precision'].split()[0],
                       runtime='tensorrt-llm', metric='tokens_per_s', value=float('%.6g' % (float(r['value']) * (gpus if share else 1))),
                       family=model, source=r['source'], date=r['date'],
                       url=f"https://github.com/NVIDIA/TensorRT-LLM/blob/{r['commit_or_version'].split()[0]}/{r['source_path']}")


def main():
    data, what, out, *runtime = sys.argv[1:]
    tables = open_tables(data)
    one = what in ('decode', 'prefill')
    if what == 'offline': made = list(offline(data))
    else: made = [r for r, _ in llama(tables, data, what)] if one else list(middle(serving(tables, data, what + '_ms'), what))
    made = [r for r in made if not runtime or r['runtime'] == runtime[0]]
    for r in made if what != 'offline' else []: r['source'] = 'XiongjieDai/GPU-Benchmarks-on-LLM-Inference' if one else 'ai-dynamo/aiconfigurator'
    with open(out, 'w') as f: json.dump({'version': 1, 'benchmarks': made}, f)
    print(f'{len(made)} rows in {out}')


if __name__ == '__main__': main()
