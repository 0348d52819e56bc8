// The subcommands of `taper`: each adds itself, its options and its action to the application. The
// action throws taper::Error on bad input; main() prints it and exits with 1.
#pragma once

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace taper::tools {

void add_opt(CLI::App& app);
void add_run(CLI::App& app);
void add_info(CLI::App& app);
void add_train(CLI::App& app);
void add_compile(CLI::App& app);
void add_bench(CLI::App& app);
void add_profile(CLI::App& app);

}  // namespace taper::tools
