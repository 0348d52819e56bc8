// The short lists of the IR behave as std::vector does, within their own memory and beyond it.
#include "ir/inline_vector.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

namespace taper::ir {
namespace {

using Short = InlineVector<std::int64_t, 4>;
using Long = std::vector<std::int64_t>;

// The same random edit of both.
void edit(Short& a, Long& b, std::mt19937& random) {
  const auto value = static_cast<std::int64_t>(random());
  const std::size_t at = random() % (b.size() + 1);
  const auto place = static_cast<std::ptrdiff_t>(at);
  const Long more{value, 1, 2};
  switch (random() % 7) {
    case 0:
      a.push_back(value), b.push_back(value);
      return;
    case 1:
      a.insert(a.begin() + at, value), b.insert(b.begin() + place, value);
      return;
    case 2:
      a.insert(a.begin() + at, more.begin(), more.end());
      b.insert(b.begin() + place, more.begin(), more.end());
      return;
    case 3:
      a.erase(a.begin() + at, a.end()), b.erase(b.begin() + place, b.end());
      return;
    case 4:
      if (at < b.size()) a.erase(a.begin() + at), b.erase(b.begin() + place);
      return;
    case 5:
      a.resize(at, value), b.resize(at, value);
      return;
    default:
      a.assign(at, value), b.assign(at, value);
  }
}

TEST(InlineVector, EditsAsAVectorDoes) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    Short a;
    Long b;
    for (int i = 0; i < 40; ++i) {
      edit(a, b, random);
      ASSERT_EQ(a, Short(b));
      ASSERT_EQ(Long(a.begin(), a.end()), b);
    }
  }
}

TEST(InlineVector, CopiesAndMoves) {
  for (const Long& values : {Long{}, Long{1, 2, 3, 4}, Long{1, 2, 3, 4, 5, 6, 7, 8, 9}}) {
    const Short original(values);
    Short copy = original, target{7, 7, 7, 7, 7, 7};
    Short moved = std::move(copy);
    EXPECT_EQ(moved, original);
    EXPECT_TRUE(copy.empty());  // NOLINT(bugprone-use-after-move): it can be used again
    copy.push_back(5);
    EXPECT_EQ(copy, Short{5});
    target = moved;
    EXPECT_EQ(target, original);
    target = std::move(moved);
    EXPECT_EQ(target, original);
  }
}

TEST(InlineVector, IsEqualWhereAVectorIs) {
  const std::vector<Long> lists{{}, {1}, {1, 2}, {1, 2, 3, 4, 5}, {2}, {1, 3}};
  for (const Long& a : lists)
    for (const Long& b : lists) EXPECT_EQ(Short(a) == Short(b), a == b);
}

}  // namespace
}  // namespace taper::ir
