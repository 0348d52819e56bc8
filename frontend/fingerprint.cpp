#include "frontend/fingerprint.h"

#include <bit>
#include <string_view>

namespace taper {
namespace {

class Fnv1a {
 public:
  void add(std::uint64_t word, int bytes) {
    for (int i = 0; i < bytes; ++i) add(static_cast<std::uint8_t>(word >> (8 * i)));
  }
  void add(std::string_view text) {
    for (const char c : text) add(static_cast<std::uint8_t>(c));
    add(std::uint8_t{0});
  }
  void add(std::span<const float> values) {
    for (const float value : values) add(std::bit_cast<std::uint32_t>(value), 4);
  }
  std::uint64_t value() const { return hash_; }

 private:
  void add(std::uint8_t byte) { hash_ = (hash_ ^ byte) * 0x100000001b3; }

  std::uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace

std::uint64_t fingerprint(std::span<const float> values) {
  Fnv1a hash;
  hash.add(values);
  return hash.value();
}

std::uint64_t fingerprint(const runtime::Variables& variables) {
  Fnv1a hash;
  for (const auto& [name, variable] : variables) {
    hash.add(name);
    for (const ir::Dim extent : variable->type().shape)
      hash.add(static_cast<std::uint64_t>(extent), 8);
    hash.add(variable->read());
  }
  return hash.value();
}

}  // namespace taper
