phantom-gpu prices list --gpu h100 --cloud gcp --region us-east4 --today 2026-09-01
phantom-gpu prices list --gpu h100 --cloud gcp --region us-east4 --today 2026-12-01 --currency EUR=0.5 --top 1
phantom-gpu prices --gpu v100 --cloud aws --region us-east-1 --spot --json --today 2026-09-01 --top 1
phantom-gpu prices --gpu gtx1080ti
