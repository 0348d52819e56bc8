#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <span>
#include <system_error>

#include "codegen/kernel.h"
#include "ir/ahead.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

bool write_all(int file, std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

// A mapping of an anonymous file, which the system writes: no page is ever writable here. Null when
// the system refuses. The private mapping keeps a forked child's memory apart.
void* map_file(const std::vector<std::uint8_t>& bytes, std::size_t mapped) {
  const int file = memfd_create("taper-code", MFD_CLOEXEC);
  if (file < 0) return nullptr;
  void* executable = MAP_FAILED;
  if (write_all(file, bytes))
    executable = mmap(nullptr, mapped, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_POPULATE, file, 0);
  close(file);
  return executable == MAP_FAILED ? nullptr : executable;
}

// One mapping, first writable, then executable.
void* map_protected(const std::vector<std::uint8_t>& bytes, std::size_t mapped) {
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  std::memcpy(memory, bytes.data(), bytes.size());
  if (mprotect(memory, mapped, PROT_READ | PROT_EXEC) == 0) return memory;
  const int reason = errno;
  munmap(memory, mapped);
  errno = reason;
  return nullptr;
}

}  // namespace

CodeMemory::CodeMemory(const std::vector<std::uint8_t>& bytes) : size_(bytes.size()) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  mapped_ = (std::max<std::size_t>(size_, 1) + page - 1) / page * page;
  executable_ = map_file(bytes, mapped_);
  if (executable_ == nullptr) executable_ = map_protected(bytes, mapped_);
  if (executable_ == nullptr)
    throw Error("the system grants no executable memory ({} bytes): {}", mapped_,
                std::generic_category().message(errno));
  auto* begin = static_cast<char*>(executable_);
  __builtin___clear_cache(begin, begin + size_);
}

bool CodeMemory::allowed() {
  static const bool granted = [] {
    for (const auto map : {map_protected, map_file}) {  // the cheaper one first
      void* const page = map({0}, 1);
      if (page == nullptr) continue;
      munmap(page, 1);
      return true;
    }
    return false;
  }();
  return granted;
}

CodeMemory::~CodeMemory() {
  munmap(executable_, mapped_);
}

CodeMemory::Function CodeMemory::entry(std::size_t offset) const {
  return reinterpret_cast<Function>(static_cast<std::byte*>(executable_) + offset);
}

void publish(std::span<const std::shared_ptr<const Kernel>> kernels) {
  constexpr auto kLine = static_cast<std::size_t>(ir::kCacheLine);
  std::vector<std::uint8_t> bytes;
  std::vector<std::pair<Routine::Code*, std::size_t>> entries;
  for (const auto& kernel : kernels)
    for (const Routine* routine : kernel->routines()) {
      bytes.resize((bytes.size() + kLine - 1) / kLine * kLine);
      entries.emplace_back(routine->code.get(), bytes.size());
      bytes.insert(bytes.end(), routine->code->bytes.begin(), routine->code->bytes.end());
    }
  if (entries.empty()) return;
  const auto memory = std::make_shared<const CodeMemory>(bytes);
  for (const auto& [code, offset] : entries) {
    code->memory = memory;
    code->entry = memory->entry(offset);
  }
}

}  // namespace taper::codegen
