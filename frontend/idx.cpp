#include "frontend/idx.h"

#include <zlib.h>

#include <algorithm>
#include <memory>
#include <string>

#include "ir/error.h"

namespace taper::data {
namespace {

constexpr std::int64_t kMostBytes = std::int64_t{1} << 31;
constexpr std::size_t kPiece = std::size_t{1} << 20;

// gzopen reads plain files too.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : name_(path.string()), file_(gzopen(path.c_str(), "rb"), gzclose) {
    if (!file_) throw Error("{}: cannot be opened", name_);
  }

  // Reads up to `size` bytes; fewer only at the end of the file.
  std::size_t read(std::uint8_t* to, std::size_t size) {
    const int got = gzread(file_.get(), to, static_cast<unsigned>(size));
    int status = Z_OK;
    const char* message = gzerror(file_.get(), &status);
    if (got < 0 || (status != Z_OK && status != Z_STREAM_END))
      throw Error("{}: the gzip data are corrupt or truncated ({})", name_, message);
    return static_cast<std::size_t>(got);
  }

  std::uint32_t big_endian() {
    std::uint8_t b[4];
    if (read(b, 4) != 4) throw Error("{}: the idx header is truncated", name_);
    return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
  }

 private:
  std::string name_;
  std::unique_ptr<gzFile_s, decltype(&gzclose)> file_;
};

}  // namespace

IdxFile read_idx(const std::filesystem::path& path, int rank) {
  const std::string name = path.string();
  if (std::filesystem::is_directory(path)) throw Error("{}: is a folder, not an idx file", name);
  Reader reader(path);
  const std::uint32_t magic = reader.big_endian();
  if (magic != 0x800u + static_cast<unsigned>(rank))
    throw Error("{}: magic number {:#010x} is not that of an idx file of {} axes of bytes", name,
                magic, rank);
  IdxFile file;
  std::int64_t total = 1;
  for (int axis = 0; axis < rank; ++axis) {
    const std::int64_t extent = reader.big_endian();
    if (extent < 1 || total > kMostBytes / extent)
      throw Error("{}: axis {} has extent {}, which makes no sensible size", name, axis, extent);
    file.extents.push_back(extent);
    total *= extent;
  }
  // Grown chunk by chunk: a short file with a huge header takes little memory.
  const auto size = static_cast<std::size_t>(total);
  while (file.bytes.size() < size) {
    const std::size_t have = file.bytes.size();
    const std::size_t want = std::min(kPiece, size - have);
    file.bytes.resize(have + want);
    const std::size_t got = reader.read(file.bytes.data() + have, want);
    if (got < want) throw Error("{}: truncated, {} of {} bytes are there", name, have + got, size);
  }
  std::uint8_t extra;
  if (reader.read(&extra, 1) != 0)
    throw Error("{}: longer than the {} bytes its header states", name, size);
  return file;
}

}  // namespace taper::data
