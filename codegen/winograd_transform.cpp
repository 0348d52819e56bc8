#include "codegen/winograd_transform.h"

#include <utility>
#include <vector>

#include "codegen/expr.h"
#include "codegen/routine_emitter.h"
#include "codegen/sizes.h"
#include "codegen/winograd_lines.h"

namespace taper::codegen {
namespace {

using Line = LineTransform::Line;
constexpr int kTaps = 3;
constexpr std::int64_t kFilterStep = kTaps * kPixel * kTaps;
// Two lines of six values, the constants and the temporaries of a transform, and an epilogue.
constexpr int kRegistersOfPairs = 32;

class TransformEmitter : RoutineEmitter {
 public:
  TransformEmitter(const TransformShape& shape, const ir::Isa& isa)
      : RoutineEmitter(isa), shape_(shape), patch_(ir::winograd_patch(shape.tile_results)) {}

  // Of tiles of up to `size` x `size` pixels, which may reach beyond the image.
  Routine points(const char* name, WinogradLine line, int size) {
    begin(name);
    choose(line);
    zero_ = m_.vec();
    m_.zero(zero_);
    prepare();
    return each_tile([&] { to_points(size); });
  }

  Routine output(const ir::Epilogue& epilogue) {
    begin("winograd_output");
    choose(WinogradLine::output);
    return each_tile([&] { emit_output(epilogue); });
  }

  Routine filter(bool flipped) {
    begin("winograd_filter");
    choose(WinogradLine::filter);
    down_->prepare(constants_);
    return each(kFilterStep, [&] { emit_filter(flipped); });
  }

  Routine filter_gradient(const WinogradSums& sums) {
    begin("winograd_filter_gradient");
    choose(WinogradLine::filter_gradient);
    down_->prepare(constants_);
    return each(kFilterStep, [&] { emit_filter_gradient(sums); });
  }

 private:
  using Group = LineTransform::Group;

  // A loop over the tiles (filters) of a call, and in it over the vectors of 16 channels.
  template <class Body>
  Routine each(std::int64_t image_step, const Body& body) {
    image_ = argument(offsetof(TransformArgs, image));
    points_ = argument(offsetof(TransformArgs, points));
    count_ = argument(offsetof(TransformArgs, count));
    scratch_ = argument(offsetof(TransformArgs, scratch));
    element_ = m_.gp();
    m_.move(element_, 0);
    loop(count_, [&] {
      for (lane_ = 0; lane_ < kLanes; lane_ += m_.isa().lanes) body();
      m_.add(image_, image_step);
      m_.add(points_, shape_.tile);
      m_.add(element_, image_step / kF32);
    });
    return end();
  }
  template <class Body>
  Routine each_tile(const Body& body) {
    return each(shape_.tile_results * kPixel, body);
  }

  void emit_output(const ir::Epilogue& epilogue) {
    prepare();
    const bool direct = fits_beside_lines(epilogue);
    for (const Group& rows : groups(down_->groups())) {
      std::vector<Line> lines = empty_lines(rows, patch_);
      for (int j = 0; j < patch_; ++j) {
        if (!has_point(shape_.tile_results, shape_.across, j)) continue;
        const Line sums = points_column(j, down_->needs(rows));
        put(lines, j, down_->values(rows, sums));
        release(sums);
      }
      for (std::size_t r = 0; r < rows.size(); ++r) {
        const int i = rows[r];
        across_->apply(lines[r], [&](int k, Vec v) {
          if (i >= shape_.rows.end || k >= shape_.columns.end) return;
          direct ? finish(epilogue, v, i, k) : m_.store(scratch(i, k), v);
        });
        release(lines[r]);
      }
    }
    for (const auto& [value, v] : std::exchange(constants_, {})) m_.release(v);
    if (!direct) finish_all(epilogue);
  }

  void emit_filter(bool flipped) {
    const auto tap = [&](int y, int x) {
      const int index = y * kTaps + x;
      return Address{image_, (flipped ? kTaps * kTaps - 1 - index : index) * kPixel + offset()};
    };
    for (int x = 0; x < kTaps; ++x) {
      Line g;
      for (int y = 0; y < kTaps; ++y) g.push_back(loaded(tap(y, x)));
      down_->apply(g, [&](int i, Vec v) { m_.store(scratch(i, x), v); });
      release(g);
    }
    for (int i = 0; i < patch_; ++i) {
      const Line g = scratch_row(i, kTaps);
      down_->apply(g, [&](int k, Vec v) { m_.store(point(i, k), v); });
      release(g);
    }
  }

  void emit_filter_gradient(const WinogradSums& sums) {
    for (int j = 0; j < patch_; ++j) {
      const Line u = points_column(j, {0, 1, 2, 3, 4, 5});
      for (int i = 0; i < patch_; ++i)
        for (std::int64_t sum = 1; sum < sums.count; ++sum) {
          const Vec other = loaded(point(i, j) + sum * sums.bytes);
          m_.add(u[static_cast<std::size_t>(i)], u[static_cast<std::size_t>(i)], other);
          m_.release(other);
        }
      down_->apply(u, [&](int i, Vec v) { m_.store(scratch(i, j), v); });
      release(u);
    }
    for (int y = 0; y < kTaps; ++y) {
      const Line u = scratch_row(y, patch_);
      down_->apply(u, [&](int x, Vec v) {
        m_.store({image_, (y * kTaps + x) * kPixel + offset()}, v);
      });
      release(u);
    }
  }

  void choose(WinogradLine line) {
    down_ = winograd_line(m_, line, shape_.tile_results, shape_.down);
    across_ = winograd_line(m_, line, shape_.tile_results, shape_.across);
  }
  void prepare() {
    down_->prepare(constants_);
    across_->prepare(constants_);
  }

  // A tile: some rows of its first transform, of the elements of a column that they need, then the
  // second transform along each.
  void to_points(int size) {
    for (const Group& rows : groups(down_->groups())) {
      std::vector<Line> lines = empty_lines(rows, size);
      for (int j = shape_.columns.first; j < shape_.columns.end; ++j) {
        const Line pixels = column(j, size, down_->needs(rows));
        put(lines, j, down_->values(rows, pixels));
        release(pixels);
      }
      for (std::size_t r = 0; r < rows.size(); ++r) {
        across_->apply(lines[r], [&](int k, Vec v) { m_.store(point(rows[r], k), v); });
        release(lines[r]);
      }
    }
  }

  // The rows of the first transform that are computed in one walk over the columns: both of a group
  // where the registers hold their lines.
  std::vector<Group> groups(const std::vector<Group>& shared) const {
    if (shape_.only_row >= 0) return {{shape_.only_row}};
    if (pairs()) return shared;
    std::vector<Group> single;
    for (const Group& group : shared)
      for (const int row : group) single.push_back({row});
    return single;
  }
  bool pairs() const { return m_.isa().vector_registers >= kRegistersOfPairs; }

  std::vector<Line> empty_lines(const Group& rows, int size) const {
    return std::vector<Line>(rows.size(), Line(static_cast<std::size_t>(size), zero_));
  }
  static void put(std::vector<Line>& lines, int column, const Line& values) {
    for (std::size_t r = 0; r < lines.size(); ++r)
      lines[r][static_cast<std::size_t>(column)] = values[r];
  }

  bool fits_beside_lines(const ir::Epilogue& epilogue) const {
    const int lines = (pairs() ? 2 : 1) * patch_, results = 2;
    return epilogue.expr.empty() || m_.free_vecs() - lines - results > max_registers(epilogue.expr);
  }

  void finish(const ir::Epilogue& epilogue, Vec v, int i, int k) {
    if (!epilogue.expr.empty())
      emit_epilogue(m_, epilogue, v,
                    {.pointers = {m_.args(), offsetof(TransformArgs, operands)},
                     .element = element_,
                     .offset = (i * shape_.image_row + k * kPixel) / kF32,
                     .lane = lane_});
    m_.store(pixel(i, k), v);
  }
  void finish_all(const ir::Epilogue& epilogue) {
    for (int i = 0; i < shape_.rows.end; ++i) {
      for (int k = 0; k < shape_.columns.end; ++k) {
        const Vec v = loaded(scratch(i, k));
        finish(epilogue, v, i, k);
        m_.release(v);
      }
    }
  }

  std::int64_t offset() const { return lane_ * kF32; }
  Address pixel(int i, int j) const {
    return {image_, i * shape_.image_row + j * kPixel + offset()};
  }
  Address point(int i, int j) const {
    const int row = shape_.only_row < 0 ? i : 0;
    return {points_, (row * patch_ + j) * shape_.point + offset()};
  }
  Address scratch(int i, int j) const {
    return {scratch_, (i * patch_ + j) * kF32 * m_.isa().lanes};
  }

  Vec loaded(Address a) {
    const Vec v = m_.vec();
    m_.load(v, a);
    return v;
  }
  // Elements of column j of an image tile; zero where they are outside.
  Line column(int j, int rows, const std::vector<int>& needs) {
    Line line(static_cast<std::size_t>(rows), zero_);
    for (const int i : needs)
      if (i >= shape_.rows.first && i < shape_.rows.end)
        line[static_cast<std::size_t>(i)] = loaded(pixel(i, j));
    return line;
  }
  Line points_column(int j, const std::vector<int>& needs) {
    Line line(static_cast<std::size_t>(patch_), zero_);
    for (const int i : needs) line[static_cast<std::size_t>(i)] = loaded(point(i, j));
    return line;
  }
  Line scratch_row(int i, int columns) {
    Line line;
    for (int j = 0; j < columns; ++j) line.push_back(loaded(scratch(i, j)));
    return line;
  }
  void release(const Line& line) {
    for (const Vec v : line)
      if (v != zero_) m_.release(v);
  }

  std::unique_ptr<LineTransform> down_, across_;
  LineTransform::Constants constants_;
  TransformShape shape_;
  int patch_;
  Gp image_, points_, count_, scratch_, element_;
  Vec zero_;
  int lane_ = 0;
};

}  // namespace

Routine emit_winograd_input(const TransformShape& shape, const ir::Isa& isa) {
  const int patch = ir::winograd_patch(shape.tile_results);
  return TransformEmitter(shape, isa).points("winograd_input", WinogradLine::input, patch);
}

Routine emit_winograd_gradient(const TransformShape& shape, const ir::Isa& isa) {
  return TransformEmitter(shape, isa)
      .points("winograd_gradient", WinogradLine::gradient, shape.tile_results);
}

Routine emit_winograd_output(const TransformShape& shape, const ir::Epilogue& epilogue,
                             const ir::Isa& isa) {
  return TransformEmitter(shape, isa).output(epilogue);
}

Routine emit_winograd_filter(int results, std::int64_t point, bool flipped, const ir::Isa& isa) {
  return TransformEmitter({.tile_results = results, .point = point, .tile = kPixel}, isa)
      .filter(flipped);
}

Routine emit_winograd_filter_gradient(std::int64_t point, const WinogradSums& sums,
                                      const ir::Isa& isa) {
  return TransformEmitter({.point = point, .tile = kPixel}, isa).filter_gradient(sums);
}

}  // namespace taper::codegen
