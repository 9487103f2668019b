#!/usr/bin/env python3
"""Makes the small files in tests/fuzz/corpora/{safetensors,gguf,hugging_face}: headers of real form, data of zeros.

    tests/support/make_weights.py tests/fuzz/corpora

The files are kept in the repository, so that no test needs Python; this says how they came about."""
import json
import os
import struct
import sys

BITS = {"F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "U8": 8, "I8": 8, "BOOL": 8, "F8_E4M3": 8, "F4": 4, "F8_E8M0": 8}


def count(dims):
    n = 1
    for d in dims:
        n *= d
    return n


def safetensors(tensors, metadata=None, data=None):
    header, at = {}, 0
    if metadata:
        header["__metadata__"] = metadata
    for name, (dtype, shape) in tensors.items():
        size = (count(shape) * BITS[dtype] + 7) // 8
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(at if data is None else data)


def raw(text, data=0):
    return struct.pack("<Q", len(text)) + text.encode() + bytes(data)


def text(s, order="<"):
    return struct.pack(order + "Q", len(s)) + s.encode()


def value(v, order="<"):
    if isinstance(v, bool):
        return struct.pack(order + "IB", 7, v)
    if isinstance(v, int):
        return struct.pack(order + "II", 4, v)
    if isinstance(v, float):
        return struct.pack(order + "If", 6, v)
    if isinstance(v, str):
        return struct.pack(order + "I", 8) + text(v, order)
    kind = 8 if v and isinstance(v[0], str) else 5
    body = b"".join(text(x, order) if kind == 8 else struct.pack(order + "i", x) for x in v)
    return struct.pack(order + "IIQ", 9, kind, len(v)) + body


SIZES = {0: (1, 4), 1: (1, 2), 2: (32, 18), 8: (32, 34), 12: (256, 144), 14: (256, 210), 30: (1, 2), 39: (32, 17)}


def gguf(meta, tensors, version=3, order="<"):
    out = b"GGUF" + struct.pack(order + "IQQ", version, len(tensors), len(meta))
    for k, v in meta.items():
        out += text(k, order) + value(v, order)
    at = 0
    for name, (kind, dims) in tensors.items():
        block, size = SIZES[kind]
        out += text(name, order) + struct.pack(order + "I", len(dims)) + b"".join(struct.pack(order + "Q", d) for d in dims)
        out += struct.pack(order + "IQ", kind, at)
        at += (count(dims) // block * size + 31) // 32 * 32
    return out + bytes(-len(out) % 32) + bytes(at)


def llama(arch="llama", layers=1, kind=2, experts=0, extra=None):
    h, ff, vocab = 32, 32, 32
    meta = {"general.architecture": arch, arch + ".block_count": layers, arch + ".embedding_length": h,
            arch + ".feed_forward_length": ff, arch + ".context_length": 64, arch + ".attention.head_count": 4,
            arch + ".attention.head_count_kv": 2, arch + ".attention.layer_norm_rms_epsilon": 1e-5, "general.file_type": kind}
    tensors = {"token_embd.weight": (kind, [h, vocab]), "output_norm.weight": (0, [h])}
    for i in range(layers):
        b = f"blk.{i}."
        tensors.update({b + "attn_norm.weight": (0, [h]), b + "attn_q.weight": (kind, [h, h]), b + "attn_k.weight": (kind, [h, h // 2]),
                        b + "attn_v.weight": (kind, [h, h // 2]), b + "attn_output.weight": (kind, [h, h]), b + "ffn_norm.weight": (0, [h])})
        if experts:
            tensors.update({b + "ffn_gate_inp.weight": (0, [h, experts]), b + "ffn_gate_exps.weight": (kind, [h, ff, experts]),
                            b + "ffn_up_exps.weight": (kind, [h, ff, experts]), b + "ffn_down_exps.weight": (kind, [ff, h, experts])})
        else:
            tensors.update({b + "ffn_gate.weight": (kind, [h, ff]), b + "ffn_up.weight": (kind, [h, ff]), b + "ffn_down.weight": (kind, [ff, h])})
    if experts:
        meta.update({arch + ".expert_count": experts, arch + ".expert_used_count": 2})
    meta.update(extra or {})
    return meta, tensors


def gpt2():
    h = 32
    meta = {"general.architecture": "gpt2", "gpt2.block_count": 1, "gpt2.embedding_length": h, "gpt2.feed_forward_length": 64,
            "gpt2.context_length": 16, "gpt2.attention.head_count": 2, "gpt2.attention.layer_norm_epsilon": 1e-5}
    b = "blk.0."
    tensors = {"token_embd.weight": (1, [h, 32]), "position_embd.weight": (0, [h, 16]), "output_norm.weight": (0, [h]), "output_norm.bias": (0, [h])}
    for name, dims in {"attn_norm": [h], "ffn_norm": [h], "attn_qkv": [h, 3 * h], "attn_output": [h, h], "ffn_up": [h, 64], "ffn_down": [64, h]}.items():
        tensors[b + name + ".weight"] = (1 if len(dims) > 1 else 0, dims)
        tensors[b + name + ".bias"] = (0, dims[-1:])
    return meta, tensors


def mamba():
    h, inner, state, rank = 32, 64, 16, 2
    meta = {"general.architecture": "mamba", "mamba.block_count": 1, "mamba.embedding_length": h, "mamba.ssm.inner_size": inner,
            "mamba.ssm.state_size": state, "mamba.ssm.time_step_rank": rank, "mamba.ssm.conv_kernel": 4, "mamba.attention.layer_norm_rms_epsilon": 1e-5}
    b = "blk.0."
    return meta, {"token_embd.weight": (2, [h, 32]), "output_norm.weight": (0, [h]), b + "attn_norm.weight": (0, [h]),
                  b + "ssm_in.weight": (2, [h, 2 * inner]), b + "ssm_conv1d.weight": (0, [4, inner]), b + "ssm_conv1d.bias": (0, [inner]),
                  b + "ssm_x.weight": (2, [inner, rank + 2 * state]), b + "ssm_dt.weight": (0, [rank, inner]), b + "ssm_dt.bias": (0, [inner]),
                  b + "ssm_a": (0, [state, inner]), b + "ssm_d": (0, [inner]), b + "ssm_out.weight": (2, [inner, h])}


def deepseek():
    h, heads, rank = 32, 2, 32
    meta = {"general.architecture": "deepseek2", "deepseek2.block_count": 1, "deepseek2.embedding_length": h, "deepseek2.feed_forward_length": 64,
            "deepseek2.attention.head_count": heads, "deepseek2.attention.kv_lora_rank": rank, "deepseek2.attention.layer_norm_rms_epsilon": 1e-6}
    b = "blk.0."
    return meta, {"token_embd.weight": (2, [h, 32]), "output_norm.weight": (0, [h]), b + "attn_norm.weight": (0, [h]), b + "ffn_norm.weight": (0, [h]),
                  b + "attn_q.weight": (2, [h, heads * 24]), b + "attn_kv_a_mqa.weight": (2, [h, rank + 8]), b + "attn_kv_a_norm.weight": (0, [rank]),
                  b + "attn_kv_b.weight": (2, [rank, heads * 32]), b + "attn_output.weight": (2, [heads * 16, h]), b + "ffn_gate.weight": (2, [h, 64]),
                  b + "ffn_up.weight": (2, [h, 64]), b + "ffn_down.weight": (2, [64, h])}


def t5():
    h = 32
    meta = {"general.architecture": "t5", "t5.block_count": 1, "t5.embedding_length": h, "t5.feed_forward_length": 64, "t5.attention.head_count": 2,
            "t5.attention.key_length": 16, "t5.attention.relative_buckets_count": 8, "t5.attention.layer_norm_rms_epsilon": 1e-6}
    tensors = {"token_embd.weight": (2, [h, 32]), "enc.output_norm.weight": (0, [h]), "dec.output_norm.weight": (0, [h])}
    for side in "enc", "dec":
        b = side + ".blk.0."
        for name in ["attn"] + (["cross_attn"] if side == "dec" else []):
            for part in "qkvo":
                tensors[b + name + "_" + part + ".weight"] = (2, [h, h])
            tensors[b + name + "_norm.weight"] = (0, [h])
        tensors.update({b + "attn_rel_b.weight": (1, [2, 8]), b + "ffn_norm.weight": (0, [h]), b + "ffn_up.weight": (2, [h, 64]), b + "ffn_down.weight": (2, [64, h])})
    return meta, tensors


def save(folder, name, data):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def make_safetensors(to):
    plain = {"fc.weight": ("F32", [3, 4]), "fc.bias": ("F32", [3]), "bn.running_mean": ("F32", [3]), "n": ("I64", [])}
    save(to, "plain", safetensors(plain, {"format": "pt"}))
    save(to, "empty", raw("{}"))
    save(to, "types", safetensors({k: (k, [8]) for k in BITS}))
    save(to, "gptq", safetensors({"q.qweight": ("I32", [4, 16]), "q.qzeros": ("I32", [1, 2]), "q.scales": ("F16", [1, 16]), "q.g_idx": ("I32", [32])}))
    save(to, "awq", safetensors({"q.qweight": ("I32", [32, 2]), "q.qzeros": ("I32", [1, 2]), "q.scales": ("F16", [1, 16])}))
    save(to, "nf4", safetensors({"q.weight": ("U8", [32, 1]), "q.weight.absmax": ("U8", [1]), "q.weight.quant_map": ("F32", [16]),
                                 "q.weight.quant_state.bitsandbytes__nf4": ("U8", [8])}))
    save(to, "mxfp4", safetensors({"e.up_blocks": ("U8", [2, 4, 1, 16]), "e.up_scales": ("U8", [2, 4, 1])}))
    save(to, "nvfp4", safetensors({"q.weight": ("U8", [4, 8]), "q.weight_scale": ("F8_E4M3", [4, 1]), "q.weight_scale_2": ("F32", [])}))
    save(to, "fp8", safetensors({"q.weight": ("F8_E4M3", [4, 8]), "q.weight_scale_inv": ("F32", [1, 1])}))
    save(to, "packed", safetensors({"q.weight_packed": ("I32", [4, 1]), "q.weight_scale": ("BF16", [4, 1]), "q.weight_shape": ("I64", [2])}))
    save(to, "twice", raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', 2))
    save(to, "overlap", raw('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', 6))
    save(to, "gap", raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}}', 4))
    save(to, "rest", raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', 9))
    save(to, "behind", raw('{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}', 1))
    save(to, "huge_dims", raw('{"a":{"dtype":"F32","shape":[9223372036854775807,4],"data_offsets":[0,1]}}', 1))
    save(to, "negative", raw('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4))
    save(to, "wrong_size", raw('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4))
    save(to, "backwards", raw('{"a":{"dtype":"U8","shape":[1],"data_offsets":[4,3]}}', 4))
    save(to, "unknown_type", raw('{"a":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}}', 1))
    save(to, "long_header", struct.pack("<Q", 1 << 40) + b"{}")
    save(to, "many_dims", raw('{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,1]}}', 1))
    save(to, "metadata_list", raw('{"__metadata__":[1]}'))
    save(to, "index", b'{"metadata":{"total_size":4},"weight_map":{"a":"model-00001-of-00002.safetensors","b":"../x.safetensors"}}')


def make_gguf(to):
    save(to, "llama", gguf(*llama()))
    save(to, "llama_v2", gguf(*llama(), version=2))
    save(to, "llama_v1", gguf(*llama(), version=1))
    save(to, "llama_v9", gguf(*llama(), version=9))
    save(to, "big_endian", gguf(*llama(), order=">"))
    save(to, "experts", gguf(*llama(experts=4)))
    save(to, "two_layers", gguf(*llama(layers=2, kind=8)))
    save(to, "gemma2", gguf(*llama(arch="gemma2", extra={"gemma2.attention.sliding_window": 16})))
    save(to, "gpt2", gguf(*gpt2()))
    save(to, "mamba", gguf(*mamba()))
    save(to, "deepseek", gguf(*deepseek()))
    save(to, "t5", gguf(*t5()))
    save(to, "tokenizer", gguf(*llama(extra={"tokenizer.ggml.tokens": ["a", "b"], "tokenizer.ggml.scores": [1, 2]})))
    meta, tensors = llama()
    for key, v in {"no_blocks": 0, "many_blocks": 4000000000}.items():
        save(to, key, gguf({**meta, "llama.block_count": v}, tensors))
    save(to, "heads", gguf({**meta, "llama.attention.head_count": 5}, tensors))
    save(to, "unknown", gguf({**meta, "general.architecture": "wonder"}, tensors))
    save(to, "clip", gguf({"general.architecture": "clip"}, {}))
    save(to, "no_architecture", gguf({}, {}))
    save(to, "alignment", gguf({**meta, "general.alignment": 3}, tensors))
    save(to, "one_of_three", gguf({**meta, "split.count": 3, "split.no": 0}, tensors))
    save(to, "nan", gguf({**meta, "llama.embedding_length": float("nan")}, tensors))
    good = gguf(meta, tensors)
    save(to, "counts", good[:8] + struct.pack("<QQ", 1 << 60, 1 << 60) + good[24:])
    save(to, "wild_array", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + struct.pack("<IIQ", 9, 9, 1 << 62))
    deep = struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 100
    save(to, "deep_array", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text("k") + deep + bytes(64))
    same = b"GGUF" + struct.pack("<IQQ", 3, 2, 0) + 2 * (text("t") + struct.pack("<IQIQ", 1, 32, 0, 0))
    save(to, "twice", same + bytes(256))
    over = b"GGUF" + struct.pack("<IQQ", 3, 2, 0) + text("a") + struct.pack("<IQIQ", 1, 32, 0, 0) + text("b") + struct.pack("<IQIQ", 1, 32, 0, 32)
    save(to, "overlap", over + bytes(512))
    wide = b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + text("a") + struct.pack("<IQQQQIQ", 4, 1 << 40, 1 << 40, 1 << 40, 1 << 40, 0, 0)
    save(to, "wide", wide + bytes(64))


def make_hf(to):
    base = {"model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "vocab_size": 100, "max_position_embeddings": 64, "torch_dtype": "bfloat16"}
    small = {**base, "num_hidden_layers": 1}

    def put(name, config):
        save(to, name, json.dumps(config).encode())

    put("llama", base)
    put("gpt2", {"model_type": "gpt2", "n_embd": 32, "n_head": 2, "n_layer": 1, "n_positions": 16, "vocab_size": 50})
    put("experts", {**small, "model_type": "qwen3_moe", "head_dim": 16, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32})
    put("deepseek", {**small, "model_type": "deepseek_v32", "q_lora_rank": 32, "kv_lora_rank": 16, "qk_nope_head_dim": 8, "qk_rope_head_dim": 8,
                     "v_head_dim": 8, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2, "moe_intermediate_size": 32,
                     "first_k_dense_replace": 0, "index_n_heads": 2, "index_head_dim": 8, "index_topk": 4, "num_nextn_predict_layers": 1})
    put("nemotron", {**small, "model_type": "nemotron_h", "num_hidden_layers": 4, "hybrid_override_pattern": "M*-E", "mamba_num_heads": 4,
                     "mamba_head_dim": 16, "ssm_state_size": 16, "n_groups": 2, "n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32})
    put("next", {**small, "model_type": "qwen3_next", "num_hidden_layers": 4, "linear_num_key_heads": 2, "linear_key_head_dim": 8,
                 "linear_num_value_heads": 4, "linear_value_head_dim": 8, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
                 "shared_expert_intermediate_size": 16})
    put("jamba", {**small, "model_type": "jamba", "num_hidden_layers": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "num_experts": 4, "num_experts_per_tok": 2})
    put("t5", {"model_type": "t5", "d_model": 32, "d_ff": 64, "d_kv": 16, "num_heads": 2, "num_layers": 1, "vocab_size": 64})
    put("whisper", {"model_type": "whisper", "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
                    "decoder_attention_heads": 2, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_mel_bins": 8, "max_source_positions": 20,
                    "max_target_positions": 16, "num_hidden_layers": 1, "vocab_size": 64})
    put("bert", {"model_type": "bert", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2,
                 "max_position_embeddings": 16, "type_vocab_size": 2, "vocab_size": 64})
    put("bloom", {"model_type": "bloom", "hidden_size": 32, "n_head": 2, "n_layer": 1, "vocab_size": 64})
    put("nested", {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "hidden_size": 64, "num_hidden_layers": 2}, "vision_config": {}})
    put("awq", {**base, "quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128}})
    put("fp8", {**base, "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}})
    put("nvfp4", {**base, "quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}})
    put("nf4", {**base, "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_use_double_quant": True}})
    put("compressed", {**base, "quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized", "ignore": ["lm_head"],
                       "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 128}}}}})
    put("unknown", {**base, "model_type": "wonder"})
    put("no_type", {"architectures": ["X"], "hidden_size": 1})
    put("heads", {**base, "num_attention_heads": 7})
    put("kv_heads", {**base, "num_key_value_heads": 3})
    put("negative", {**base, "num_hidden_layers": -3})
    put("many_experts", {**base, "model_type": "mixtral", "num_local_experts": 10**12, "num_experts_per_tok": 2})
    put("text", {**base, "hidden_size": "big"})
    put("most", {**base, "hidden_size": 1 << 20, "intermediate_size": 1 << 24, "vocab_size": 1 << 28, "num_attention_heads": 1, "num_key_value_heads": 1, "num_hidden_layers": 1})
    save(to, "nan", b'{"model_type": "llama", "hidden_size": NaN}')
    save(to, "list", b'["model_type"]')


def main():
    to = sys.argv[1]
    make_safetensors(os.path.join(to, "safetensors"))
    make_gguf(os.path.join(to, "gguf"))
    make_hf(os.path.join(to, "hugging_face"))


main()
