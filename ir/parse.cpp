// The parser of what print.cpp writes. Every type is inferred again and compared with the written
// one; only leaves, views and layouts are taken as written. Kernel nodes are the end state of
// lowering: they print, and parsing them is an error.
#include <algorithm>
#include <memory>
#include <unordered_map>

#include "ir/graph.h"
#include "ir/node_type.h"
#include "ir/parse_values.h"
#include "ir/text.h"

namespace taper::ir {
namespace {

constexpr std::size_t kMaxNodes = 1'000'000;
constexpr std::size_t kMaxFileName = 4096;

class GraphParser {
 public:
  GraphParser(std::string_view text, std::string_view name)
      : lexer_(text, name), text_name_(std::make_shared<const std::string>(name)) {}

  Graph parse() {
    lexer_.expect("graph");
    lexer_.expect('{');
    while (!lexer_.at('}')) parse_statement();
    lexer_.expect('}');
    if (lexer_.peek().kind != Lexer::Kind::end) lexer_.fail_expected("the end of the text");
    return std::move(graph_);
  }

 private:
  void parse_statement() {
    if (lexer_.accept("return")) {
      std::string name = lexer_.string();
      lexer_.expect('=');
      graph_.outputs.push_back({std::move(name), parse_value()});
    } else if (lexer_.accept("update")) {
      const ValueId variable = parse_value();
      lexer_.expect('=');
      graph_.updates.push_back({variable, parse_value()});
    } else {
      parse_definition();
    }
  }

  void parse_definition() {
    const Lexer::Token name =
        lexer_.expect(Lexer::Kind::value, "'%name = ...', 'return', 'update' or '}'");
    if (graph_.size() == kMaxNodes) lexer_.fail(name, "a graph has at most 1000000 nodes");
    lexer_.expect('=');
    Node node = parse_node();
    node.location = lexer_.accept("loc") ? parse_location() : place_of(name);
    // The name is defined after its own line, so that no node is its own operand.
    const ValueId id = graph_.append(std::move(node));
    if (!values_.emplace(name.text, id).second)
      lexer_.fail(name, "%{} is already defined", name.text);
  }

  Location place_of(const Lexer::Token& token) const {
    return {text_name_, static_cast<std::uint32_t>(token.line),
            static_cast<std::uint32_t>(token.column)};
  }

  // ("FILE":LINE), ("FILE":LINE:COLUMN)
  Location parse_location() {
    lexer_.expect('(');
    const Lexer::Token token = lexer_.peek();
    const std::string file = lexer_.string();
    const auto is_control = [](char c) {
      return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
    };
    if (file.empty() || file.size() > kMaxFileName || std::ranges::any_of(file, is_control)) {
      lexer_.fail(token, "a file name has 1 to {} characters, none of them a control character",
                  kMaxFileName);
    }
    // Most nodes are from the same file as the one before.
    if (!file_ || *file_ != file) file_ = std::make_shared<const std::string>(file);
    const std::uint32_t line = parse_place("line");
    const std::uint32_t column = lexer_.at(':') ? parse_place("column") : 0;
    lexer_.expect(')');
    return {file_, line, column};
  }

  std::uint32_t parse_place(std::string_view what) {
    lexer_.expect(':');
    const Lexer::Token token = lexer_.peek();
    const std::int64_t number = lexer_.integer();
    if (number < 1) lexer_.fail(token, "the {} {} is less than 1", what, number);
    return static_cast<std::uint32_t>(number);
  }

  Op parse_op() {
    const Lexer::Token token = lexer_.peek();
    const auto op = token.kind == Lexer::Kind::word ? op_named(token.text) : std::nullopt;
    if (!op) lexer_.fail_expected("the name of an op");
    if (*op == Op::kernel)
      lexer_.fail(token, "a kernel node is the end state of lowering and cannot be parsed");
    lexer_.next();
    return *op;
  }

  Node parse_node() {
    Node node;
    const Lexer::Token where = lexer_.peek();
    node.op = parse_op();
    if (traits(node.op).arity == 0)
      parse_leaf_attrs(lexer_, node.op, node.attrs);
    else
      parse_operands(node);
    lexer_.expect(':');
    const Lexer::Token type_token = lexer_.peek();
    node.type = parse_type(lexer_);
    check_type(node, where, type_token);
    return node;
  }

  void parse_operands(Node& node) {
    const Lexer::Token open = lexer_.peek();
    lexer_.expect('(');
    parse_values(node.operands);
    const std::size_t own = node.operands.size();
    if (lexer_.accept(';')) parse_values(node.operands);
    const std::size_t extra = node.operands.size() - own;
    lexer_.expect(')');
    parse_attrs(lexer_, node.op, node.attrs);
    const int arity = arity_of(node);
    if (arity != kVariadic && own != static_cast<std::size_t>(arity))
      lexer_.fail(open, "{} takes {} operands, got {}", traits(node.op).name, arity, own);
    if (lexer_.accept("epilogue")) node.epilogue = parse_expr(lexer_);
    const auto epilogue_operands = std::max<std::int64_t>(node.epilogue.inputs - 1, 0);
    if (static_cast<std::int64_t>(extra) != epilogue_operands) {
      lexer_.fail(open, "the epilogue takes {} operands after ';', got {}", epilogue_operands,
                  extra);
    }
  }

  void parse_values(Operands& values) {
    if (lexer_.peek().kind != Lexer::Kind::value) return;
    do {
      values.push_back(parse_value());
    } while (lexer_.accept(','));
  }

  ValueId parse_value() {
    const Lexer::Token token = lexer_.expect(Lexer::Kind::value, "a value such as %0");
    const auto it = values_.find(token.text);
    if (it == values_.end()) lexer_.fail(token, "%{} is not defined before this use", token.text);
    return it->second;
  }

  void check_type(const Node& node, const Lexer::Token& where, const Lexer::Token& type_token) {
    TensorType expected;
    try {
      expected = node_type(graph_, node);
    } catch (const Error& error) {
      lexer_.fail(where, "{}", with_op(node.op, error.what()));
    }
    expected.layout = node.type.layout;
    if (expected != node.type) {
      lexer_.fail(type_token, "the result of {} is {}, not {}", traits(node.op).name,
                  to_string(expected), to_string(node.type));
    }
  }

  Lexer lexer_;
  const std::shared_ptr<const std::string> text_name_;
  std::shared_ptr<const std::string> file_;  // of the last loc(...)
  Graph graph_;
  std::unordered_map<std::string_view, ValueId> values_;
};

}  // namespace

Graph parse(std::string_view text, std::string_view name) {
  return GraphParser(text, name).parse();
}

}  // namespace taper::ir
