# Kernels in place of a model, with mistakes.
for m in op: op:nosuch op:gemm op:gemm:m=0:n=1:k=1 op:gemm:m=-1:n=1:k=1 op:gemm:m=1e9:n=1:k=1 op:gemm:m=99999999999999999999:n=1:k=1 \
    op:gemm:m=1:n=1 op:gemm:m=1:n=1:k=1:k=2 op:gemm:m=1:n=1:k=1:x=1 op:gemm:m:n:k op:gemm:m=1:n=1:k=1:block=64 op:softmax:rows=1 op:conv2d:kernel=9:size=3 \
    op:conv2d:batch=1:in=64:out=128:kernel=3:size=56:stride=0 op:attention:heads=3:kv_heads=2; do
    phantom-gpu load-model "$m" --gpu a100; echo "$m: exit $?"
done
phantom-gpu load-model op:gemm:m=1000000000:n=1000000000:k=1000000000 --gpu a100 >/dev/null; echo "exit $?"
