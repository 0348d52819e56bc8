// .npz files: zip archives of .npy files.
#include <fmt/format.h>
#include <zip.h>

#include <algorithm>
#include <memory>
#include <new>
#include <tuple>
#include <utility>

#include "frontend/atomic_file.h"
#include "frontend/npy.h"
#include "ir/error.h"

namespace taper::data {
namespace {

constexpr std::string_view kSuffix = ".npy";

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
  void operator()(zip_file_t* file) const { zip_fclose(file); }
  void operator()(zip_source_t* source) const { zip_source_free(source); }
};
using Archive = std::unique_ptr<zip_t, Discard>;
using Source = std::unique_ptr<zip_source_t, Discard>;

std::string text_of(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

Archive open(const std::filesystem::path& path) {
  std::error_code none;
  if (!std::filesystem::is_regular_file(path, none))
    throw Error("{}: cannot be opened as a file", path.string());
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive) throw Error("{}: is no readable .npz archive ({})", path.string(), text_of(code));
  return archive;
}

[[noreturn]] void fail(const std::filesystem::path& path, zip_t* archive) {
  throw Error("{}: the archive could not be made ({})", path.string(), zip_strerror(archive));
}

void add(const Archive& archive, const std::filesystem::path& path, const std::string& name,
         const std::vector<std::byte>& bytes) {
  Source source(zip_source_buffer(archive.get(), bytes.data(), bytes.size(), 0));
  if (!source) fail(path, archive.get());
  const zip_int64_t index = zip_file_add(archive.get(), (name + std::string(kSuffix)).c_str(),
                                         source.get(), ZIP_FL_ENC_UTF_8);
  if (index < 0) fail(path, archive.get());
  std::ignore = source.release();  // the archive's from here on
  zip_set_file_compression(archive.get(), static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
}

std::vector<std::byte> contents(zip_source_t* source) {
  std::vector<std::byte> bytes;
  zip_stat_t stat;
  if (zip_source_stat(source, &stat) != 0 || zip_source_open(source) != 0) return bytes;
  bytes.resize(static_cast<std::size_t>(stat.size));
  const zip_int64_t got = zip_source_read(source, bytes.data(), stat.size);
  bytes.resize(static_cast<std::size_t>(std::max<zip_int64_t>(got, 0)));
  zip_source_close(source);
  return bytes;
}

}  // namespace

std::vector<std::string> npz_names(const std::filesystem::path& path) {
  const Archive archive = open(path);
  std::vector<std::string> names;
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* entry = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    std::string name = entry == nullptr ? "" : entry;
    if (name.ends_with(kSuffix)) names.push_back(name.substr(0, name.size() - kSuffix.size()));
  }
  return names;
}

NpyArray read_npz(const std::filesystem::path& path, std::string_view array) {
  const Archive archive = open(path);
  const std::string entry = fmt::format("{}{}", array, kSuffix);
  const std::string file = fmt::format("{}: {}", path.string(), entry);
  const std::unique_ptr<zip_file_t, Discard> stream(
      zip_fopen(archive.get(), entry.c_str(), ZIP_FL_ENC_RAW));
  if (!stream) throw Error("{}: cannot be read ({})", file, zip_strerror(archive.get()));
  // libzip compares the checksum when it reaches the end, which reading one byte beyond does.
  const NpySource source = [&](std::byte* to, std::size_t size) {
    std::size_t have = 0;
    while (have < size) {
      const zip_int64_t got = zip_fread(stream.get(), to + have, size - have);
      if (got < 0)
        throw Error("{}: the archive is damaged ({})", file, zip_file_strerror(stream.get()));
      if (got == 0) break;
      have += static_cast<std::size_t>(got);
    }
    return have;
  };
  return read_npy(source, file);
}

void write_npz(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, NpyArray>>& arrays) {
  zip_error_t error;
  zip_error_init(&error);
  const Source memory(zip_source_buffer_create(nullptr, 0, 0, &error));
  zip_error_fini(&error);
  if (!memory) throw std::bad_alloc();
  zip_source_keep(memory.get());  // one reference is the archive's
  Archive archive(zip_open_from_source(memory.get(), ZIP_TRUNCATE, nullptr));
  if (!archive) {
    zip_source_free(memory.get());
    throw std::bad_alloc();
  }
  std::vector<std::vector<std::byte>> files;
  files.reserve(arrays.size());
  for (const auto& [name, array] : arrays) files.push_back(npy_bytes(array));
  for (std::size_t i = 0; i < arrays.size(); ++i) add(archive, path, arrays[i].first, files[i]);
  if (zip_close(archive.get()) != 0) fail(path, archive.get());
  std::ignore = archive.release();
  write_atomically(path, contents(memory.get()));
}

}  // namespace taper::data
