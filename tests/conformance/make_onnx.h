/* ONNX files from a few lines of text, so that test cases can be read and reviewed.
 *
 *   opset 13                            opset com.microsoft 1
 *   input x float [batch, 3, ?, 224]    a number, a name, or ? for a dim that the file leaves open
 *   weight w float [64, 3, 7, 7]        an initializer without data (as if in an external file)
 *   const c int64 [2] 1 -1              an initializer with data
 *   node Conv x w -> y : strides=[2,2] auto_pad="SAME_UPPER"       "_" is an input or output that is left out
 *   node com.microsoft::Attention ...   attributes: 1  0.5f  [1,2]  [0.5f]  "text"  int64[2]{1,-1}  @body
 *   graph body ... end                  a subgraph, before the node that uses it
 *   output y
 * '#' begins a comment. */
#ifndef TESTS_MAKE_ONNX_H
#define TESTS_MAKE_ONNX_H

#include <stdbool.h>
#include <stddef.h>

typedef struct bytes {
    unsigned char *ptr;
    size_t len, cap;
} bytes;

/* Appends a ModelProto made from the text; false, with `error` filled, when a line can't be understood. */
bool make_onnx(bytes *out, const char *text, char *error, size_t error_cap);

#endif
