#include "codegen/winograd_walk.h"

#include <algorithm>

#include "ir/ahead.h"

namespace taper::codegen {
namespace {

constexpr std::int64_t kCacheWay = 4096;
constexpr std::int64_t kMostAhead =
    std::int64_t{512} * 1024;  // more would push out what the products read

Extent clipped(std::int64_t begin, std::int64_t size, std::int64_t limit) {
  return {static_cast<int>(std::clamp<std::int64_t>(-begin, 0, size)),
          static_cast<int>(std::clamp<std::int64_t>(limit - begin, 0, size))};
}

std::vector<TileRun> tile_runs(int tile, std::int64_t source, std::int64_t result,
                               std::int64_t pad) {
  std::vector<TileRun> runs;
  for (std::int64_t t = 0; t * tile < result; ++t) {
    const std::int64_t at = t * tile;
    const auto results = static_cast<int>(std::min<std::int64_t>(tile, result - at));
    const TileRun run{t, 1, clipped(at - pad, ir::winograd_patch(results), source),
                      clipped(at, tile, result), results};
    if (!runs.empty() && runs.back().source == run.source && runs.back().result == run.result)
      ++runs.back().count;
    else
      runs.push_back(run);
  }
  return runs;
}

}  // namespace

std::int64_t WinogradWalk::pixel_at(const WinogradImages& images, const RunPlace& p,
                                    std::int64_t block) const {
  const std::int64_t plane = (p.image * images.blocks() + block) * images.height;
  const std::int64_t row = plane + p.y * tile - images.pad_top;
  return (row * images.width + p.x * tile - images.pad_left) * kPixel;
}

std::int64_t WinogradWalk::ragged_rows(const TileGroup& group) const {
  if (!has_ragged_rows()) return 0;
  return (group.first + group.count) / tiles_y - group.first / tiles_y;
}

RowPlace WinogradWalk::place_of(const TileGroup& group, std::int64_t row) const {
  const auto [image, y] = divide(group.first + row, tiles_y);
  const bool is_ragged = has_ragged_rows() && y == tiles_y - 1;
  const std::int64_t all = ragged_rows(group), before = ragged_rows({group.first, row});
  const std::int64_t first = is_ragged ? before : all + row - before;
  const std::int64_t last = is_ragged ? group.count - all + before : row - before;
  return {image, y, first * whole_columns(), group.count * whole_columns() + last};
}

Range WinogradWalk::tiles_with(const TileGroup& group, std::int64_t point) const {
  const auto row = static_cast<int>(point) / patch(), column = static_cast<int>(point) % patch();
  const std::int64_t ragged = ragged_rows(group), whole = whole_columns();
  const std::int64_t lacking = has_point(tile, rows.back().results, row) ? 0 : ragged;
  const bool in_last = has_ragged_columns() && has_point(tile, columns.back().results, column);
  return {lacking * whole, group.count * whole + (in_last ? group.count - lacking : 0)};
}

WinogradWalk winograd_walk(const ir::ConvSpec& s) {
  WinogradWalk walk;
  walk.source = {s.ic, s.ih, s.iw, s.pad_top, s.pad_left};
  walk.result = {s.oc, s.oh, s.ow};
  if (s.pass == ir::ConvPass::backward_data) {
    walk.source = {s.oc, s.oh, s.ow, s.kh - 1 - s.pad_top, s.kw - 1 - s.pad_left};
    walk.result = {s.ic, s.ih, s.iw};
  }
  walk.result.inside = &TileRun::result;
  walk.tile = s.winograd;
  walk.rows = tile_runs(walk.tile, walk.source.height, walk.result.height, walk.source.pad_top);
  walk.columns = tile_runs(walk.tile, walk.source.width, walk.result.width, walk.source.pad_left);
  for (std::size_t i = 0; i < walk.rows.size(); ++i)
    walk.row_run.insert(walk.row_run.end(), static_cast<std::size_t>(walk.rows[i].count), i);
  walk.tiles_y = static_cast<std::int64_t>(walk.row_run.size());
  for (const TileRun& run : walk.columns) walk.tiles_x += run.count;
  return walk;
}

void ask_ahead(const PixelRows& pixels, const WinogradWalk& walk, const TileGroup& group,
               Turn turn) {
  const std::int64_t rows = group.count * pixels.count * walk.tile;
  if (rows * pixels.row_bytes > kMostAhead) return;
  const std::int64_t end = rows * (turn.at + 1) / turn.count;
  for (std::int64_t i = rows * turn.at / turn.count; i < end; ++i) {
    const auto [tile_row, rest] = divide(i, pixels.count * walk.tile);
    const auto [image, y] = divide(group.first + tile_row, walk.tiles_y);
    const std::int64_t row = y * walk.tile + rest % walk.tile;
    if (row >= pixels.height) continue;
    const std::int64_t plane = image * pixels.blocks + pixels.first + rest / walk.tile;
    ir::ask_for_lines(static_cast<const std::byte*>(pixels.data) +
                          (plane * pixels.height + row) * pixels.row_bytes,
                      divide_up(pixels.row_bytes, ir::kCacheLine));
  }
}

std::int64_t point_step(std::int64_t bytes) {
  return bytes % kCacheWay == 0 ? bytes + kPixel : bytes;
}

}  // namespace taper::codegen
