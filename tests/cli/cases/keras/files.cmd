# Keras files by their bytes: whole models, weights alone, a layer that is not known.
corpus=$ROOT/tests/fuzz/corpora/keras
about() {
    phantom-gpu load-model "$@" --gpu a100 | sed -n '1,/^On /p' | grep -v '^On '
}
cp "$corpus/mlp_old_groups.h5" model.h5
cp "$corpus/deflated.keras" shared.keras
cp "$corpus/weights_alone.h5" weights
cp "$corpus/unknown_layer.h5" unknown.hdf5
about model.h5
about shared.keras
about ./weights
about unknown.hdf5
phantom-gpu load-model unknown.hdf5 --strict; echo "exit $?"
phantom-gpu load-model model.h5 --format onnx; echo "exit $?"
