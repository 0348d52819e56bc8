// Finished code as a Routine.
#pragma once

#include <memory>
#include <string>
#include <utility>

#include "codegen/kernel.h"
#include "codegen/masm.h"

namespace taper::codegen {

// Call after m.end().
inline Routine finish_routine(Masm& m, std::string name) {
  Masm::Code code = m.finish();
  auto unpublished = std::make_shared<Routine::Code>();
  unpublished->bytes = std::move(code.bytes);
  return {std::move(name), std::move(code.listing), std::move(unpublished)};
}

}  // namespace taper::codegen
