#include <gtest/gtest.h>

#include "tests/kernel_everywhere.h"

namespace taper::testing {
namespace {

using ir::kBatch;

// Every byte of an operand differs from its neighbours', so that a misplaced element shows.
runtime::AlignedBytes pattern(std::int64_t bytes, unsigned seed) {
  runtime::AlignedBytes data = runtime::allocate_aligned(static_cast<std::size_t>(bytes));
  std::mt19937 generator(seed);
  for (std::int64_t i = 0; i < bytes + 64; ++i) {
    data[static_cast<std::size_t>(i)] = static_cast<std::byte>(generator());
  }
  return data;
}

// Elements that `part` reaches in the operand (or in the result).
std::int64_t reach(const ir::CopyPart& part, bool source, std::int64_t batch) {
  std::int64_t last = source ? part.source_offset : part.result_offset;
  for (std::size_t i = 0; i < part.dims.size(); ++i) {
    const std::int64_t size = part.dims[i] == kBatch ? batch : part.dims[i];
    last += (size - 1) * (source ? part.source : part.result)[i];
  }
  return last + 1;
}

void copy_naively(const ir::CopyPart& part, std::int64_t batch, std::size_t size,
                  const std::byte* source, std::byte* result) {
  std::int64_t total = 1;
  for (const ir::Dim dim : part.dims) total *= dim == kBatch ? batch : dim;
  for (std::int64_t flat = 0; flat < total; ++flat) {
    std::int64_t index = flat, from = part.source_offset, to = part.result_offset;
    for (std::size_t i = part.dims.size(); i-- > 0;) {
      const std::int64_t extent = part.dims[i] == kBatch ? batch : part.dims[i];
      from += index % extent * part.source[i];
      to += index % extent * part.result[i];
      index /= extent;
    }
    std::memcpy(result + static_cast<std::size_t>(to) * size,
                source + static_cast<std::size_t>(from) * size, size);
  }
}

void check(ir::CopySpec spec, std::int64_t batch) {
  for (const ir::DType dtype : {ir::DType::f32, ir::DType::i32, ir::DType::f16, ir::DType::u8}) {
    spec.dtype = dtype;
    SCOPED_TRACE(ir::to_string(ir::KernelSpec(spec)) + " N=" + std::to_string(batch));
    const std::size_t size = ir::byte_size(dtype);
    const auto bytes = static_cast<std::int64_t>(size);
    std::vector<runtime::AlignedBytes> operands;
    std::vector<void*> pointers;
    std::int64_t elements = spec.result_size * (spec.result_batched ? batch : 1);
    for (std::int64_t i = 0; i < spec.operands; ++i) {
      std::int64_t needed = 1;
      for (const ir::CopyPart& part : spec.parts) {
        if (part.operand == i) needed = std::max(needed, reach(part, true, batch));
        elements = std::max(elements, reach(part, false, batch));
      }
      operands.push_back(pattern(needed * bytes, static_cast<unsigned>(i)));
      pointers.push_back(operands.back().get());
    }
    const auto got = run_everywhere([&](const ir::Isa& isa) { return codegen::compile(spec, isa); },
                                    pointers, {elements * bytes}, batch);
    ASSERT_EQ(got.size(), 1u);
    std::vector<std::byte> want(static_cast<std::size_t>(elements) * size, std::byte{0xa5});
    if (spec.has_fill) std::fill(want.begin(), want.end(), std::byte{0});
    for (const ir::CopyPart& part : spec.parts) {
      copy_naively(part, batch, size, operands[static_cast<std::size_t>(part.operand)].get(),
                   want.data());
    }
    EXPECT_EQ(std::memcmp(got[0].get(), want.data(), want.size()), 0);
  }
}

ir::CopySpec one(ir::CopyPart part) {
  ir::CopySpec spec;
  spec.parts.push_back(std::move(part));
  return spec;
}

TEST(Copy, Contiguous) {
  check(one({0, {}, {}, {}}), 1);
  check(one({0, {1}, {1}, {1}}), 1);
  check(one({0, {5}, {1}, {1}}), 1);
  check(one({0, {1029}, {1}, {1}, 3, 2}), 1);
  check(one({0, {64, 1024}, {1024, 1}, {1024, 1}}), 1);
  check(one({0, {kBatch}, {1}, {1}}), 7);
  check(one({0, {kBatch, 1}, {1, 1}, {1, 1}}), 7);
  check(one({0, {kBatch, 300}, {300, 1}, {300, 1}}), 5);
}

TEST(Copy, SlicesAndBroadcasts) {
  for (const std::int64_t columns : {1, 3, 8, 15, 16, 17, 40, 255, 600}) {
    check(one({0, {kBatch, columns}, {columns + 5, 1}, {columns, 1}, 2}), 3);
    check(one({0, {6, columns}, {1, 0}, {columns, 1}}), 1);            // broadcast along columns
    check(one({0, {6, columns}, {0, 1}, {columns, 1}}), 1);            // and along rows
    check(one({0, {6, columns}, {2 * columns, 2}, {columns, 1}}), 1);  // every second one
    check(one({0, {4, columns}, {columns, 1}, {3 * columns, 3}, 0, 1}), 1);
  }
}

TEST(Copy, RepeatsForImagesOrTheirParts) {
  for (const std::int64_t columns : {3, 16, 20}) {
    check(one({0, {kBatch, 4, columns}, {0, columns, 1}, {4 * columns, columns, 1}}), 3);
    check(one({0, {kBatch, 4, columns}, {columns, 0, 1}, {4 * columns, columns, 1}}), 3);
    check(one({0, {kBatch, 4, columns}, {0, 0, 1}, {4 * columns, columns, 1}}), 3);
  }
}

TEST(Copy, Transposes) {
  for (const std::int64_t rows : {1, 2, 5, 16, 33}) {
    for (const std::int64_t columns : {1, 7, 16, 70}) {
      check(one({0, {rows, columns}, {1, rows}, {columns, 1}}), 1);
      check(one({0,
                 {kBatch, rows, columns},
                 {rows * columns, 1, rows},
                 {rows * columns, columns, 1}}),
            3);
    }
  }
  check(one({0, {3, 4, 5, 6}, {1, 3, 12, 60}, {120, 30, 6, 1}}), 1);
  check(one({0, {3, 4, 5}, {40, 10, 2}, {60, 15, 3}}), 1);  // nothing is contiguous
}

// plain [N, channels, pixels] to and from c16: full blocks, then a partial one.
ir::CopySpec relayout(std::int64_t channels, std::int64_t pixels, bool to_blocks) {
  const std::int64_t full = channels / 16, rest = channels % 16;
  const std::int64_t image = (channels + 15) / 16 * 16 * pixels;
  const auto part = [&](std::vector<ir::Dim> dims, std::vector<std::int64_t> plain,
                        std::vector<std::int64_t> blocked, std::int64_t plain_offset,
                        std::int64_t blocked_offset) {
    ir::CopyPart p{
        0, std::move(dims), std::move(plain), std::move(blocked), plain_offset, blocked_offset};
    if (!to_blocks) {
      std::swap(p.source, p.result);
      std::swap(p.source_offset, p.result_offset);
    }
    return p;
  };
  ir::CopySpec spec;
  if (full > 0) {
    spec.parts.push_back(part({kBatch, full, pixels, 16},
                              {channels * pixels, 16 * pixels, 1, pixels},
                              {image, 16 * pixels, 16, 1}, 0, 0));
  }
  if (rest > 0) {
    spec.parts.push_back(part({kBatch, pixels, rest}, {channels * pixels, 1, pixels},
                              {image, 16, 1}, full * 16 * pixels, full * 16 * pixels));
  }
  return spec;
}

TEST(Copy, RelayoutsToAndFromBlocks) {
  for (const std::int64_t channels : {1, 3, 16, 32, 37}) {
    for (const std::int64_t pixels : {1, 6, 49}) {
      check(relayout(channels, pixels, true), 3);
      check(relayout(channels, pixels, false), 3);
    }
  }
}

TEST(Copy, ConcatenatesOperands) {
  ir::CopySpec spec;
  spec.operands = 2;
  spec.parts = {{0, {kBatch, 5}, {5, 1}, {12, 1}, 0, 0}, {1, {kBatch, 7}, {7, 1}, {12, 1}, 0, 5}};
  check(spec, 4);
  spec.parts = {{0, {3, 20}, {20, 1}, {20, 1}, 0, 0}, {1, {4, 20}, {20, 1}, {20, 1}, 0, 60}};
  check(spec, 1);
}

TEST(Copy, FillsAroundTheParts) {
  ir::CopySpec spec = one({0, {kBatch, 4, 5}, {20, 5, 1}, {56, 8, 1}, 0, 9});
  spec.has_fill = true;
  spec.result_size = 56;
  spec.result_batched = true;
  check(spec, 3);
  spec.parts[0] = {0, {4, 5}, {5, 1}, {8, 1}, 0, 9};
  spec.result_batched = false;
  check(spec, 1);
}

TEST(Copy, FillValuesAreConverted) {
  const auto first = [](ir::DType dtype, double value) {
    ir::CopySpec spec;
    spec.dtype = dtype;
    spec.operands = 0;
    spec.has_fill = true;
    spec.fill = value;
    spec.result_size = 9;
    const auto got = run_everywhere([&](const ir::Isa& isa) { return codegen::compile(spec, isa); },
                                    {}, {9 * static_cast<std::int64_t>(ir::byte_size(dtype))}, 1);
    std::uint32_t bits = 0;
    std::memcpy(&bits, got.at(0).get(), ir::byte_size(dtype));
    return bits;
  };
  EXPECT_EQ(first(ir::DType::f32, -1.5), 0xbfc00000u);
  EXPECT_EQ(first(ir::DType::bf16, -1.5), 0xbfc0u);
  EXPECT_EQ(first(ir::DType::f16, -1.5), 0xbe00u);
  EXPECT_EQ(first(ir::DType::f16, 65504), 0x7bffu);
  EXPECT_EQ(first(ir::DType::f16, 0x1p-24), 0x0001u);
  EXPECT_EQ(first(ir::DType::f16, 0x1p-14), 0x0400u);
  EXPECT_EQ(first(ir::DType::f16, -INFINITY), 0xfc00u);
  EXPECT_EQ(first(ir::DType::i8, -3), 0xfdu);
  EXPECT_EQ(first(ir::DType::u8, 200), 200u);
  EXPECT_EQ(first(ir::DType::i32, -2), 0xfffffffeu);
  EXPECT_EQ(first(ir::DType::boolean, 1), 1u);
}

TEST(Copy, BatchedPartsAreCutByImages) {
  const ir::Isa& isa = *host_isas().front();
  const auto batched = codegen::compile(relayout(37, 6, true), isa);
  EXPECT_EQ(batched->partition(), codegen::Partition::images);
  EXPECT_EQ(batched->units(5), 5);
  const auto fixed = codegen::compile(one({0, {6, 7}, {1, 6}, {7, 1}}), isa);
  EXPECT_EQ(fixed->partition(), codegen::Partition::units);
  EXPECT_EQ(fixed->units(5), 6);
}

}  // namespace
}  // namespace taper::testing
