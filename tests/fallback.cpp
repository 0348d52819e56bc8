// Where the system lets no memory become executable, code is mapped from a file; where it grants no
// executable memory at all, programs run in the interpreter.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <taper/taper.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <vector>

namespace taper {
namespace {

// From here on no memory of this process becomes executable, nor is it mapped so if `mapped`. False
// where filters are forbidden.
bool forbid_executable_memory(bool mapped) {
  const auto protection = static_cast<unsigned>(offsetof(seccomp_data, args) + 2 * sizeof(__u64));
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(mapped ? SYS_mmap : SYS_mprotect),
               1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_mprotect, 0, 2),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, protection),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
  };
  const sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

enum Verdict : int { kGood = 0, kNoFilter = 10, kOtherwise = 11, kWrong = 12 };

int run_without_executable_memory(bool mapped) {
  if (!forbid_executable_memory(mapped)) return kNoFilter;
  Tape tape;
  const Tensor x = tape.input("x", {N, 3});
  Function f = compile(relu(x * 2 - 1));
  if ((f.report().isa == "interpreter") != mapped) return kOtherwise;
  const auto y = f(std::vector<float>{0, 1, 2});
  return std::vector<float>(y.begin(), y.end()) == std::vector<float>{0, 1, 3} ? kGood : kWrong;
}

void expect_fallback(bool mapped) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(run_without_executable_memory(mapped));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kNoFilter) GTEST_SKIP() << "this system allows no seccomp filter";
  EXPECT_EQ(WEXITSTATUS(status), kGood);
}

TEST(Fallback, CodeIsMappedFromAFileWhereMemoryMayNotBecomeExecutable) {
  expect_fallback(false);
}

TEST(Fallback, TheInterpreterRunsWhereCodeMayNot) {
  expect_fallback(true);
}

}  // namespace
}  // namespace taper
