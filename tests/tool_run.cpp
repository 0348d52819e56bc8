// taper run, and taper info.
#include <cmath>
#include <numeric>

#include "frontend/npy.h"
#include "frontend/safetensors.h"
#include "tests/tool.h"

namespace taper {
namespace {

class ToolRun : public Tool {
 protected:
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  std::string model() const { return write("model.tir", kConvolution).string(); }
  std::string classifier() const { return write("classifier.tir", kClassifier).string(); }
  std::string floats(const std::string& name, std::vector<std::int64_t> shape,
                     const std::vector<float>& values) const {
    data::write_npy(folder_ / name, data::NpyArray::of(std::move(shape), values));
    return file(name);
  }
  // The lines after the first, which says how it ran.
  static std::string results(const std::string& text) { return text.substr(text.find('\n') + 1); }
  // The last column of the line that begins with `name`.
  static std::string fingerprint_of(const std::string& text, const std::string& name) {
    const std::size_t at = text.find(name);
    return at == std::string::npos ? "" : text.substr(text.find('\n', at) - 16, 16);
  }
};

// w x with numbers that leave no doubt.
TEST_F(ToolRun, ComputesFromFilesToFiles) {
  const std::string text = write("dot.tir", R"(graph {
  %x = input "x" : f32[N,3]
  %w = parameter "w" : f32[2,3]
  %y = matmul(%x, %w) {transpose_b=true} : f32[N,2]
  return "y" = %y
})")
                               .string();
  const std::vector<float> w{1, 2, 3, 4, 5, 6};
  safetensors::write(
      folder_ / "w.safetensors",
      {{"w", safetensors::Type::f32, {2, 3}, safetensors::encode(w, safetensors::Type::f32)}});
  const std::string x = floats("x.npy", {2, 3}, {1, 0, 0, 1, 1, 1});
  const std::string out =
      prints({"run", text, "--weights", file("w.safetensors"), "--input", "x=" + x, "--output",
              "y=" + file("y.npy"), "--grad", "y", "--grad-output", "w=" + file("dw.npy"),
              "--grad-output", "x=" + file("dx.npy")});
  EXPECT_TRUE(says(out, "batch 2"));
  EXPECT_TRUE(says(out, "f32[2,2]"));
  const data::NpyArray y = data::read_npy(file("y.npy"));
  EXPECT_EQ(y.shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(y.to<float>(), (std::vector<float>{1, 4, 6, 15}));
  EXPECT_EQ(data::read_npy(file("dw.npy")).to<float>(), (std::vector<float>{2, 1, 1, 2, 1, 1}));
  EXPECT_EQ(data::read_npy(file("dx.npy")).to<float>(), (std::vector<float>{5, 7, 9, 5, 7, 9}));
}

TEST_F(ToolRun, ComputesTheSameBitsEverywhere) {
  const std::vector<std::string> base{"run",     model(), "--input", "x=random:3",
                                      "--batch", "5",     "--grad",  "r"};
  const auto with = [&](std::initializer_list<std::string> more) {
    std::vector<std::string> all = base;
    all.insert(all.end(), more);
    return results(prints(all));
  };
  const std::string one = with({"--threads", "1"});
  EXPECT_TRUE(says(one, "gradient of w"));
  EXPECT_EQ(with({"--threads", "3"}), one);
  EXPECT_EQ(with({"--isa", "avx2"}), one);
  EXPECT_EQ(with({"--weights", "random:0"}), one);
  EXPECT_NE(with({"--weights", "random:1"}), one);
}

TEST_F(ToolRun, FingerprintsAreFnv1a) {
  const std::string text = write("copy.tir", R"(graph {
  %x = input "x" : f32[N]
  %y = neg(%x) : f32[N]
  return "y" = %y
})")
                               .string();
  const std::string x = floats("x.npy", {1}, {-1});
  // Of the bytes 00 00 80 3f, by hand.
  std::uint64_t hash = 14695981039346656037u;
  for (const unsigned byte : {0x00u, 0x00u, 0x80u, 0x3fu}) hash = (hash ^ byte) * 1099511628211u;
  EXPECT_EQ(
      std::stoull(fingerprint_of(prints({"run", text, "--input", "x=" + x}), "y "), nullptr, 16),
      hash);
}

TEST_F(ToolRun, RandomLabelsAreInRange) {
  const std::string out = prints({"run", classifier(), "--input", "x=random:1", "--input",
                                  "labels=random:2", "--batch", "64", "--interpret"});
  EXPECT_TRUE(says(out, "interpreter, 1 threads, batch 64"));
}

TEST_F(ToolRun, RunsUpdates) {
  const std::string text = write("count.tir", R"(graph {
  %s = state "steps" : f32[]
  %one = constant 1 : f32[]
  %next = add(%s, %one) : f32[]
  update %s = %next
})")
                               .string();
  EXPECT_TRUE(says(prints({"run", text}), "updated steps            f32[]                min 1 "));
}

TEST_F(ToolRun, SaysWhatIsWrongWithInputs) {
  EXPECT_TRUE(says(fails({"run", model()}), "input \"x\", f32[N,3,8,8], is missing"));
  EXPECT_TRUE(says(fails({"run", model(), "--input", "z=random:1"}),
                   "no input \"z\": the graph takes \"x\" f32[N,3,8,8]"));
  EXPECT_TRUE(
      says(fails({"run", model(), "--input", "x=random:1", "--input", "x=random:1"}), "twice"));
  EXPECT_TRUE(
      says(fails({"run", model(), "--input", "x=random:no"}), "the seed is not a whole number"));
  EXPECT_TRUE(says(fails({"run", model(), "--input", "x"}), "--input x: is not NAME=VALUE"));
  const std::string flat = floats("flat.npy", {2, 3}, std::vector<float>(6));
  EXPECT_TRUE(says(fails({"run", model(), "--input", "x=" + flat}),
                   "is [2,3], but input \"x\" is f32[N,3,8,8] at batch 2"));
  data::write_npy(folder_ / "ints.npy", data::NpyArray::of({1}, std::vector<std::int32_t>{1}));
  EXPECT_TRUE(says(fails({"run", model(), "--input", "x=" + file("ints.npy")}), "holds int32"));
  EXPECT_TRUE(says(fails({"run", classifier(), "--input", "x=random:0", "--input", "labels=2"}),
                   "only f32 inputs take a number"));
}

TEST_F(ToolRun, SaysWhatIsWrongWithTheRest) {
  const std::vector<std::string> good{"run", model(), "--input", "x=random:1"};
  const auto with = [&](std::initializer_list<std::string> more) {
    std::vector<std::string> all = good;
    all.insert(all.end(), more);
    return fails(all);
  };
  EXPECT_TRUE(says(with({"--output", "q=" + file("q.npy")}), "there is no such output"));
  EXPECT_TRUE(says(with({"--grad-output", "w=" + file("q.npy")}), "see --grad"));
  EXPECT_TRUE(says(with({"--grad", "q"}), "no output \"q\": the graph returns \"r\""));
  EXPECT_TRUE(says(with({"--isa", "sse"}), "\"sse\" is not an instruction set"));
  EXPECT_TRUE(says(with({"--isa", "neon"}), "this machine does not run neon"));
  EXPECT_TRUE(says(with({"--weights", "/nowhere"}), "/nowhere"));
  safetensors::write(folder_ / "other.safetensors",
                     {{"v", safetensors::Type::f32, {1}, std::vector<std::byte>(4)}});
  EXPECT_TRUE(says(with({"--weights", file("other.safetensors")}), "other.safetensors"));
  EXPECT_EQ(taper({"run", model(), "--threads", "0"}).status, 2);
  EXPECT_EQ(taper({"run", model(), "--batch", "-1"}).status, 2);
}

TEST_F(ToolRun, InfoSaysWhatIsChosenAndWhy) {
  const std::string info = prints({"info"}, {"TAPER_MAX_ISA=avx2"});
  EXPECT_TRUE(says(info, "instructions  avx2, capped by TAPER_MAX_ISA=avx2"));
  for (const char* part : {"cpu  ", "caches  ", "threads  ", "code memory  ", "taper  "})
    EXPECT_TRUE(says(info, part));
  EXPECT_TRUE(says(fails({"info"}, {"TAPER_MAX_ISA=sse"}), "\"sse\" is not an instruction set"));
  EXPECT_TRUE(says(fails({"info"}, {"TAPER_NUM_THREADS=0"}), "TAPER_NUM_THREADS"));
}

}  // namespace
}  // namespace taper
