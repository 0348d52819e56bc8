#include "codegen/winograd_transform.h"

#include <algorithm>
#include <string>
#include <vector>

#include "codegen/masm.h"
#include "codegen/routine.h"
#include "codegen/sizes.h"
#include "codegen/winograd_lines.h"

namespace taper::codegen {
namespace {

using Line = WinogradLines::Line;
constexpr int kTaps = 3;

// A loop over the tiles (filters) of a call, and in it over the vectors of 16 channels.
class TransformEmitter {
 public:
  TransformEmitter(Masm& m, const TransformShape& shape) : m_(m), lines_(m), shape_(shape) {}

  template <class Body>
  void emit(std::int64_t image_step, const Body& body) {
    for (Gp* r : {&image_, &points_, &count_, &scratch_, &element_}) *r = m_.gp();
    m_.load(image_, {m_.args(), offsetof(TransformArgs, image)});
    m_.load(points_, {m_.args(), offsetof(TransformArgs, points)});
    m_.load(count_, {m_.args(), offsetof(TransformArgs, count)});
    m_.load(scratch_, {m_.args(), offsetof(TransformArgs, scratch)});
    m_.move(element_, 0);
    zero_ = m_.vec();
    m_.zero(zero_);
    const Label top = m_.label();
    m_.bind(top);
    for (lane_ = 0; lane_ < kLanes; lane_ += m_.isa().lanes) body();
    m_.add(image_, image_step);
    m_.add(points_, shape_.tile);
    m_.add(element_, image_step / kF32);
    m_.loop(count_, top);
  }

  void input() {
    if (shape_.only_row >= 0) return input_row(shape_.only_row);
    for (int j = 0; j < kWinogradPatch; ++j) {
      if (!inside(shape_.columns, j)) continue;
      const Line d = column(j, kWinogradPatch);
      lines_.input(d, [&](int i, Vec v) { m_.store(scratch(i, j), v); });
      release(d);
    }
    for (int i = 0; i < kWinogradPatch; ++i) {
      const Line d = scratch_row(i, kWinogradPatch, shape_.columns);
      lines_.input(d, [&](int k, Vec v) { m_.store(point(i, k), v); });
      release(d);
    }
  }

  // One row fits the registers.
  void input_row(int row) {
    Line line(kWinogradPatch, zero_);
    for (int j = 0; j < kWinogradPatch; ++j) {
      if (!inside(shape_.columns, j)) continue;
      const Line d = column(j, kWinogradPatch, WinogradLines::input_needs(row));
      line[static_cast<std::size_t>(j)] = lines_.input_value(row, d);
      release(d);
    }
    lines_.input(line, [&](int k, Vec v) { m_.store(point(row, k), v); });
    release(line);
  }

  void gradient() {
    const int row = shape_.only_row;
    Line line(kWinogradTile, zero_);
    for (int j = 0; j < kWinogradTile; ++j) {
      if (!inside(shape_.columns, j)) continue;
      const Line y = column(j, kWinogradTile, WinogradLines::gradient_needs(row));
      line[static_cast<std::size_t>(j)] = lines_.gradient_value(row, y);
      release(y);
    }
    lines_.gradient(line, [&](int k, Vec v) { m_.store(point(row, k), v); });
    release(line);
  }

  void output(const ir::Epilogue& epilogue) {
    for (int j = 0; j < kWinogradPatch; ++j) {
      const Line sums = points_column(j);
      lines_.output(sums, [&](int i, Vec v) { m_.store(scratch(i, j), v); });
      release(sums);
    }
    const Extent all{0, kWinogradPatch};
    for (int i = 0; i < shape_.rows.end; ++i) {
      const Line sums = scratch_row(i, kWinogradPatch, all);
      // What the epilogue needs is not free yet.
      const bool direct = epilogue.expr.empty();
      lines_.output(sums, [&](int k, Vec v) {
        if (k < shape_.columns.end) m_.store(direct ? pixel(i, k) : scratch(i, k), v);
      });
      release(sums);
    }
  }

  // After output(), when the constants of the transform are released.
  void finish(const ir::Epilogue& epilogue) {
    for (int i = 0; i < shape_.rows.end; ++i) {
      for (int k = 0; k < shape_.columns.end; ++k) {
        const Vec v = m_.vec();
        m_.load(v, scratch(i, k));
        emit_epilogue(m_, epilogue, v,
                      {.pointers = {m_.args(), offsetof(TransformArgs, operands)},
                       .element = element_,
                       .offset = (i * shape_.image_row + k * kPixel) / kF32,
                       .lane = lane_});
        m_.store(pixel(i, k), v);
        m_.release(v);
      }
    }
  }

  void filter(bool flipped) {
    const auto tap = [&](int y, int x) {
      const int index = y * kTaps + x;
      return Address{image_, (flipped ? kTaps * kTaps - 1 - index : index) * kPixel + offset()};
    };
    for (int x = 0; x < kTaps; ++x) {
      Line g;
      for (int y = 0; y < kTaps; ++y) g.push_back(loaded(tap(y, x)));
      lines_.filter(g, [&](int i, Vec v) { m_.store(scratch(i, x), v); });
      release(g);
    }
    for (int i = 0; i < kWinogradPatch; ++i) {
      const Line g = scratch_row(i, kTaps, {0, kTaps});
      lines_.filter(g, [&](int k, Vec v) { m_.store(point(i, k), v); });
      release(g);
    }
  }

  void filter_gradient() {
    for (int j = 0; j < kWinogradPatch; ++j) {
      const Line u = points_column(j);
      lines_.filter_gradient(u, [&](int i, Vec v) { m_.store(scratch(i, j), v); });
      release(u);
    }
    for (int y = 0; y < kTaps; ++y) {
      const Line u = scratch_row(y, kWinogradPatch, {0, kWinogradPatch});
      lines_.filter_gradient(u, [&](int x, Vec v) {
        m_.store({image_, (y * kTaps + x) * kPixel + offset()}, v);
      });
      release(u);
    }
  }

  WinogradLines& lines() { return lines_; }

 private:
  static bool inside(Extent extent, int i) { return i >= extent.first && i < extent.end; }
  std::int64_t offset() const { return lane_ * kF32; }
  Address pixel(int i, int j) const {
    return {image_, i * shape_.image_row + j * kPixel + offset()};
  }
  Address point(int i, int j) const {
    const int row = shape_.only_row < 0 ? i : 0;
    return {points_, (row * kWinogradPatch + j) * shape_.point + offset()};
  }
  Address scratch(int i, int j) const {
    return {scratch_, (i * kWinogradPatch + j) * kF32 * m_.isa().lanes};
  }

  Vec loaded(Address a) {
    const Vec v = m_.vec();
    m_.load(v, a);
    return v;
  }
  // Column j of an image tile; zero where it is outside, and nothing where it is not needed.
  Line column(int j, int rows, const std::vector<int>& needs = {}) {
    Line line(static_cast<std::size_t>(rows), zero_);
    for (int i = 0; i < rows; ++i) {
      const bool needed = needs.empty() || std::find(needs.begin(), needs.end(), i) != needs.end();
      if (needed && inside(shape_.rows, i)) line[static_cast<std::size_t>(i)] = loaded(pixel(i, j));
    }
    return line;
  }
  Line points_column(int j) {
    Line line;
    for (int i = 0; i < kWinogradPatch; ++i) line.push_back(loaded(point(i, j)));
    return line;
  }
  Line scratch_row(int i, int columns, Extent extent) {
    Line line(static_cast<std::size_t>(columns), zero_);
    for (int j = 0; j < columns; ++j) {
      if (inside(extent, j)) line[static_cast<std::size_t>(j)] = loaded(scratch(i, j));
    }
    return line;
  }
  void release(const Line& line) {
    for (const Vec v : line) {
      if (v != zero_) m_.release(v);
    }
  }

  Masm& m_;
  WinogradLines lines_;
  TransformShape shape_;
  Gp image_, points_, count_, scratch_, element_;
  Vec zero_;
  int lane_ = 0;
};

constexpr std::int64_t kTileStep = kWinogradTile * kPixel;
constexpr std::int64_t kFilterStep = kTaps * kPixel * kTaps;

template <class Emit>
Routine emit_routine(const std::string& name, const ir::Isa& isa, const TransformShape& shape,
                     const Emit& emit) {
  const std::unique_ptr<Masm> m = make_masm(isa);
  m->begin(name);
  TransformEmitter emitter(*m, shape);
  emit(emitter);
  m->end();
  return finish_routine(*m, name);
}

}  // namespace

Routine emit_winograd_input(const TransformShape& shape, const ir::Isa& isa) {
  return emit_routine("winograd_input", isa, shape, [](TransformEmitter& e) {
    e.lines().prepare_input();
    e.emit(kTileStep, [&] { e.input(); });
  });
}

Routine emit_winograd_gradient(const TransformShape& shape, const ir::Isa& isa) {
  return emit_routine("winograd_gradient", isa, shape, [](TransformEmitter& e) {
    e.lines().prepare_gradient();
    e.emit(kTileStep, [&] { e.gradient(); });
  });
}

Routine emit_winograd_output(const TransformShape& shape, const ir::Epilogue& epilogue,
                             const ir::Isa& isa) {
  return emit_routine("winograd_output", isa, shape, [&](TransformEmitter& e) {
    e.emit(kTileStep, [&] {
      e.lines().prepare_output();
      e.output(epilogue);
      e.lines().release();
      if (!epilogue.expr.empty()) e.finish(epilogue);
    });
  });
}

Routine emit_winograd_filter(std::int64_t point, bool flipped, const ir::Isa& isa) {
  const TransformShape shape{.point = point, .tile = kPixel};
  return emit_routine("winograd_filter", isa, shape, [&](TransformEmitter& e) {
    e.lines().prepare_filter();
    e.emit(kFilterStep, [&] { e.filter(flipped); });
  });
}

Routine emit_winograd_filter_gradient(std::int64_t point, const ir::Isa& isa) {
  const TransformShape shape{.point = point, .tile = kPixel};
  return emit_routine("winograd_filter_gradient", isa, shape, [](TransformEmitter& e) {
    e.lines().prepare_filter_gradient();
    e.emit(kFilterStep, [&] { e.filter_gradient(); });
  });
}

}  // namespace taper::codegen
