#include "codegen/masm_x86.h"

#include <bit>
#include <limits>

#include "ir/error.h"

namespace taper::codegen {

using namespace asmjit;

namespace {

constexpr int kTailMask = 320, kTailCount = 384, kScratch = 448, kFrame = 512;

// Every caller-saved register first: the pool hands out the lowest number.
constexpr int kPool[] = {0, 1, 2, 3, 6, 8, 9, 10, 12, 13, 14, 15};
const x86::Gp kSaved[] = {x86::rbx, x86::r12, x86::r13, x86::r14, x86::r15};

x86::Gp gpq(Gp r) {
  return x86::gpq(r.id);
}

bool fits_i32(std::int64_t value) {
  return value >= std::numeric_limits<std::int32_t>::min() &&
         value <= std::numeric_limits<std::int32_t>::max();
}

}  // namespace

MasmX86::MasmX86(const ir::Isa& isa) : AsmjitMasm(isa, {x86::Gp::kIdDi}, {x86::Gp::kIdSp}) {
  free_vec_ = (1u << temp().id) - 1;
  for (const int id : kPool) free_gp_ |= 1u << id;
}

void MasmX86::begin(const std::string& name) {
  if (recording_listings()) a_.commentf("; %s", name.c_str());
  a_.push(x86::rbp);
  a_.mov(x86::rbp, x86::rsp);
  for (const x86::Gp& r : kSaved) a_.push(r);
  a_.sub(x86::rsp, kFrame);
  a_.and_(x86::rsp, -64);
}

void MasmX86::end() {
  a_.lea(x86::rsp, x86::ptr(x86::rbp, -8 * static_cast<int>(std::size(kSaved))));
  for (auto r = std::rbegin(kSaved); r != std::rend(kSaved); ++r) a_.pop(*r);
  a_.pop(x86::rbp);
  a_.vzeroupper();
  a_.ret();
}

MasmX86::Mem MasmX86::mem(Address a) const {
  if (!fits_i32(a.offset)) throw Error("an address offset does not fit in 32 bits");
  return x86::ptr(gpq(a.base), static_cast<std::int32_t>(a.offset));
}

MasmX86::Mem MasmX86::tail_mask() const {
  return x86::ptr(x86::rsp, kTailMask);
}
MasmX86::Mem MasmX86::tail_count() const {
  return x86::dword_ptr(x86::rsp, kTailCount);
}
MasmX86::Mem MasmX86::scratch() const {
  return x86::ptr(x86::rsp, kScratch);
}

MasmX86::Mem MasmX86::pool(std::vector<std::uint32_t> words) {
  for (const PoolEntry& entry : pool_)
    if (entry.words == words) return x86::ptr(entry.label);
  pool_.push_back({std::move(words), a_.newLabel()});
  return x86::ptr(pool_.back().label);
}

MasmX86::Mem MasmX86::splat(std::uint32_t bits) {
  if (wide()) return pool({bits})._1to16();
  return pool(std::vector<std::uint32_t>(8, bits));
}

void MasmX86::move(Gp d, std::int64_t value) {
  value == 0 ? a_.xor_(x86::gpd(d.id), x86::gpd(d.id)) : a_.mov(gpq(d), value);
}
void MasmX86::move(Gp d, Gp s) {
  if (d != s) a_.mov(gpq(d), gpq(s));
}
void MasmX86::load(Gp d, Address a) {
  a_.mov(gpq(d), mem(a));
}
void MasmX86::load_i32(Gp d, Address a) {
  Mem source = mem(a);
  source.setSize(4);
  a_.movsxd(gpq(d), source);
}
void MasmX86::store(Address a, Gp s) {
  a_.mov(mem(a), gpq(s));
}

void MasmX86::add(Gp d, std::int64_t value) {
  if (value == 0) return;
  if (fits_i32(value)) {
    a_.add(gpq(d), value);
    return;
  }
  a_.mov(x86::r11, value);
  a_.add(gpq(d), x86::r11);
}
void MasmX86::add(Gp d, Gp s) {
  a_.add(gpq(d), gpq(s));
}
void MasmX86::mul(Gp d, Gp s) {
  a_.imul(gpq(d), gpq(s));
}
void MasmX86::shift_left(Gp d, int bits) {
  a_.shl(gpq(d), bits);
}

void MasmX86::jump(codegen::Label l) {
  a_.jmp(asmjit::Label(l.id));
}

void MasmX86::jump_if(Condition c, Gp a, std::int64_t b, codegen::Label l) {
  if (b == 0) {
    a_.test(gpq(a), gpq(a));
  } else if (fits_i32(b)) {
    a_.cmp(gpq(a), b);
  } else {
    a_.mov(x86::r11, b);
    a_.cmp(gpq(a), x86::r11);
  }
  a_.j(condition_code(c), asmjit::Label(l.id));
}

void MasmX86::loop(Gp count, codegen::Label top) {
  a_.sub(gpq(count), 1);
  a_.j(x86::CondCode::kSignedGT, asmjit::Label(top.id));
}

// PREFETCHW does nothing where the processor does not have it.
void MasmX86::prefetch(Address a, Prefetch how) {
  how == Prefetch::write         ? a_.prefetchw(mem(a))
  : how == Prefetch::first_level ? a_.prefetcht0(mem(a))
                                 : a_.prefetcht1(mem(a));
}

Masm::Code MasmX86::finish() {
  a_.align(AlignMode::kZero, 64);
  for (const PoolEntry& entry : pool_) {
    a_.align(AlignMode::kZero, static_cast<std::uint32_t>(std::bit_ceil(4 * entry.words.size())));
    a_.bind(entry.label);
    a_.embed(entry.words.data(), 4 * entry.words.size());
  }
  return encoded();
}

}  // namespace taper::codegen
