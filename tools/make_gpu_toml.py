#!/usr/bin/env python3
"""Writes data/gpu_models.toml and data/hardware_profiles.toml from a table of GPU facts.

usage: make_gpu_toml.py GPUS.csv OUT_DIR

This was run once; the TOML files are maintained by hand from then on. It is kept to show where each number came
from, and to add many GPUs at once. Empty cells of the table are left out, never guessed.
"""
import csv
import re
import sys

# Keys that are not simply the table's key with '-' as '_'. The ten keys that people use most come first in the files.
KEYS = {
    "h200-sxm": "h200", "h100-sxm": "h100", "rtx-5090": "rtx5090", "rtx-pro-6000-ws": "rtx_pro_6000",
    "rtx-4090": "rtx4090", "a100-80gb-pcie": "a100", "rtx-a6000": "a6000", "l40s": "l40s",
    "rtx-3090": "rtx3090", "v100-32gb-sxm": "v100",
    "rtx-a5000": "a5000", "rtx-a4000": "a4000", "b200-sxm": "b200", "b300-sxm": "b300",
    "gtx-1080-ti": "gtx1080ti", "jetson-agx-orin-64gb": "jetson_agx_orin",
}
FIRST = list(KEYS)[:10]

# Other names. nvidia-smi's names are as remembered; the name field itself, and the same without a leading "NVIDIA",
# "GeForce" or "Tesla", match without being listed.
ALIASES = {
    "h200": ["NVIDIA H200", "h200-sxm5", "h200-sxm-141gb", "h200-141gb"],
    "h100": ["NVIDIA H100 80GB HBM3", "h100-sxm5", "h100-sxm-80gb", "h100-80gb", "h100-80gb-sxm"],
    "rtx5090": ["5090"],
    "rtx_pro_6000": ["NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "pro6000", "rtx-pro-6000-blackwell",
                     "rtx-pro-6000-workstation", "rtx-pro-6000-96gb"],
    "rtx4090": ["4090"],
    "a100": ["NVIDIA A100 80GB PCIe", "a100-pcie-80gb", "a100-80gb"],
    "a6000": ["rtx-a6000-48gb"],
    "l40s": ["l40s-48gb"],
    "rtx3090": ["3090"],
    "v100": ["Tesla V100-SXM2-32GB", "v100-sxm-32gb", "v100-32gb"],
    "h200_nvl": ["h200-nvl-141gb"],
    "h100_pcie": ["NVIDIA H100 PCIe", "h100-pcie-80gb", "h100-80gb-pcie"],
    "h100_nvl": ["NVIDIA H100 NVL", "h100-nvl-94gb"],
    "gh200": ["NVIDIA GH200 480GB", "gh200-96gb"],
    "gh200_144gb": ["NVIDIA GH200 144G HBM3e"],
    "b200": ["NVIDIA B200", "b200-180gb"],
    "b300": ["NVIDIA B300", "NVIDIA B300 SXM6 AC", "b300-288gb"],
    "gb200": ["NVIDIA GB200", "gb200-nvl72"],
    "gb300": ["NVIDIA GB300", "gb300-nvl72"],
    "rtx_pro_6000_maxq": ["NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"],
    "rtx_pro_6000_server": ["NVIDIA RTX PRO 6000 Blackwell Server Edition"],
    "rtx5080": ["5080"], "rtx5070ti": ["5070ti"], "rtx5070": ["5070"],
    "rtx4080": ["4080"], "rtx4070ti": ["4070ti"],
    "rtx3090ti": ["3090ti"], "rtx3080": ["3080", "rtx3080-10gb", "NVIDIA GeForce RTX 3080"], "rtx3070": ["3070"],
    "rtx3060": ["3060", "rtx3060-12gb", "NVIDIA GeForce RTX 3060"],
    "rtx2080ti": ["2080ti", "NVIDIA GeForce RTX 2080 Ti"],
    "rtx_6000_ada": ["6000ada"],
    "a100_sxm_80gb": ["NVIDIA A100-SXM4-80GB", "a100-sxm4-80gb"],
    "a100_sxm_40gb": ["NVIDIA A100-SXM4-40GB", "a100-sxm4-40gb"],
    "a100_pcie_40gb": ["NVIDIA A100-PCIE-40GB", "A100 40GB PCIe"],
    "v100_pcie_32gb": ["Tesla V100-PCIE-32GB"],
    "v100_pcie_16gb": ["Tesla V100-PCIE-16GB"],
    "v100_sxm_16gb": ["Tesla V100-SXM2-16GB"],
    "p100_pcie_16gb": ["Tesla P100-PCIE-16GB", "p100", "p100-pcie"],
    "p100_sxm_16gb": ["Tesla P100-SXM2-16GB", "p100-sxm"],
    "l4": ["l4-24gb"], "t4": ["Tesla T4", "t4-16gb"], "gtx1080ti": ["1080ti"],
    "mi300x": ["AMD Instinct MI300X OAM"],
    "jetson_agx_orin": ["orin-agx", "agx-orin"],
}

# What nvidia-smi shows as total memory, MiB, where it is known well enough (as remembered, ECC as shipped; gb200 and
# b300 from ai-dynamo/aiconfigurator). gb300 takes the smaller, b300's. The rest follows the loader's rule.
MEMORY_MIB = {
    "h200": 143771, "h200_nvl": 143771, "h100": 81559, "h100_pcie": 81559, "h100_nvl": 95830, "gh200": 97871,
    "b200": 183359, "b300": 275040, "gb300": 275040, "gb200": 189471,
    "rtx5090": 32607, "rtx5080": 16303, "rtx5070ti": 16303, "rtx5070": 12227,
    "rtx_pro_6000": 97887, "rtx_pro_6000_maxq": 97887, "rtx_pro_6000_server": 97887,
    "rtx4090": 24564, "rtx4080": 16376, "rtx4070ti": 12282, "rtx_6000_ada": 49140, "l40s": 46068, "l40": 46068,
    "l4": 23034, "a100": 81920, "a100_sxm_80gb": 81920, "a100_sxm_40gb": 40960, "a100_pcie_40gb": 40960,
    "a10": 23028, "a10g": 23028, "a30": 24576, "a6000": 49140, "a5000": 24564,
    "rtx3090ti": 24564, "rtx3090": 24576, "rtx3080": 10240, "rtx3070": 8192, "rtx3060": 12288,
    "rtx2080ti": 11264, "titan_rtx": 24576, "t4": 15360, "gtx1080ti": 11264,
    "v100": 32768, "v100_pcie_32gb": 32768, "v100_sxm_16gb": 16384, "v100_pcie_16gb": 16384,
    "p100_pcie_16gb": 16384, "p100_sxm_16gb": 16384,
}
BANDWIDTH = {"h100": "3350"}  # the datasheet's rounded figure; the table says 3352

# What is doubtful about one GPU, repeated where its numbers are.
NOTES = {
    "h100": "Tensor peaks are at 1830 MHz, FP32 at 1980 MHz. "
            "Bandwidth: datasheet 3.35 TB/s (5120 bit x 5.24 Gbit/s = 3352).",
    "h200": "141 GB is decimal. Tensor peaks are at 1830 MHz, FP32 at 1980 MHz.",
    "b200": "SM count (148), L2 and FP32 are the least certain figures. aiconfigurator: 7700 GB/s.",
    "b300": "SM count: CUDA shows 148, an NVIDIA blog says 160. fp4 and int8 from aiconfigurator, which has 7750 GB/s.",
    "gb200": "SM count (148) and L2 are the least certain figures.",
    "gb300": "SM count: CUDA shows 148, an NVIDIA blog says 160.",
    "gh200": "tdp_watts covers CPU, GPU and memory (configurable from 450).",
    "gh200_144gb": "tdp_watts covers CPU, GPU and memory (configurable from 450).",
    "rtx_pro_6000_server": "Bandwidth: datasheet 1597, aiconfigurator 1792. FP32: datasheet 120.",
    "l4": "58 SMs; other sources count 60 (31.3 TFLOPS).",
    "rtx3090ti": "Tensor peaks derived from GA102 rates x boost clock.",
    "rtx3060": "Tensor peaks derived from GA10x rates x boost clock.",
    "jetson_agx_orin": "Memory is shared with the CPU; tdp_watts is the module's. GPU only, without the DLAs.",
    "mi250": "Two GCDs that software sees as two GPUs.",
    "mi250x": "Two GCDs that software sees as two GPUs.",
    "a10g": "Some sources list the A10's figures (150 W, 31.5 TFLOPS) under this name.",
}

HEAD_MODELS = """\
# The GPUs: what a datasheet says. How to add one: docs/adding-a-gpu.md
#
# Peaks are dense (no sparsity), at boost clock, with FP32 accumulation: GeForce tensor peaks are half of the
# advertised FP16-accumulate ones. TFLOPS, TOPS for integers; a peak that is absent means: no such unit.
# memory_gb is as sold; memory_mib is the total that nvidia-smi shows, where known (else memory_gb x 2^30 x 0.995).
# bandwidth_gbs is in 1e9 bytes/s, nvlink_gbs is both directions together. int4_tops: twice INT8 on Turing, Ampere and
# GeForce Ada (whitepapers; T4 260, A100 1248, RTX 4090 1321), absent where not known.
# Figures with a vendor's document as source are as remembered from it: check before quoting.

default_gpu = "rtx4090"
"""
HEAD_PROFILES = """\
# The GPUs in detail: clocks, caches, units. How to add one: docs/adding-a-gpu.md
#
# Only figures with a source are given. cache_hit_ratio, coalescing_efficiency, throttle temperatures, sustained
# factors and [profiles.KEY.model_performance.*] are for your own measurements: no vendor publishes them.
# l1_cache_kb is per SM (with shared memory from Volta on); tdp_watts is the board's limit as shipped.
# Sources are those of the same key in gpu_models.toml.
"""
CUSTOM_MODELS = """
# A template, not a product: the base that your own [profiles.custom] or [gpus.custom] changes. Round mid-range numbers.
[gpus.custom]
name = "Custom GPU (edit me)"
vendor = "custom"
memory_gb = 16
memory_type = "GDDR6"
bandwidth_gbs = 512
fp32_tflops = 30
tf32_tflops = 30
fp16_tflops = 60
bf16_tflops = 60
fp8_tflops = 120
int8_tops = 240
fp16_vector_tflops = 30
architecture = "Ada Lovelace"
compute_capability = 8.9
release_year = 2023
tdp_watts = 250
form = "PCIe"
nvlink_gbs = 0
pcie_gen = 4
"""
CUSTOM_PROFILES = """
[profiles.custom]
name = "Custom GPU (edit me)"
[profiles.custom.thermal]
tdp_watts = 250
base_clock_mhz = 1500
boost_clock_mhz = 2000
[profiles.custom.memory]
l1_cache_kb = 128
l2_cache_mb = 32
[profiles.custom.architecture]
cuda_cores = 7500
tensor_cores = 240
rt_cores = 60
streaming_multiprocessors = 60
memory_bus_width = 256
"""


def key_of(csv_key):
    if csv_key in KEYS:
        return KEYS[csv_key]
    m = re.fullmatch(r"(a100|v100|p100)-(\d+gb)-(pcie|sxm)", csv_key)
    if m:
        return f"{m[1]}_{m[3]}_{m[2]}"
    m = re.fullmatch(r"rtx-(\d{4})(?:-(ti))?", csv_key)
    if m:
        return "rtx" + m[1] + (m[2] or "")
    return csv_key.replace("-", "_")


def fold(name):
    return re.sub(r"[ _-]", "", name).lower()


def text(s):
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'


def aliases_of(key, row):
    seen, out = {fold(key), fold(row["name"])}, []
    for name in [row["key"]] + ALIASES.get(key, []):
        if fold(name) not in seen:
            seen.add(fold(name))
            out.append(name)
    return out


def int4_of(row):
    """Twice INT8 where the vendor's documents say so."""
    cc = row["compute_capability"]
    known = cc in ("7.5", "8.0", "8.6") or (cc == "8.9" and "GeForce" in row["name"])
    return f"{2 * float(row['int8_tops_dense']):g}" if known and row["int8_tops_dense"] else ""


def model_entry(key, row):
    lines = ["", "# " + row["source"]]
    if key in NOTES:
        lines.append("# " + NOTES[key])
    cc = row["compute_capability"]
    if not re.fullmatch(r"[\d.]+", cc):
        lines.append(f"# compute target {cc}; units: stream processors and matrix cores")
        cc = ""
    lines.append(f"[gpus.{key}]")
    fields = [
        ("name", text(row["name"])), ("vendor", text(row["vendor"])),
        ("memory_gb", row["memory_gb"]), ("memory_mib", str(MEMORY_MIB.get(key, ""))),
        ("memory_type", text(row["memory_type"])),
        ("bandwidth_gbs", BANDWIDTH.get(key, row["bandwidth_gbs"])), ("fp32_tflops", row["fp32_tflops"]),
        ("tf32_tflops", row["tf32_tflops_dense"]), ("fp16_tflops", row["fp16_tensor_tflops_dense"]),
        ("bf16_tflops", row["bf16_tensor_tflops_dense"]), ("fp8_tflops", row["fp8_tflops_dense"]),
        ("int8_tops", row["int8_tops_dense"]), ("int4_tops", int4_of(row)), ("fp4_tflops", row["fp4_tflops_dense"]),
        ("fp16_vector_tflops", row["fp16_nontensor_tflops"]),
        ("architecture", text(row["architecture"])), ("compute_capability", cc),
        ("release_year", row["release_date"][:4]), ("tdp_watts", row["tdp_w"]), ("idle_watts", row["idle_w"]),
        ("form", text(row["form"])), ("nvlink_gbs", row["nvlink_gbs_total"]), ("pcie_gen", row["pcie_gen"]),
    ]
    lines += [f"{name} = {value}" for name, value in fields if value != ""]
    aliases = aliases_of(key, row)
    if aliases:
        lines.append("aliases = [" + ", ".join(text(a) for a in aliases) + "]")
    return lines


def profile_entry(key, row):
    tables = {
        "thermal": [("tdp_watts", row["tdp_w"]), ("base_clock_mhz", row["base_mhz"]),
                    ("boost_clock_mhz", row["boost_mhz"])],
        "memory": [("l1_cache_kb", row["l1_kb_per_sm"]), ("l2_cache_mb", row["l2_mb"])],
        "architecture": [("cuda_cores", row["cuda_cores"]), ("tensor_cores", row["tensor_cores"]),
                         ("rt_cores", row["rt_cores"]), ("streaming_multiprocessors", row["sms"]),
                         ("memory_bus_width", row["memory_bus_bits"])],
    }
    lines = ["", f"[profiles.{key}]", "name = " + text(row["name"])]
    for table, fields in tables.items():
        lines.append(f"[profiles.{key}.{table}]")
        lines += [f"{name} = {value}" for name, value in fields if value != ""]
    return lines


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    rows.sort(key=lambda r: FIRST.index(r["key"]) if r["key"] in FIRST else len(FIRST))
    owner = {}
    models, profiles = [], []
    for row in rows:
        key = key_of(row["key"])
        for name in [key] + aliases_of(key, row):
            if owner.setdefault(fold(name), key) != key:
                sys.exit(f"alias {name!r} names both {owner[fold(name)]} and {key}")
        models += model_entry(key, row)
        profiles += profile_entry(key, row)
    for path, head, lines, custom in (("gpu_models.toml", HEAD_MODELS, models, CUSTOM_MODELS),
                                      ("hardware_profiles.toml", HEAD_PROFILES, profiles, CUSTOM_PROFILES)):
        with open(f"{sys.argv[2]}/{path}", "w", encoding="utf-8", newline="\n") as f:
            f.write(head + "\n".join(lines) + "\n" + custom)
    unused = (set(ALIASES) | set(MEMORY_MIB) | set(NOTES)) - {key_of(r["key"]) for r in rows}
    if unused:
        sys.exit(f"no such GPU in the table: {sorted(unused)}")


if __name__ == "__main__":
    main()
