#include "ir/parse_values.h"

#include <fmt/format.h>

#include <algorithm>

#include "ir/error.h"
#include "ir/text.h"

namespace taper::ir {
namespace {

constexpr std::size_t kMaxRank = 16;

template <class Enum>
Enum parse_enumerator(Lexer& lexer, std::string_view what) {
  const auto value = lexer.peek().kind == Lexer::Kind::word
                         ? enumerator_named<Enum>(lexer.peek().text)
                         : std::nullopt;
  if (!value) lexer.fail_expected(what);
  lexer.next();
  return *value;
}

// Reads the value of the attribute whose key is wanted, wherever `fields` shows it.
class FieldParser {
 public:
  FieldParser(Lexer& lexer, std::string_view key) : lexer_(lexer), key_(key) {}
  bool found = false;
  std::string known;  // the keys there are, for the error message

  template <class Value>
  void operator()(std::string_view key, Value& value) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", key);
    if (key != key_) return;
    found = true;
    parse(value);
  }

 private:
  void parse(std::int64_t& v) {
    const bool batch = holds_extents(key_) && lexer_.accept("N");
    v = batch ? kBatch : lexer_.integer();
  }
  void parse(std::uint64_t& v) { v = lexer_.unsigned_integer(); }
  void parse(double& v) { v = lexer_.real(); }
  void parse(std::string& v) { v = lexer_.string(); }
  void parse(Expr& v) { v = parse_expr(lexer_); }
  void parse(TensorType& v) { v = parse_type(lexer_); }
  void parse(bool& v) {
    v = lexer_.accept("true");
    if (!v && !lexer_.accept("false")) lexer_.fail_expected("true or false");
  }
  void parse(Boxed<KernelSpec>&) {
    lexer_.fail(lexer_.peek(), "a kernel node is the end state of lowering and cannot be parsed");
  }
  template <class Enum>
  requires std::is_enum_v<Enum>
  void parse(Enum& v) { v = parse_enumerator<Enum>(lexer_, fmt::format("a value of '{}'", key_)); }
  template <class T, std::size_t size>
  void parse(std::array<T, size>& v) {
    lexer_.expect('[');
    for (std::size_t i = 0; i < size; ++i) {
      if (i > 0) lexer_.expect(',');
      parse(v[i]);
    }
    lexer_.expect(']');
  }
  template <class List>
  requires requires { typename List::value_type; }
  void parse(List& v) {
    v.clear();
    lexer_.list('[', ']', [&] {
      typename List::value_type value{};
      parse(value);
      v.push_back(std::move(value));
    });
  }

  Lexer& lexer_;
  std::string_view key_;
};

FieldParser parse_field(Lexer& lexer, std::string_view key, Attrs& attrs) {
  FieldParser parser(lexer, key);
  std::visit([&](auto& a) { a.fields(parser); }, attrs);
  return parser;
}

class ExprParser {
 public:
  explicit ExprParser(Lexer& lexer) : lexer_(lexer) {}

  Expr parse() {
    parse_inputs();
    lexer_.expect('{');
    while (!lexer_.at('}')) {
      const Lexer::Token name = lexer_.expect(Lexer::Kind::word, "a name");
      if (!lexer_.accept('=')) {
        parse_outputs(name);
        break;
      }
      expr_.instrs.push_back(parse_instr());
      lexer_.expect(';');
      define(name);
    }
    lexer_.expect('}');
    return std::move(expr_);
  }

 private:
  void define(const Lexer::Token& name) {
    if (std::ranges::find(names_, name.text) != names_.end())
      lexer_.fail(name, "'{}' is already defined", name.text);
    if (names_.size() == kMaxNames) lexer_.fail(name, "this expression is too long");
    names_.push_back(name.text);
  }

  std::int16_t find(const Lexer::Token& name) const {
    const auto it = std::ranges::find(names_, name.text);
    if (it == names_.end()) lexer_.fail(name, "'{}' is not defined", name.text);
    return static_cast<std::int16_t>(it - names_.begin());
  }

  void parse_inputs() {
    lexer_.list('(', ')',
                [&] { define(lexer_.expect(Lexer::Kind::word, "the name of an input")); });
    expr_.inputs = static_cast<std::int64_t>(names_.size());
  }

  void parse_outputs(const Lexer::Token& first) {
    expr_.outputs.push_back(find(first));
    while (lexer_.accept(',')) {
      if (expr_.outputs.size() == kMaxNames) lexer_.fail(first, "this expression is too long");
      expr_.outputs.push_back(find(lexer_.expect(Lexer::Kind::word, "a name")));
    }
  }

  ExprInstr parse_instr() {
    ExprInstr instr;
    if (lexer_.at_real())
      instr.value = lexer_.real();
    else
      parse_call(instr);
    instr.dtype = natural_dtype(instr.op);
    if (lexer_.accept(':')) instr.dtype = parse_enumerator<DType>(lexer_, "a dtype");
    return instr;
  }

  void parse_call(ExprInstr& instr) {
    const auto op =
        lexer_.peek().kind == Lexer::Kind::word ? op_named(lexer_.peek().text) : std::nullopt;
    const bool fits = op && (traits(*op).elementwise || op == Op::cast || op == Op::random);
    if (!fits) lexer_.fail_expected("a number, an elementwise op, cast or random");
    lexer_.next();
    instr.op = *op;
    lexer_.expect('(');
    for (int i = 0; i < traits(*op).arity; ++i) {
      if (i > 0) lexer_.expect(',');
      instr.args[static_cast<std::size_t>(i)] =
          find(lexer_.expect(Lexer::Kind::word, "the name of a value"));
    }
    lexer_.expect(')');
    if (*op == Op::random) parse_random(instr);
  }

  void parse_random(ExprInstr& instr) {
    lexer_.expect('{');
    lexer_.expect("seed");
    lexer_.expect('=');
    instr.seed = lexer_.unsigned_integer();
    lexer_.expect(',');
    lexer_.expect("stream");
    lexer_.expect('=');
    instr.stream = lexer_.unsigned_integer();
    lexer_.expect('}');
  }

  // Linear search keeps order and index in one place; fused expressions have tens of names.
  static constexpr std::size_t kMaxNames = 4096;
  Lexer& lexer_;
  Expr expr_;
  std::vector<std::string_view> names_;
};

}  // namespace

TensorType parse_type(Lexer& lexer) {
  const Lexer::Token start = lexer.peek();
  TensorType type;
  type.dtype = parse_enumerator<DType>(lexer, "a tensor type such as f32[N,10]");
  lexer.list('[', ']', [&] {
    if (type.shape.size() == kMaxRank) lexer.fail(start, "a tensor has at most 16 dimensions");
    const Lexer::Token where = lexer.peek();
    const bool batch = lexer.accept("N");
    type.shape.push_back(batch ? kBatch : lexer.integer());
    if (batch && type.shape.size() > 1) lexer.fail(where, "N can only be the leading dimension");
    if (!batch && type.shape.back() < 0) lexer.fail(where, "a dimension cannot be negative");
  });
  try {
    element_count(type.shape, 1);
  } catch (const Error& error) {
    lexer.fail(start, "{}", error.what());
  }
  if (lexer.accept('{')) {
    type.layout = parse_enumerator<Layout>(lexer, "a layout (plain, c16, o16 or i16)");
    lexer.expect('}');
  }
  return type;
}

Expr parse_expr(Lexer& lexer) {
  return ExprParser(lexer).parse();
}

void parse_attrs(Lexer& lexer, Op op, Attrs& attrs) {
  attrs = default_attrs(op);
  if (!lexer.at('{')) return;
  std::vector<std::string_view> seen;
  lexer.list('{', '}', [&] {
    const Lexer::Token key = lexer.expect(Lexer::Kind::word, "the name of an attribute");
    if (std::ranges::find(seen, key.text) != seen.end())
      lexer.fail(key, "attribute '{}' is given twice", key.text);
    seen.push_back(key.text);
    lexer.expect('=');
    const FieldParser field = parse_field(lexer, key.text, attrs);
    if (!field.found)
      lexer.fail(key, "{} has no attribute '{}' (it has: {})", traits(op).name, key.text,
                 field.known.empty() ? "none" : field.known);
  });
}

void parse_leaf_attrs(Lexer& lexer, Op op, Attrs& attrs) {
  attrs = default_attrs(op);
  auto* constant = std::get_if<ConstantAttrs>(&attrs);
  if (constant && !lexer.at('['))
    constant->values = {lexer.real()};
  else
    parse_field(lexer, constant ? "values" : "name", attrs);
}

}  // namespace taper::ir
