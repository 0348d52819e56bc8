#include "codegen/masm.h"

#include <atomic>
#include <bit>

#include "ir/error.h"

namespace taper::codegen {
namespace {

std::atomic<bool> listings{false};

std::uint8_t take_lowest(std::uint32_t& pool, std::string_view kind, std::string_view isa) {
  if (pool == 0) throw Error("a kernel needs more {} registers than {} has", kind, isa);
  const int id = std::countr_zero(pool);
  pool &= pool - 1;
  return static_cast<std::uint8_t>(id);
}

void give_back(std::uint32_t& pool, std::uint8_t id, std::string_view kind) {
  if (id >= 32 || (pool >> id & 1) != 0)
    throw Error("{} register {} is released but not in use", kind, id);
  pool |= 1u << id;
}

}  // namespace

Vec Masm::vec() {
  return {take_lowest(free_vec_, "vector", isa_.name)};
}
Gp Masm::gp() {
  return {take_lowest(free_gp_, "general", isa_.name)};
}
void Masm::release(Vec v) {
  give_back(free_vec_, v.id, "vector");
}
void Masm::release(Gp r) {
  give_back(free_gp_, r.id, "general");
}
int Masm::free_vecs() const {
  return std::popcount(free_vec_);
}
void Masm::constant(Vec d, float value) {
  constant_i32(d, std::bit_cast<std::uint32_t>(value));
}

void record_listings(bool on) {
  listings.store(on);
}
bool recording_listings() {
  return listings.load();
}

}  // namespace taper::codegen
