# TensorFlow's three kinds of files: what is said of the model, signatures, and what can't be.
about() {
    phantom-gpu load-model "$@" --gpu a100 --out result
    echo "$*: exit $?"
    sed '/^On /,$d' result
    rm -f result
}
about ./model
about model/saved_model.pb --signature features
about dense.pb
about lstm.pb
about trained.meta
about dense.pb --format tensor-flow
phantom-gpu load-model --model ./model --gpu a100 --signature training
phantom-gpu load-model --model dense.pb --gpu a100 --signature serving_default
head -c 300 dense.pb >cut.pb
phantom-gpu load-model --model cut.pb --gpu a100
phantom-gpu load-model --model dense.pb --gpu a100 --format onnx
