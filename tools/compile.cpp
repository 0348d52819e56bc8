// taper compile: every stage of a graph as a numbered file, down to the bytes of the machine code.
#include <fmt/format.h>

#include <filesystem>
#include <set>

#include "tools/command.h"
#include "tools/lowered.h"
#include "tools/source.h"
#include "tools/train_graph.h"

namespace taper::tools {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kExamples = R"(
Examples:
  taper compile model.tir --dump out               out/00-recorded.tir ... out/10-kernel0-....asm
  taper compile model.tir --dump out --isa avx512  also where the CPU has no AVX-512
  taper compile model.tir --dump out --train loss --optimizer adam --max-batch 64
)";

struct CompileCommand {
  std::string file, isa, folder, loss, optimizer = "sgd";
  ir::Dim max_batch = 256;
  bool no_winograd = false, locations = false;
};

// The files of one run, numbered in order.
class Dump {
 public:
  explicit Dump(const std::string& folder) : folder_(folder) {
    std::error_code error;
    fs::create_directories(folder_, error);
    if (!fs::is_directory(folder_)) throw Error("{}: is no folder", folder);
  }
  void write(const std::string& name, const std::string& text) {
    put(fmt::format("{:02}-{}", number_++, name), text);
  }
  // Beside the file written last, under its number.
  void write_beside(const std::string& name, const std::string& text) {
    put(fmt::format("{:02}-{}", number_ - 1, name), text);
  }
  int files() const { return files_; }

 private:
  void put(const std::string& name, const std::string& text) {
    write_file(folder_ / name, text);
    ++files_;
  }
  fs::path folder_;
  int number_ = 0, files_ = 0;
};

std::string kernel_list(const Lowered& lowered, ir::Dim batch, bool locations) {
  std::string text =
      fmt::format("call value lowering MFLOP (at batch {}) operands -> results\n", batch);
  for (std::size_t c = 0; c < lowered.plan.calls.size(); ++c) {
    const ir::KernelSpec& spec = *lowered.plan.calls[c].spec;
    text += fmt::format("{:3} {:>5} {:<38} {:10.3f}  {}\n      {}\n", c, lowered.value(c),
                        ir::lowering(spec), ir::flops(spec, batch) / 1e6, lowered.buffers(c),
                        ir::to_string(spec));
    if (locations) text += fmt::format("      at {}\n", to_string(lowered.location(c)));
  }
  return text;
}

std::string memory_plan(const runtime::Plan& plan, ir::Dim batch) {
  std::string text = fmt::format("arena of {} bytes at batch {}\noffset bytes live value type\n",
                                 plan.arena_bytes, batch);
  for (const runtime::Buffer& buffer : plan.buffers) {
    if (buffer.place != runtime::Buffer::Place::arena)
      text +=
          fmt::format("{:>12} {:12} {:>12} {} {}\n",
                      buffer.place == runtime::Buffer::Place::variable ? "variable" : "constant",
                      buffer.bytes, "", buffer.name, to_string(buffer.type));
    else if (buffer.last >= buffer.first)
      text += fmt::format("{:12} {:12} {:>12} {} {}\n", buffer.offset, buffer.bytes,
                          fmt::format("[{}, {}]", buffer.first, buffer.last), buffer.name,
                          to_string(buffer.type));
  }
  return text;
}

// The line of the stage's text that defines the value.
std::string definition(const Lowered& lowered, std::size_t c) {
  const std::string text = ir::print(lowered.selected()), start = "  " + lowered.value(c) + " = ";
  const std::size_t at = text.find(start);
  if (at == std::string::npos) return "a copy that an update or an output needs";
  const std::size_t begin = at + 2;
  return text.substr(begin, text.find(" {spec=", begin) - begin) + " : " +
         to_string(lowered.selected()[lowered.plan.calls[c].node].type);
}

struct Dumped {
  std::size_t kernels = 0, bytes = 0;  // of code
};

Dumped dump_kernels(const Lowered& lowered, const ir::Isa& isa, bool locations, Dump& dump) {
  std::set<const codegen::Kernel*> seen;
  std::size_t code = 0;
  for (std::size_t c = 0; c < lowered.kernels.size(); ++c) {
    const codegen::Kernel& kernel = *lowered.kernels[c];
    if (!seen.insert(&kernel).second) continue;
    std::string text =
        fmt::format("; {}, {}\n; buffers {}\n; {}\n", isa.name, definition(lowered, c),
                    lowered.buffers(c), ir::to_string(*lowered.plan.calls[c].spec));
    if (locations) text += fmt::format("; at {}\n", to_string(lowered.location(c)));
    for (std::size_t other = c + 1; other < lowered.kernels.size(); ++other)
      if (lowered.kernels[other] == lowered.kernels[c])
        text += fmt::format("; also call {}: {}\n", other, lowered.buffers(other));
    std::string bytes;
    for (const codegen::Routine* routine : kernel.routines()) {
      text += fmt::format("\n; routine {}: {} bytes, at {} of the .bin file\n{}", routine->name,
                          routine->code->bytes.size(), bytes.size(), annotated(routine->listing));
      bytes.append(routine->code->bytes.begin(), routine->code->bytes.end());
    }
    dump.write(fmt::format("kernel{}.asm", c), text);
    dump.write_beside(fmt::format("kernel{}.bin", c), bytes);
    code += bytes.size();
  }
  return {seen.size(), code};
}

const ir::Isa& chosen_isa(const std::string& name) {
  if (!name.empty()) return ir::isa_named(name);
  const ir::Isa* isa = ir::host_isa();
  if (isa == nullptr)
    throw Error("this machine has no instruction set that taper knows: give --isa");
  return *isa;
}

void run_compile(const CompileCommand& command) {
  const ir::Isa& isa = chosen_isa(command.isa);
  ir::Graph graph = parse_source(read_source(command.file));
  if (!command.loss.empty()) graph = training_graph(graph, command.loss, command.optimizer);
  const auto lowered =
      lower(graph, {.max_batch = command.max_batch, .winograd = !command.no_winograd}, isa);
  Dump dump(command.folder);
  for (const auto& [stage, text] : lowered->stages)
    dump.write(stage + ".tir", ir::print(text, {.locations = command.locations}));
  dump.write("kernels.txt", kernel_list(*lowered, command.max_batch, command.locations));
  dump.write("memory.txt", memory_plan(lowered->plan, command.max_batch));
  const auto [kernels, code] = dump_kernels(*lowered, isa, command.locations, dump);
  fmt::print(
      "{}: {} kernel calls, {} kernels, {} bytes of code, arena of {} bytes at batch {}; {} files "
      "in {}\n",
      isa.name, lowered->kernels.size(), kernels, code, lowered->plan.arena_bytes,
      command.max_batch, dump.files(), command.folder);
}

}  // namespace

void add_compile(CLI::App& app) {
  auto command = std::make_shared<CompileCommand>();
  CLI::App* compile = app.add_subcommand("compile", "Writes every stage, down to the machine code");
  compile->footer(std::string(kExamples));
  compile->add_option("FILE", command->file, "graph as text, or - for standard input")->required();
  compile->add_option("--dump", command->folder, "folder of the files")->required();
  compile->add_option("--isa", command->isa, ir::isa_names() + "; the CPU need not have it");
  compile->add_option("--train", command->loss, "the training step of the output of this name");
  compile->add_option("--optimizer", command->optimizer, "of --train: sgd, adam, adamw, rmsprop")
      ->capture_default_str();
  compile->add_option("--max-batch", command->max_batch, "largest batch planned for")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  compile->add_flag("--locations", command->locations, "the line that each node comes from");
  compile->add_flag("--no-winograd", command->no_winograd, "direct convolutions only");
  compile->callback([command] { run_compile(*command); });
}

}  // namespace taper::tools
