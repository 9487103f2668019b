phantom-gpu list-hardware --gpu 'NVIDIA A100-SXM4-80GB'
