// What emitters of routines have in common.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "codegen/kernel.h"
#include "codegen/masm.h"

namespace taper::codegen {

class RoutineEmitter {
 protected:
  explicit RoutineEmitter(const ir::Isa& isa) : masm_(make_masm(isa)), m_(*masm_) {}

  void begin(std::string name) {
    name_ = std::move(name);
    m_.begin(name_);
  }
  Routine end() {
    m_.end();
    Masm::Code code = m_.finish();
    auto unpublished = std::make_shared<Routine::Code>();
    unpublished->bytes = std::move(code.bytes);
    return {std::move(name_), std::move(code.listing), std::move(unpublished)};
  }
  // A new register that holds the 64 bits at `field` of the args struct.
  Gp argument(std::int64_t field) {
    const Gp g = m_.gp();
    m_.load(g, {m_.args(), field});
    return g;
  }
  // Emits a loop of `turns`, at least one; a register that holds them counts them down.
  template <class Body>
  void loop(Gp turns, const Body& body) {
    const Label top = m_.label();
    m_.bind(top);
    body();
    m_.loop(turns, top);
  }
  template <class Body>
  void loop(std::int64_t turns, const Body& body) {
    const Gp left = m_.gp();
    m_.move(left, turns);
    loop(left, body);
    m_.release(left);
  }
  int halves() const { return m_.isa().vectors_per_block(); }

 private:
  std::string name_;
  std::unique_ptr<Masm> masm_;

 protected:
  Masm& m_;
};

}  // namespace taper::codegen
