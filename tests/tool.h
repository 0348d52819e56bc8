// Runs the `taper` command, without a shell.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"

extern char** environ;

namespace taper {

struct Outcome {
  int status = -1;
  std::string out, err;
};

class Tool : public TemporaryFolder {
 protected:
  // `arguments` after the command's name; paths are relative to nothing, so give whole ones.
  // `environment` is added to this process's own ("NAME=VALUE").
  Outcome taper(const std::vector<std::string>& arguments,
                const std::vector<std::string>& environment = {},
                const std::string& input = "/dev/null") const {
    return run(TAPER_COMMAND, arguments, environment, input);
  }

  // Any program, looked for in PATH.
  Outcome run(const std::string& program, std::vector<std::string> arguments,
              std::vector<std::string> environment = {},
              const std::string& input = "/dev/null") const {
    arguments.insert(arguments.begin(), program);
    for (char** variable = environ; *variable != nullptr; ++variable)
      environment.emplace_back(*variable);
    const std::string out = (folder_ / "stdout").string(), err = (folder_ / "stderr").string();
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, input.c_str(), O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t child = 0;
    const int failed = posix_spawnp(&child, program.c_str(), &files, nullptr,
                                    pointers(arguments).data(), pointers(environment).data());
    posix_spawn_file_actions_destroy(&files);
    Outcome outcome;
    if (failed != 0) return outcome;
    int status = 0;
    waitpid(child, &status, 0);
    outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    outcome.out = contents(out);
    outcome.err = contents(err);
    return outcome;
  }

  // Succeeds and says nothing on stderr; returns what it prints.
  std::string prints(const std::vector<std::string>& arguments,
                     const std::vector<std::string>& environment = {}) const {
    const Outcome outcome = taper(arguments, environment);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    return outcome.out;
  }
  // Fails with 1; returns what it says.
  std::string fails(const std::vector<std::string>& arguments,
                    const std::vector<std::string>& environment = {}) const {
    const Outcome outcome = taper(arguments, environment);
    EXPECT_EQ(outcome.status, 1) << outcome.out;
    return outcome.err;
  }

  static constexpr const char* kConvolution = R"(graph {
  %x = input "x" : f32[N,3,8,8]
  %w = parameter "w" : f32[16,3,3,3]
  %b = parameter "b" : f32[16]
  %b3 = reshape(%b) {shape=[16,1,1]} : f32[16,1,1]
  %y = conv2d(%x, %w) {padding=[1,1,1,1]} : f32[N,16,8,8]
  %z = add(%y, %b3) : f32[N,16,8,8]
  %r = relu(%z) : f32[N,16,8,8]
  return "r" = %r
}
)";
  static constexpr const char* kClassifier = R"(graph {
  %x = input "x" : f32[N,20]
  %labels = input "labels" : i32[N]
  %w = parameter "w" : f32[5,20]
  %logits = matmul(%x, %w) {transpose_b=true} : f32[N,5]
  %losses = cross_entropy(%logits, %labels) : f32[N]
  return "losses" = %losses
  return "logits" = %logits
}
)";

 private:
  static std::vector<char*> pointers(std::vector<std::string>& strings) {
    std::vector<char*> all;
    for (std::string& s : strings) all.push_back(s.data());
    all.push_back(nullptr);
    return all;
  }
};

}  // namespace taper
