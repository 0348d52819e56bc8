// Modules: what layers are, how they are put together, and how to write one.
//
//   class Block : public nn::Module {
//    public:
//     explicit Block(std::int64_t channels)
//         : conv_(add("conv", nn::Conv2d(channels, channels, 3, {.padding =
//         nn::same_padding(1)}))),
//           norm_(add("norm", nn::BatchNorm2d(channels))),
//           scale_(add_parameter("scale", {1})) {
//       init::constant(*scale_, 1);
//     }
//     Tensor operator()(const Tensor& x) const override {
//       const Tensor y = norm_(conv_(x));
//       return relu(x + y * x.tape().parameter(scale_));
//     }
//
//    private:
//     Child conv_, norm_;  // named "conv.weight", "norm.bias", ... by PyTorch's rules
//     std::shared_ptr<Variable> scale_;
//   };
#pragma once

#include <concepts>
#include <memory>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

#include "frontend/init.h"
#include "frontend/ops.h"
#include "frontend/tape.h"

namespace taper::nn {

using Parameters = std::vector<std::pair<std::string, std::shared_ptr<Variable>>>;

class Module;

// A module inside another: calling it records the module in a scope of its name.
class Child {
 public:
  Child(std::string name, std::shared_ptr<const Module> module)
      : name_(std::move(name)), module_(std::move(module)) {}
  Tensor operator()(const Tensor& x) const;
  const std::string& name() const { return name_; }
  const Module& module() const { return *module_; }

 private:
  std::string name_;
  std::shared_ptr<const Module> module_;
};

// A layer: calling it records its computation on the input's tape. A copy of a layer shares its
// variables. What it has is registered with add*() by its constructor.
class Module {
 public:
  virtual ~Module() = default;
  virtual Tensor operator()(const Tensor& x) const = 0;

  // Names as in PyTorch's state_dict: "0.weight", "block.conv.bias".
  Parameters parameters() const { return collected(&Module::parameters_); }  // trained
  // State that goes with them: running statistics.
  Parameters buffers() const { return collected(&Module::buffers_); }

 protected:
  // Each throws taper::Error for a name that is empty, taken or contains a dot. New variables hold
  // zeros.
  std::shared_ptr<Variable> add_parameter(const std::string& name, Shape shape) {
    return add_to(parameters_, name, std::move(shape));
  }
  std::shared_ptr<Variable> add_buffer(const std::string& name, Shape shape) {
    return add_to(buffers_, name, std::move(shape));
  }
  template <std::derived_from<Module> Layer>
  Child add(const std::string& name, Layer layer) {
    return add_child(name, std::make_shared<Layer>(std::move(layer)));
  }
  Child add_child(const std::string& name, std::shared_ptr<const Module> module);

 private:
  void check_name(const std::string& name) const;
  Parameters collected(Parameters Module::*own) const;
  std::shared_ptr<Variable> add_to(Parameters& list, const std::string& name, Shape shape);

  Parameters parameters_, buffers_;
  std::vector<Child> children_;
};

// Layers one after another, named "0", "1", ... In braces, Sequential{Linear(4, 8), Linear(8, 2)},
// they are made in the order they are written; in parentheses C++ leaves the order to the compiler,
// and with it which random numbers become whose initial weights.
class Sequential : public Module {
 public:
  template <std::derived_from<Module>... Layers>
  explicit Sequential(Layers... layers) {
    (append(std::move(layers)), ...);
  }
  template <std::derived_from<Module> Layer>
  Sequential& append(Layer layer) {
    layers_.push_back(add(std::to_string(layers_.size()), std::move(layer)));
    return *this;
  }
  Tensor operator()(const Tensor& x) const override;

 private:
  std::vector<Child> layers_;
};

// body(x) + x, or body(x) + shortcut(x); their names are "body" and "shortcut".
class Residual : public Module {
 public:
  template <std::derived_from<Module> Body>
  explicit Residual(Body body, std::source_location where = std::source_location::current())
      : branches_{add("body", std::move(body))}, where_(where) {}
  template <std::derived_from<Module> Body, std::derived_from<Module> Shortcut>
  Residual(Body body, Shortcut shortcut,
           std::source_location where = std::source_location::current())
      : branches_{add("body", std::move(body)), add("shortcut", std::move(shortcut))},
        where_(where) {}
  Tensor operator()(const Tensor& x) const override;

 private:
  std::vector<Child> branches_;
  std::source_location where_;
};

}  // namespace taper::nn
