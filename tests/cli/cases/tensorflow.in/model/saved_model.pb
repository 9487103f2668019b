Ý	
"serve*2.15.0÷
K
serving_default_xPlaceholder*
dtype0*
shape:ÿÿÿÿÿÿÿÿÿ 
3
k1VarHandleOp*
dtype0*
shape
: @
/
b1VarHandleOp*
dtype0*
shape:@
3
k2VarHandleOp*
dtype0*
shape
:@
/
b2VarHandleOp*
dtype0*
shape:
R
callStatefulPartitionedCallserving_default_xk1b1k2b2*
f	R
model‡
†
7
dense

inputs

kernel
bias
identity%
kernel/ReadReadVariableOpkernel3
dense/MatMulMatMulinputskernel/Read:value:0!
	bias/ReadReadVariableOpbiasC
dense/BiasAddBiasAdddense/MatMul:product:0bias/Read:value:0*

dense/ReluReludense/BiasAdd:output:0<
IdentityIdentitydense/Relu:activations:0^kernel/Read"
identityIdentity:output:0
û
A
model
x
k1
b1
k2
b2
y

hidden;
firstStatefulPartitionedCallxk1b1*
f	R
denseI
secondStatefulPartitionedCallfirst:output:0k2b2*
f	R
dense"
ysecond:output:0"
hiddenfirst:output:0*h
serving_defaultU
/
x*
serving_default_x:0ÿÿÿÿÿÿÿÿÿ "
y
call:0ÿÿÿÿÿÿÿÿÿ*f
featuresZ
/
x*
serving_default_x:0ÿÿÿÿÿÿÿÿÿ '
hidden
call:1ÿÿÿÿÿÿÿÿÿ@