#include "runtime/announce.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#include <mutex>
#include <set>

#include "ir/error.h"
#include "runtime/gdb_object.h"

namespace taper::runtime {
namespace {

// The records of perf's tools/perf/Documentation/jitdump-specification.txt.
struct DumpHeader {
  std::uint32_t magic = 0x4a695444, version = 1, size = sizeof(DumpHeader), machine = kMachine;
  std::uint32_t padding = 0, process = 0;
  std::uint64_t time = 0, flags = 0;
};
struct DumpLoad {
  std::uint32_t id = 0, size = 0;
  std::uint64_t time = 0;
  std::uint32_t process = 0, thread = 0;
  std::uint64_t address = 0, code = 0, bytes = 0, index = 0;
};

std::uint64_t now() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// A file of this process in /tmp that grows.
class ProcessFile {
 public:
  explicit ProcessFile(const char* form)
      : path_(fmt::format(fmt::runtime(form), getpid())),
        file_(open(path_.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600)) {}
  void write(std::string_view bytes) {
    if (file_ < 0 ||
        ::write(file_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      throw Error("TAPER_JIT_PROFILE: cannot write {}", path_);
  }
  template <class Record>
  void write_record(const Record& record) {
    write({reinterpret_cast<const char*>(&record), sizeof record});
  }
  // perf learns of the file by seeing it mapped as code.
  void show_to_perf() {
    mmap(nullptr, static_cast<std::size_t>(sysconf(_SC_PAGESIZE)), PROT_READ | PROT_EXEC,
         MAP_PRIVATE, file_, 0);
  }

 private:
  std::string path_;
  int file_;
};

void write_map(const codegen::Routine& routine) {
  static ProcessFile file("/tmp/perf-{}.map");
  file.write(fmt::format("{:x} {:x} taper:{}\n",
                         reinterpret_cast<std::uintptr_t>(routine.code->entry),
                         routine.code->bytes.size(), routine.name));
}

ProcessFile& dump_file() {
  static ProcessFile file = [] {
    ProcessFile made("/tmp/jit-{}.dump");
    DumpHeader header;
    header.process = static_cast<std::uint32_t>(getpid());
    header.time = now();
    made.write_record(header);
    made.show_to_perf();
    return made;
  }();
  return file;
}

void write_dump(const codegen::Routine& routine) {
  static std::uint64_t index = 0;
  const std::string name = "taper:" + routine.name;
  const std::vector<std::uint8_t>& bytes = routine.code->bytes;
  DumpLoad load;
  load.size = static_cast<std::uint32_t>(sizeof load + name.size() + 1 + bytes.size());
  load.time = now();
  load.process = static_cast<std::uint32_t>(getpid());
  load.thread = static_cast<std::uint32_t>(syscall(SYS_gettid));
  load.address = load.code = reinterpret_cast<std::uintptr_t>(routine.code->entry);
  load.bytes = bytes.size();
  load.index = index++;
  dump_file().write_record(load);
  dump_file().write({name.c_str(), name.size() + 1});
  dump_file().write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

void check_announcement(std::string_view how, std::string_view option) {
  if (!how.empty() && how != "perfmap" && how != "jitdump" && how != "gdb")
    throw Error("{}: \"{}\" is not perfmap, jitdump or gdb", option, how);
}

void announce(const codegen::Kernels& kernels, std::string_view how) {
  if (how.empty()) return;
  static std::mutex mutex;
  static std::set<std::shared_ptr<const codegen::Routine::Code>> known;  // and keeps them mapped
  const std::scoped_lock lock(mutex);
  for (const auto& kernel : kernels)
    for (const codegen::Routine* routine : kernel->routines()) {
      if (!known.insert(routine->code).second) continue;
      if (how == "perfmap") write_map(*routine);
      if (how == "jitdump") write_dump(*routine);
      if (how == "gdb") register_with_gdb(*routine);
    }
}

}  // namespace taper::runtime
