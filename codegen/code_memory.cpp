#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>

#include "codegen/kernel.h"
#include "ir/ahead.h"
#include "ir/error.h"

namespace taper::codegen {
namespace {

using Parts = std::span<const CodeMemory::Part>;

// One mapping, first writable, then executable.
void* map_protected(Parts parts, std::size_t mapped) {
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  for (const auto& [offset, bytes] : parts)
    std::ranges::copy(bytes, static_cast<std::uint8_t*>(memory) + offset);
  if (mprotect(memory, mapped, PROT_READ | PROT_EXEC) == 0) return memory;
  const int reason = errno;
  munmap(memory, mapped);
  errno = reason;
  return nullptr;
}

bool write_all(int file, CodeMemory::Part part) {
  while (!part.bytes.empty()) {
    const ssize_t written =
        pwrite(file, part.bytes.data(), part.bytes.size(), static_cast<off_t>(part.offset));
    if (written <= 0) return false;
    part = {part.offset + static_cast<std::size_t>(written),
            part.bytes.subspan(static_cast<std::size_t>(written))};
  }
  return true;
}

// A mapping of an anonymous file, which the system writes: no page is ever writable here. Null when
// the system refuses. The private mapping keeps a forked child's memory apart.
void* map_file(Parts parts, std::size_t mapped) {
  const int file = memfd_create("taper-code", MFD_CLOEXEC);
  if (file < 0) return nullptr;
  void* executable = MAP_FAILED;
  const auto write = [&](const CodeMemory::Part& part) { return write_all(file, part); };
  if (std::ranges::all_of(parts, write))
    executable = mmap(nullptr, mapped, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_POPULATE, file, 0);
  close(file);
  return executable == MAP_FAILED ? nullptr : executable;
}

// Without a file if that is allowed.
void* map(Parts parts, std::size_t mapped) {
  void* const memory = map_protected(parts, mapped);
  return memory != nullptr ? memory : map_file(parts, mapped);
}

}  // namespace

CodeMemory::CodeMemory(Parts parts) : size_(parts.back().offset + parts.back().bytes.size()) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  mapped_ = (std::max<std::size_t>(size_, 1) + page - 1) / page * page;
  executable_ = map(parts, mapped_);
  if (executable_ == nullptr)
    throw Error("the system grants no executable memory ({} bytes): {}", mapped_,
                std::generic_category().message(errno));
  auto* begin = static_cast<char*>(executable_);
  __builtin___clear_cache(begin, begin + size_);
}

bool CodeMemory::allowed() {
  static const bool granted = [] {
    void* const page = map({}, 1);
    if (page != nullptr) munmap(page, 1);
    return page != nullptr;
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
  std::vector<CodeMemory::Part> parts;
  std::vector<Routine::Code*> codes;
  std::size_t end = 0;
  for (const auto& kernel : kernels)
    for (const Routine* routine : kernel->routines()) {
      codes.push_back(routine->code.get());
      parts.push_back({(end + kLine - 1) / kLine * kLine, routine->code->bytes});
      end = parts.back().offset + parts.back().bytes.size();
    }
  if (parts.empty()) return;
  const auto memory = std::make_shared<const CodeMemory>(parts);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    codes[i]->memory = memory;
    codes[i]->entry = memory->entry(parts[i].offset);
  }
}

}  // namespace taper::codegen
