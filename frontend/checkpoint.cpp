#include "frontend/checkpoint.h"

#include <fmt/format.h>

#include <charconv>

#include "frontend/checkpoint_tensors.h"
#include "ir/error.h"

namespace taper {
namespace {

constexpr std::string_view kOwn = "taper.";
constexpr std::string_view kSchedule = "taper.schedule.";

NamedVariables named(const Variables& variables) {
  return {variables.begin(), variables.end()};
}

NamedVariables named(const nn::Module& module) {
  NamedVariables list = module.parameters();
  for (auto& buffer : module.buffers()) list.push_back(buffer);
  return list;
}

void save(const std::filesystem::path& path, const NamedVariables& variables,
          const SaveOptions& options) {
  safetensors::Metadata metadata = options.metadata;
  metadata.try_emplace("format", "pt");  // what PyTorch's readers of safetensors ask for
  safetensors::write(path, tensors_of(variables, options.floats), metadata);
}

// Reads "taper.KEY" of a checkpoint's metadata.
template <class Number>
Number number(const safetensors::File& file, const std::string& key) {
  const auto found = file.metadata().find(key);
  const std::string text = found == file.metadata().end() ? "" : found->second;
  const char* end = text.data() + text.size();
  Number value{};
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc{} && stop == end) return value;
  throw Error("{}: is no checkpoint of taper: its metadata has no number \"{}\"", file.name(), key);
}

TrainingState state_of(const safetensors::File& file) {
  TrainingState state;
  state.step = number<std::int64_t>(file, "taper.step");
  state.position.epoch = number<std::uint64_t>(file, "taper.loader.epoch");
  state.position.batch = number<std::int64_t>(file, "taper.loader.batch");
  for (const auto& [key, value] : file.metadata())
    if (key.starts_with(kSchedule))
      state.schedule[key.substr(kSchedule.size())] = number<double>(file, key);
    else if (!key.starts_with(kOwn))
      state.user[key] = value;
  return state;
}

}  // namespace

void save_weights(const std::filesystem::path& path, const nn::Module& module,
                  const SaveOptions& options) {
  save(path, named(module), options);
}
void save_weights(const std::filesystem::path& path, const Variables& variables,
                  const SaveOptions& options) {
  save(path, named(variables), options);
}
void load_weights(const std::filesystem::path& path, const nn::Module& module) {
  safetensors::File file(path);
  load_tensors(file, named(module));
}
void load_weights(const std::filesystem::path& path, const Variables& variables) {
  safetensors::File file(path);
  load_tensors(file, named(variables));
}

void save_checkpoint(const std::filesystem::path& path, const Variables& variables,
                     const TrainingState& state) {
  safetensors::Metadata metadata = state.user;
  for (const auto& [key, value] : state.user)
    if (key.starts_with(kOwn))
      throw Error("{}: the key \"{}\" is one of taper's own", path.string(), key);
  const RandomState random = random_state();
  metadata["taper.step"] = fmt::format("{}", state.step);
  metadata["taper.loader.epoch"] = fmt::format("{}", state.position.epoch);
  metadata["taper.loader.batch"] = fmt::format("{}", state.position.batch);
  metadata["taper.random.seed"] = fmt::format("{}", random.seed);
  metadata["taper.random.stream"] = fmt::format("{}", random.stream);
  for (const auto& [key, value] : state.schedule)
    metadata[std::string(kSchedule) + key] = fmt::format("{}", value);  // the shortest exact text
  safetensors::write(path, tensors_of(named(variables), safetensors::Type::f32), metadata);
}

TrainingState load_checkpoint(const std::filesystem::path& path, const Variables& variables) {
  safetensors::File file(path);
  TrainingState state = state_of(file);
  const RandomState random{number<std::uint64_t>(file, "taper.random.seed"),
                           number<std::uint64_t>(file, "taper.random.stream")};
  load_tensors(file, named(variables));
  set_random_state(random);
  return state;
}

}  // namespace taper
