// Parsers of what nodes are made of: types, expressions, attributes.
#pragma once

#include "ir/attrs.h"
#include "ir/parse_lexer.h"

namespace taper::ir {

TensorType parse_type(Lexer& lexer);

// "(a, b) { t0 = add(a, b); t0 }"; names are free.
Expr parse_expr(Lexer& lexer);

// "{key=value, ...}" into the attributes of `op`; nothing when there is no brace.
void parse_attrs(Lexer& lexer, Op op, Attrs& attrs);

// The single attribute of a leaf op, without its key.
void parse_leaf_attrs(Lexer& lexer, Op op, Attrs& attrs);

}  // namespace taper::ir
