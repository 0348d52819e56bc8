// Saving replaces a file as a whole: through kill -9 at random moments, on a full disk, for several
// savers at once, and through links.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <functional>
#include <random>
#include <thread>

#include "frontend/atomic_file.h"
#include "frontend/safetensors.h"
#include "tests/temporary_folder.h"

namespace taper {
namespace {

namespace fs = std::filesystem;
using Atomic = TemporaryFolder;

constexpr std::size_t kElements = 60'000;

// A file whose tensors and metadata all tell the same version.
void save_version(const fs::path& path, std::int32_t version) {
  const std::vector<std::int32_t> values(kElements, version);
  const auto bytes = std::as_bytes(std::span(values));
  const safetensors::Tensor tensor{
      "a", safetensors::Type::i32, {kElements}, {bytes.begin(), bytes.end()}};
  safetensors::Tensor other = tensor;
  other.name = "b";
  safetensors::write(path, {tensor, other}, {{"version", std::to_string(version)}});
}

// Fails the test unless the file is one whole version, which is returned.
std::int32_t version_of(const fs::path& path) {
  safetensors::File file(path);
  const std::int32_t version = std::stoi(file.metadata().at("version"));
  for (const char* name : {"a", "b"}) {
    const auto bytes = file.read(*file.find(name));
    std::vector<std::int32_t> values(kElements);
    EXPECT_EQ(bytes.size(), values.size() * sizeof(std::int32_t));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    EXPECT_EQ(values, std::vector<std::int32_t>(kElements, version));
  }
  return version;
}

// Runs `body` in a child process, which ends with the status that it returns.
pid_t fork_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  int status = 99;
  try {
    status = body();
  } catch (...) {
  }
  ::_exit(status);
}
int status_of(pid_t child) {
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST_F(Atomic, TwoHundredKillsLeaveTheOldOrTheNewFile) {
  const fs::path path = folder_ / "x.safetensors";
  std::int32_t version = 0;
  save_version(path, version);
  std::mt19937 random(1);
  int killed_while_saving = 0;
  for (int round = 0; round < 200; ++round) {
    const pid_t child = fork_child([&]() -> int {
      for (std::int32_t next = version + 1;; ++next) save_version(path, next);
    });
    ASSERT_GT(child, 0);
    // Longer and longer: a busy machine takes its time to begin.
    const auto longest = static_cast<std::uint32_t>(4000 + 200 * round);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % longest));
    ASSERT_EQ(::kill(child, SIGKILL), 0);
    ASSERT_EQ(status_of(child), -SIGKILL);
    killed_while_saving += fs::exists(folder_ / "x.safetensors.partial");
    const std::int32_t found = version_of(path);
    EXPECT_GE(found, version);
    version = found;
    ASSERT_FALSE(HasFailure()) << "round " << round;
    ASSERT_LE(files_in(folder_), 2u);
  }
  EXPECT_GT(version, 0);
  EXPECT_GT(killed_while_saving, 0);
  save_version(path, version + 1);  // what the last one left is no obstacle
  EXPECT_EQ(version_of(path), version + 1);
  EXPECT_EQ(files_in(folder_), 1u);
}

TEST_F(Atomic, AFileTooLargeLeavesTheOldOne) {
  const fs::path path = folder_ / "x";
  save_version(path, 1);
  const pid_t child = fork_child([&] {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100'000, 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message = error_of([&] { save_version(path, 2); });
    return message == path.string() +
                          ": could not be saved (File too large); what was there is "
                          "unchanged"
               ? 0
               : 1;
  });
  EXPECT_EQ(status_of(child), 0);
  EXPECT_EQ(version_of(path), 1);
  EXPECT_EQ(files_in(folder_), 1u);
}

// In a file system of 600 KB, of which the first version takes 480.
TEST_F(Atomic, AFullDiskLeavesTheOldFile) {
  constexpr int no_permission = 77;
  const pid_t child = fork_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
      return no_permission;
    ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
    if (::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=600k") != 0) return no_permission;
    const fs::path path = folder_ / "x";
    save_version(path, 1);
    const std::string message = error_of([&] { save_version(path, 2); });
    const bool right = says(message, "could not be saved (No space left on device)") &&
                       version_of(path) == 1 && files_in(folder_) == 1;
    return right ? 0 : 1;
  });
  const int status = status_of(child);
  if (status == no_permission) GTEST_SKIP() << "a file system cannot be mounted here";
  EXPECT_EQ(status, 0);
}

TEST_F(Atomic, SaversTakeTurns) {
  const fs::path path = folder_ / "x";
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i)
    children.push_back(fork_child([&, i] {
      for (int n = 0; n < 10; ++n) save_version(path, 100 * i + n);
      return 0;
    }));
  for (const pid_t child : children) EXPECT_EQ(status_of(child), 0);
  EXPECT_EQ(version_of(path) % 100, 9);
  EXPECT_EQ(files_in(folder_), 1u);
}

TEST_F(Atomic, KeepsPermissionsAndFollowsLinks) {
  const fs::path path = folder_ / "x", link = folder_ / "link";
  save_version(path, 1);
  fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("x", link);
  save_version(link, 2);
  EXPECT_TRUE(fs::is_symlink(link));
  EXPECT_EQ(version_of(path), 2);
  EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(Atomic, RefusesWhatIsNoFile) {
  const auto fault = [](const fs::path& path) {
    const std::string message = error_of([&] { save_version(path, 1); });
    EXPECT_TRUE(says(message, path.string()));
    return message;
  };
  EXPECT_TRUE(says(fault(folder_), "no regular file but a folder"));
  EXPECT_TRUE(says(fault("/dev/full"), "no regular file but a device"));
  EXPECT_TRUE(says(fault(folder_ / "none" / "x"), "No such file or directory"));
  fs::create_symlink("/dev/full", folder_ / "x.partial");  // nobody else's file is written to
  EXPECT_TRUE(says(fault(folder_ / "x"), "Too many levels of symbolic links"));
}

}  // namespace
}  // namespace taper
