#include "frontend/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "ir/error.h"

namespace taper {
namespace {

namespace fs = std::filesystem;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

[[noreturn]] void fail(const fs::path& path, int error) {
  throw Error("{}: could not be saved ({}); what was there is unchanged", path.string(),
              std::generic_category().message(error));
}

// The file itself where `path` is a link to it.
fs::path target_of(const fs::path& path) {
  std::error_code absent, error;
  const bool is_link = fs::is_symlink(path, absent);
  fs::path target = is_link ? fs::canonical(path, error) : path;
  if (error) fail(path, error.value());
  const fs::file_status status = fs::status(target, absent);
  if (fs::exists(status) && !fs::is_regular_file(status))
    throw Error("{}: could not be saved, because this is no regular file but a {}", path.string(),
                fs::is_directory(status) ? "folder" : "device");
  return target;
}

bool is_still_at(const Descriptor& file, const fs::path& path) {
  struct stat open, named;
  return ::fstat(file.get(), &open) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

// One name for all savers: what a killed one leaves is overwritten by the next. A saver that had to
// wait for the lock finds that the file was renamed meanwhile, and starts again.
Descriptor open_locked(const fs::path& partial, const fs::path& path) {
  for (;;) {
    Descriptor file(
        ::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666));
    if (file.get() < 0) fail(path, errno);
    while (::flock(file.get(), LOCK_EX) != 0)
      if (errno != EINTR) fail(path, errno);
    if (is_still_at(file, partial)) return file;
  }
}

// Returns errno.
int write_all(const Descriptor& file, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(file.get(), bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    if (count == 0) return EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return 0;
}

int fill(const Descriptor& file, const fs::path& target,
         std::span<const std::span<const std::byte>> parts) {
  if (::ftruncate(file.get(), 0) != 0) return errno;
  struct stat old;
  if (::stat(target.c_str(), &old) == 0 && ::fchmod(file.get(), old.st_mode & 07777u) != 0)
    return errno;
  for (const std::span<const std::byte> part : parts)
    if (const int error = write_all(file, part); error != 0) return error;
  return ::fsync(file.get()) == 0 ? 0 : errno;
}

// Makes the rename itself durable. Some file systems cannot sync folders, and need not.
void sync_folder(const fs::path& path) {
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const Descriptor descriptor(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0 && (::fsync(descriptor.get()) == 0 || errno == EINVAL)) return;
  throw Error(
      "{}: is saved, but a power cut may undo it, because its folder could "
      "not be synced ({})",
      path.string(), std::generic_category().message(errno));
}

}  // namespace

void write_atomically(const fs::path& path, std::span<const std::span<const std::byte>> parts) {
  const fs::path target = target_of(path);
  fs::path partial = target;
  partial += ".partial";
  const Descriptor file = open_locked(partial, path);
  int error = fill(file, target, parts);
  if (error == 0 && ::rename(partial.c_str(), target.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(partial.c_str());
    fail(path, error);
  }
  sync_folder(target);
}

}  // namespace taper
