phantom-gpu list-gpus --output csv | grep -e '^key' -e '^a100,' | tr -d '\r'
