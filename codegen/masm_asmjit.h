// What the emitters share: asmjit's assembler of one architecture, its errors, labels and bytes.
// Included by masm_x86.h and masm_a64.h only, behind the headers of asmjit that they choose.
#pragma once

#include <string>

#include "codegen/masm.h"
#include "ir/error.h"

namespace taper::codegen {

#ifdef NDEBUG
inline constexpr bool kValidates = false;
#else
inline constexpr bool kValidates = true;
#endif

template <class Assembler, class CondCode, asmjit::Arch arch>
class AsmjitMasm : public Masm {
 public:
  Label label() final { return {a_.newLabel().id()}; }
  void bind(Label l) final { a_.bind(asmjit::Label(l.id)); }

 protected:
  AsmjitMasm(const ir::Isa& isa, Gp args, Gp stack) : Masm(isa, args, stack) {
    code_.init(asmjit::Environment(arch));
    code_.setErrorHandler(&error_);
    if (recording_listings()) code_.setLogger(&logger_);
    code_.attach(&a_);
    // Takes as long as encoding: for whoever works on a kernel.
    if (recording_listings() || kValidates)
      a_.addDiagnosticOptions(asmjit::DiagnosticOptions::kValidateAssembler);
  }

  static CondCode condition_code(Condition c) {
    switch (c) {
      case Condition::equal:
        return CondCode::kEqual;
      case Condition::not_equal:
        return CondCode::kNotEqual;
      case Condition::less:
        return CondCode::kSignedLT;
      case Condition::less_equal:
        return CondCode::kSignedLE;
      case Condition::greater:
        return CondCode::kSignedGT;
      case Condition::greater_equal:
        return CondCode::kSignedGE;
    }
    throw Error("unknown condition");
  }

  // Throws taper::Error with asmjit's first message, if there is one.
  Code encoded() const {
    if (!error_.message.empty()) throw Error("invalid {} code: {}", isa_.name, error_.message);
    if (code_.hasUnresolvedLinks()) throw Error("a label of a kernel was never bound");
    const asmjit::CodeBuffer& buffer = code_.textSection()->buffer();
    return {{buffer.begin(), buffer.end()}, {logger_.data(), logger_.dataSize()}};
  }

 private:
  struct FirstError : asmjit::ErrorHandler {
    std::string message;
    void handleError(asmjit::Error, const char* text, asmjit::BaseEmitter*) override {
      if (message.empty()) message = text;
    }
  };

  asmjit::StringLogger logger_;
  FirstError error_;
  asmjit::CodeHolder code_;

 protected:
  Assembler a_;
};

}  // namespace taper::codegen
