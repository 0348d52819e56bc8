// taper: looks inside the compiler, runs and measures what it makes. One file per subcommand.
#include <fmt/format.h>

#include <exception>

#include "ir/error.h"
#include "tools/command.h"
#include "tools/source.h"

namespace {

constexpr int kFailed = 1, kMisused = 2;

int run(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return 0;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kMisused;
  } catch (const taper::Error& error) {
    fmt::print(stderr, "{}\n", taper::tools::explained(error));
  } catch (const std::exception& error) {
    fmt::print(stderr, "taper: {}\n", error.what());
  }
  return kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("taper: looks inside the neural-network compiler, runs and measures what it makes.");
  app.require_subcommand(1);
  app.set_version_flag("--version", "taper " TAPER_VERSION);
  taper::tools::add_opt(app);
  taper::tools::add_run(app);
  taper::tools::add_compile(app);
  taper::tools::add_bench(app);
  taper::tools::add_profile(app);
  taper::tools::add_train(app);
  taper::tools::add_info(app);
  return run(app, argc, argv);
}
