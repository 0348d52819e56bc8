// taper train: on a small set whose classes are easy to tell apart.
#include "frontend/npy.h"
#include "tests/tool.h"

namespace taper {
namespace {

class ToolTrain : public Tool {
 protected:
  void SetUp() override {
    Tool::SetUp();
    write_set("train", 160);
    write_set("test", 40);
  }

  // Samples of class c are bright in row c of 10, and a little elsewhere.
  void write_set(const std::string& suffix, std::int64_t count) const {
    std::vector<std::uint8_t> images;
    std::vector<std::int32_t> labels;
    std::uint32_t noise = 1;
    for (std::int64_t i = 0; i < count; ++i) {
      labels.push_back(static_cast<std::int32_t>(i % 10));
      for (std::int64_t pixel = 0; pixel < 100; ++pixel) {
        noise = noise * 1664525 + 1013904223;
        images.push_back(
            static_cast<std::uint8_t>((pixel / 10 == i % 10 ? 200 : 0) + (noise >> 27)));
      }
    }
    data::write_npy(folder_ / ("x_" + suffix + ".npy"),
                    data::NpyArray::of({count, 1, 10, 10}, images));
    data::write_npy(folder_ / ("y_" + suffix + ".npy"), data::NpyArray::of({count}, labels));
  }

  std::vector<std::string> with(std::vector<std::string> more) const {
    more.insert(more.begin(), {"train", "--data", folder_.string(), "--batch", "16", "--quiet",
                               "--learning-rate", "0.02"});
    return more;
  }
  std::string file(const std::string& name) const { return (folder_ / name).string(); }
  static double accuracy(const std::string& text) {
    const std::size_t at = text.find("test accuracy ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + 14));
  }
};

constexpr const char* kGraph = R"(graph {
  %x = input "x" : f32[N,1,10,10]
  %y = input "y" : i32[N]
  %w = parameter "w" : f32[10,100]
  %flat = reshape(%x) {shape=[N,100]} : f32[N,100]
  %s = matmul(%flat, %w) {transpose_b=true} : f32[N,10]
  %l = cross_entropy(%s, %y) : f32[N]
  return "loss" = %l
  return "logits" = %s
}
)";

TEST_F(ToolTrain, LearnsAndSavesWhatRuns) {
  for (const char* model : {"mlp", "cnn"})
    EXPECT_GT(accuracy(prints(with({"--model", model, "--epochs", "4"}))), 90) << model;
  const std::string graph = write("graph.tir", kGraph).string();
  const std::string out =
      prints(with({"--model", graph, "--epochs", "4", "--save", file("trained.tir")}));
  EXPECT_GT(accuracy(out), 90);
  EXPECT_TRUE(says(prints({"run", file("trained.tir"), "--weights", file("trained.safetensors"),
                           "--input", "images=" + file("x_test.npy")}),
                   "f32[40,10]"));
}

TEST_F(ToolTrain, ComputesTheSameOnOneThreadAndResumes) {
  const std::vector<std::string> run{"--model", "mlp", "--epochs", "2", "--checkpoint", file("c")};
  const std::string first = prints(with(run));
  std::vector<std::string> again = run;
  again.emplace_back("--resume");
  EXPECT_EQ(prints(with(again)), first) << "nothing is left to do";
  EXPECT_EQ(prints(with({"--model", "mlp", "--epochs", "2", "--threads", "1"})), first);
  EXPECT_NE(prints(with({"--model", "mlp", "--epochs", "2", "--seed", "4"})), first);
}

TEST_F(ToolTrain, SaysWhatIsWrong) {
  EXPECT_TRUE(
      says(fails({"train", "--data", "/nowhere", "--model", "mlp"}), "/nowhere: is no folder"));
  EXPECT_TRUE(says(fails(with({"--model", "/nowhere.tir"})), "/nowhere.tir: cannot be read"));
  const std::string graph = write("graph.tir", kGraph).string();
  EXPECT_TRUE(says(fails(with({"--model", graph, "--loss", "error"})), "no output \"error\""));
  EXPECT_TRUE(says(fails(with({"--model", graph, "--scores", "s"})), "no output \"s\""));
  const std::string other = write("other.tir", kClassifier).string();
  EXPECT_TRUE(
      says(fails(with({"--model", other, "--loss", "losses"})),
           "other.tir:2:3: train: input \"x\" is f32[N,20], but the data is f32[N,1,10,10]"));
  for (const char* option : {"--save", "--checkpoint"}) {
    const Outcome outcome = taper(with({"--model", graph, option, "/nowhere/file"}));
    EXPECT_EQ(outcome.status, 1);
    EXPECT_EQ(outcome.err, "taper: /nowhere/file: could not be saved: there is no such folder\n");
  }
  EXPECT_EQ(taper(with({"--model", "mlp", "--resume"})).status, 2) << "--resume needs --checkpoint";
}

}  // namespace
}  // namespace taper
