# What each user gets against what each GPU makes; the front falls from left to right.
phantom-gpu compare-models llama-3.1-8b --pareto --gpus h100 --input-len 1024 --output-len 256 --plot p.svg
phantom-gpu compare-models llama-3.1-8b --pareto --gpus h100,l40s --output csv | awk -F, '
    NR > 1 && $8 ~ "true" { if ($1 == gpu && !($4 >= user && $5 < made)) print "not a front: " $0; gpu = $1; user = $4; made = $5; n++ }
    END { print (n > 8 ? "enough" : n) }'
phantom-gpu compare-models llama-3.1-8b --pareto --gpus h100 --json | grep -c '"on_front": true' | awk '{ print ($1 > 8) }'
head -c 60 p.svg; echo; grep -c circle p.svg | awk '{ print ($1 > 20) }'
phantom-gpu compare-models llama-3.1-8b llama-7b --pareto
phantom-gpu compare-models llama-3.1-8b --plot p.svg
phantom-gpu compare-models llama-3.1-70b --pareto --gpus t4
