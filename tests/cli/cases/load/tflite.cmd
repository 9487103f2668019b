# What a TensorFlow Lite file is, said as for other formats; what is wrong with one, and where.
lite=$ROOT/tests/fuzz/corpora/tflite
for model in image_int8 free_dims custom; do
    phantom-gpu load-model --model "$lite/$model.tflite" --gpu a100 | sed -n '1,/^On/p' | grep -v '^On'
done
phantom-gpu load-model "$lite/described.tflite" --gpu a100 | sed -n '/^  Metadata/,/^$/p'
phantom-gpu load-model "$lite/described.tflite" --gpu a100 --json | grep -A 3 '"metadata"'
phantom-gpu load-model "$lite/branches.tflite" --signature second --gpu a100 | grep Operators
phantom-gpu load-model "$lite/branches.tflite" --signature third; echo "exit $?"
phantom-gpu load-model "$lite/custom.tflite" --strict; echo "exit $?"
phantom-gpu load-model "$lite/free_dims.tflite" --seq-len 7 --batch-size 2 --gpu a100 --json | grep -c '"latency_ms"'
head -c 600 "$lite/image.tflite" >cut.tflite
phantom-gpu load-model cut.tflite; echo "exit $?"
phantom-gpu load-model cut.tflite --format onnx; echo "exit $?"
# By the bytes, whatever its name.
cp "$lite/image.tflite" model.bin
phantom-gpu load-model ./model.bin --gpu a100 | grep MACs
phantom-gpu compare-models "$lite/image.tflite" "$lite/image_int8.tflite" --gpus a100 -b 8 --output csv | cut -d, -f1-3
