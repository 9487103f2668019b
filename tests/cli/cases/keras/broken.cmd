# Broken Keras files: one line that says where and what to do.
corpus=$ROOT/tests/fuzz/corpora/keras
for name in no_model.h5 no_config.keras bomb.keras; do
    cp "$corpus/$name" .
    phantom-gpu load-model ./$name --format keras; echo "$name: exit $?"
done
head -c 3000 "$corpus/mlp_old_groups.h5" >cut.h5
phantom-gpu load-model cut.h5; echo "cut: exit $?"
