# Files that can't be read, or hold something else than they should: one line that says what to do, and status 1.
try() {
    phantom-gpu load-model "$@" --gpu a100 --out result
    echo "$*: exit $?"
}
try missing.onnx
: >empty.onnx
try empty.onnx
mkdir folder
try ./folder
mkfifo fifo.onnx
try fifo.onnx
for n in 1 20 60 100; do
    head -c $n good.onnx >cut.onnx
    try cut.onnx
done
printf 'PK\003\004...' >model.pt
try ./model.pt
printf '\211HDF\r\n\032\n...' >model.h5
try ./model.h5
printf 'GGUF\003...' >model.onnx
try model.onnx
printf 'version https://git-lfs.github.com/spec/v1\n' >pointer.onnx
try pointer.onnx
mkdir checkout
cp pointer.onnx checkout/saved_model.pb
try ./checkout
cp good.onnx folder/one.onnx
try ./folder
for n in two three four; do cp good.onnx folder/$n.onnx; done
try ./folder
printf 'PK\003\004...' >model.zip
try model.zip
dd if=/dev/zero bs=257 count=1 2>/dev/null >model.tar
printf 'ustar' >>model.tar
try model.tar
printf 'ftrt' >model.engine
try model.engine
printf '{"hidden_size": 8}' >config.json
try config.json
printf '<html>' >page.onnx
try page.onnx
printf 'hello' >hello
try ./hello
try ./hello --format onnx
try huge.onnx
try cyclic.onnx
try undefined.onnx
try good.onnx --batch-size 0
try good.onnx --seq-len 5
try good.onnx --image-size 64
try good.onnx --input-shape y=1x64
try good.onnx >/dev/null
ls
