
;
xPlaceholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ@
;
dense/kernelConst*
dtype0*
valueB@ 
+
dense/kernel/readIdentitydense/kernel
5

dense/biasConst*
dtype0*
value
B 
'
dense/bias/readIdentity
dense/bias
,
dense/MatMulMatMulxdense/kernel/read
7
dense/BiasAddBiasAdddense/MatMuldense/bias/read
!

dense/ReluReludense/BiasAdd
9

out/kernelConst*
dtype0*
valueB
 
'
out/kernel/readIdentity
out/kernel
T

out/MatMulMatMul
dense/Reluout/kernel/read^dense/BiasAdd*
transpose_b(
$
probabilitiesSoftmax
out/MatMul

nothingNoOp^probabilities