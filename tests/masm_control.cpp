// Masm: general registers, control flow, the register pool, misuse.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "ir/error.h"
#include "masm_run.h"

namespace taper {
namespace {

using codegen::Condition;
using codegen::Gp;
using codegen::Label;
using codegen::Prefetch;
using codegen::Vec;

class MasmControlTest : public testing::TestWithParam<const ir::Isa*> {
 protected:
  const ir::Isa& isa_ = *GetParam();
};

INSTANTIATE_TEST_SUITE_P(Isas, MasmControlTest, testing::ValuesIn(host_isas()),
                         [](const auto& info) { return std::string(info.param->name); });

TEST_P(MasmControlTest, GeneralRegistersAndLoops) {
  const auto m = codegen::make_masm(isa_);
  // sum over i in 1..10 of (3 i - 1) << 2, and every jump condition.
  const codegen::CodeMemory code = assemble(*m, [&] {
    const Gp out = pointer(*m, 0), count = m->gp(), sum = m->gp(), t = m->gp();
    m->move(count, 10);
    m->move(sum, 0);
    const Label top = m->label();
    m->bind(top);
    m->move(t, 3);
    m->mul(t, count);
    m->add(t, -1);
    m->shift_left(t, 2);
    m->add(sum, t);
    m->loop(count, top);
    m->store({out}, sum);
    m->load_i32(t, {out, 8});
    m->add(sum, t);
    m->store({out, 16}, sum);
    m->move(count, 0);
    m->move(t, 7);
    int bit = 0;
    const auto check_jump = [&](Condition c, std::int64_t against) {
      const Label skip = m->label();
      m->jump_if(c, t, against, skip);
      m->add(count, std::int64_t{1} << bit++);
      m->bind(skip);
    };
    for (const std::int64_t against : {std::int64_t{0}, std::int64_t{7}, std::int64_t{1} << 40})
      for (int c = 0; c <= static_cast<int>(Condition::greater_equal); ++c)
        check_jump(static_cast<Condition>(c), against);
    m->store({out, 24}, count);
    const Label end = m->label();
    m->jump(end);
    m->store({out}, t);
    m->bind(end);
    for (const Prefetch how : {Prefetch::first_level, Prefetch::second_level, Prefetch::write})
      for (const std::int64_t offset : {0, 1 << 30}) m->prefetch({out, offset}, how);
  });
  std::int64_t out[4] = {0, 0xffffffff, 0, 0};
  const void* args[] = {out};
  code.entry()(args);
  EXPECT_EQ(out[0], 4 * (3 * 55 - 10));
  EXPECT_EQ(out[2], out[0] - 1);
  std::int64_t want = 0;
  int bit = 0;
  for (const std::int64_t b : {std::int64_t{0}, std::int64_t{7}, std::int64_t{1} << 40})
    for (const bool jumps : {7 == b, 7 != b, 7 < b, 7 <= b, 7 > b, 7 >= b})
      want |= std::int64_t{!jumps} << bit++;
  EXPECT_EQ(out[3], want);
}

// All registers may be used: the caller's survive.
TEST_P(MasmControlTest, CalleeSavedRegistersSurvive) {
  const auto m = codegen::make_masm(isa_);
  int general = 0;
  const codegen::CodeMemory code = assemble(*m, [&] {
    for (;; ++general) {
      Gp r;
      try {
        r = m->gp();
      } catch (const Error&) {
        break;
      }
      m->move(r, -1);
    }
    while (m->free_vecs() > 0) m->zero(m->vec());
    EXPECT_THROW(m->vec(), Error);
  });
  EXPECT_GE(general, 10);
  std::vector<int> kept{1, 2, 3};
  for (std::size_t i = 0; i < 3; ++i) {
    code.entry()(nullptr);
    kept[i] *= 2;
  }
  EXPECT_EQ(kept, (std::vector<int>{2, 4, 6}));
}

TEST_P(MasmControlTest, PoolGrantsTheRegisterTileOfAContraction) {
  const auto m = codegen::make_masm(isa_);
  EXPECT_GE(m->free_vecs(), isa_.tile_rows * isa_.tile_blocks * isa_.vectors_per_block() + 2);
}

TEST_P(MasmControlTest, MisuseThrows) {
  const auto m = codegen::make_masm(isa_);
  const Vec v = m->vec();
  m->release(v);
  EXPECT_THROW(m->release(v), Error);
  EXPECT_THROW(m->release(Gp{}), Error);
  EXPECT_THROW(m->load(v, {m->args(), std::int64_t{1} << 40}), Error);
  m->jump(m->label());
  EXPECT_THROW(m->finish(), Error);
  codegen::record_listings(true);
  const auto invalid = codegen::make_masm(isa_);
  codegen::record_listings(false);
  invalid->zero(Vec{40});
  EXPECT_THROW(invalid->finish(), Error);
}

TEST_P(MasmControlTest, ListingOnlyOnRequest) {
  for (const bool on : {false, true}) {
    codegen::record_listings(on);
    const auto m = codegen::make_masm(isa_);
    codegen::record_listings(false);
    m->begin("named");
    m->end();
    const std::string listing = m->finish().listing;
    EXPECT_EQ(listing.find("\nret") != std::string::npos, on) << listing;
  }
}

}  // namespace
}  // namespace taper
