#!/usr/bin/env python3
"""Turns the kernel tables of serving runtimes' layers into a benchmark file: mixtures of experts, latent attention, recurrences.

usage: layer_benchmarks.py DATA experts|latent|recurrent OUT.json [ROWS]
DATA: a folder with data/kernels. ROWS: at most so many, evenly thinned. tools/fit_rows.c reads the same rows for the fit, and says what is
left out and why.
"""
import csv, glob, gzip, json, os, sys

RUNTIME = {'trtllm': 'tensorrt-llm', 'vllm': 'vllm', 'sglang': 'sglang'}
EXPERTS = {'bfloat16': ('bf16', ''), 'fp8': ('fp8', ''), 'fp8_block': ('fp8', ':block=128'), 'nvfp4': ('nvfp4', ''),
    'int4_wo': ('bf16', ':weight_bits=4'), 'w4a16_mxfp4': ('bf16', ':weight_bits=4')}


def experts(r, gpu, origin):
    if r['moe_dtype'] not in EXPERTS: return None
    source, fp4 = r['kernel_source'], r['moe_dtype'] == 'nvfp4' and gpu == 'b200' and origin == 'trtllm'
    if ('min_latency' in source) != fp4 or 'modeloptfp8moe_flashinfer_cutlass' in source: return None
    gated = r['topk'] != '22' and r['inter_size'] != '1856'
    law = r['distribution']
    how = ':even=1' if law == 'balanced' else f":skew={round(100 * float(law.split('_')[-1]))}"
    precision, more = EXPERTS[r['moe_dtype']]
    return (f"op:moe:tokens={r['num_tokens']}:hidden={r['hidden_size']}:inter={r['inter_size']}:used={r['topk']}:experts={r['num_experts']}"
            f":tp={r['moe_tp_size']}:ep={r['moe_ep_size']}:gated={int(gated)}{how}{more}", precision, r['moe_dtype'])


def latent(r, gpu, origin):
    if origin != 'trtllm': return None
    fp8, decode, past = r['kv_cache_dtype'] == 'fp8', 'generation' in r['op_name'], int(r['step'] or 0)
    if decode:
        return (f"op:attention:batch={r['batch']}:q_len=1:kv_len={past + 1}:heads={r['heads']}:kv_heads=1:head_dim=576:v_dim=512:latent=576:causal=1",
                'fp8' if fp8 else 'bf16', 'decode')
    return (f"op:attention:batch={r['batch']}:q_len={r['seq']}:kv_len={int(r['seq']) + past}:heads={r['heads']}:head_dim=192:v_dim=128:latent=576:causal=1",
            'bf16', 'prompt')


def recurrent(r, gpu, origin):
    conv, prompt = 'conv1d' in r['kernel_source'], r['phase'] == 'context'
    if origin != 'vllm' and (conv or not prompt): return None
    steps = r['seq_len'] if prompt else 1
    if conv:
        channels = 2 * int(r['num_k_heads']) * int(r['head_k_dim']) + int(r['num_v_heads']) * int(r['head_v_dim'])
        return f"op:short_conv:batch={r['batch']}:seq_len={steps}:channels={channels}:taps={r['d_conv']}", 'bf16', 'short convolution'
    return (f"op:delta_rule:batch={r['batch']}:seq_len={steps}:heads={r['num_v_heads']}:dim={r['head_k_dim']}:width={r['head_v_dim']}", 'bf16',
            'prompt' if prompt else 'decode')


TABLES = {'experts': (['moe'], experts), 'latent': (['context_mla', 'generation_mla'], latent), 'recurrent': (['gdn'], recurrent)}


def rows(data, what):
    folders, make = TABLES[what]
    for path in sorted(p for f in folders for p in glob.glob(f'{data}/data/kernels/{f}/*.csv.gz')):
        gpu, origin = os.path.basename(path)[:-7].split('__')
        origin = origin.split('-')[0]
        with gzip.open(path, 'rt') as f:
            for r in csv.DictReader(f):
                made = make(r, gpu, origin)
                if not made: continue
                model, precision, family = made
                yield dict(model=model, task='inference', gpu=gpu.replace('_sxm', '') if gpu == 'h100_sxm' else gpu, precision=precision,
                    runtime=RUNTIME[origin], device_time=True, metric='latency_ms', value=float(r['latency_ms']), family=family,
                    source=f'ai-dynamo/aiconfigurator {folders[0]}', url='https://github.com/ai-dynamo/aiconfigurator')


def main():
    if len(sys.argv) < 4 or sys.argv[2] not in TABLES: sys.exit(__doc__)
    made = list(rows(sys.argv[1], sys.argv[2]))
    most = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    if most and len(made) > most: made = [made[i * len(made) // most] for i in range(most)]
    with open(sys.argv[3], 'w') as f: json.dump({'version': 1, 'benchmarks': made}, f)
    print(f'{len(made)} rows in {sys.argv[3]}')


if __name__ == '__main__': main()
