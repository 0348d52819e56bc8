// taper bench and taper profile: what they print, not how fast it is.
#include <map>
#include <nlohmann/json.hpp>

#include "tests/tool.h"

namespace taper {
namespace {

using nlohmann::json;

class ToolBench : public Tool {
 protected:
  std::string model() const { return write("model.tir", kConvolution).string(); }
  // The result of JSON output, of so short a measurement that it only shows the form.
  json measured(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "bench");
    for (const char* more : {"--format", "json", "--seconds", "0"}) arguments.emplace_back(more);
    return json::parse(prints(arguments));
  }
  static bool runs(const json& measured, const std::string& lowering, const std::string& spec) {
    for (const json& kernel : measured.at("kernels"))
      if (kernel.at("lowering").get<std::string>().find(lowering) != std::string::npos &&
          kernel.at("spec").get<std::string>().find(spec) != std::string::npos)
        return kernel.at("seconds") > 0;
    return false;
  }
};

TEST_F(ToolBench, MeasuresTheKernelsOfAFile) {
  const json m = measured({model(), "--batch", "8", "--isa", "avx2"});
  EXPECT_EQ(m.at("isa"), "avx2");
  EXPECT_EQ(m.at("batch"), 8);
  EXPECT_GT(m.at("peak_gflops"), 0);
  EXPECT_TRUE(runs(m, "direct", "conv pass=forward")) << m.dump(2);
  const std::string table = prints({"bench", model(), "--seconds", "0"});
  EXPECT_TRUE(says(table, "of roofline"));
  EXPECT_TRUE(prints({"bench", model(), "--seconds", "0", "--format", "csv"})
                  .starts_with("call,value,lowering,seconds,gflops"));
}

// Virtual machines and containers may hide any counter: then a sentence names it.
TEST_F(ToolBench, CountsOrSaysWhatItCannotCount) {
  const Outcome made =
      taper({"bench", "--gemm", "64x64x64", "--seconds", "0", "--counters", "--format", "json"});
  EXPECT_EQ(made.status, 0) << made.err;
  const auto counters = nlohmann::json::parse(made.out).at("counters");
  for (const char* name :
       {"CPU seconds", "page faults", "cycles", "instructions", "L1 load misses"}) {
    if (says(made.err, name)) {
      EXPECT_TRUE(says(made.err, "--counters: this kernel or processor does not count "));
      EXPECT_FALSE(counters.contains(name));
    } else {
      EXPECT_GE(counters.at(name).get<double>(), 0);
    }
  }
  if (counters.contains("CPU seconds")) {
    EXPECT_GT(counters["CPU seconds"].get<double>(), 0);
  }
}

TEST_F(ToolBench, MeasuresTrainingSteps) {
  const std::string path = write("classifier.tir", kClassifier).string();
  const json m = measured({path, "--train", "losses", "--optimizer", "adam", "--batch", "4"});
  EXPECT_GE(m.at("kernels").size(), 3u);
}

TEST_F(ToolBench, ReadsBenchdnnsProblems) {
  const char* spec = "ic=32 ih=14 iw=14 oc=48 oh=7 ow=7 kh=3 kw=3 stride=[2,2]";
  EXPECT_TRUE(runs(measured({"--conv", "mb3ic32ih14oc48oh7kh3sh2ph1"}), "direct", spec));
  EXPECT_TRUE(
      runs(measured({"--conv", "g1mb3_ic32ih14iw14_oc48oh7ow7_kh3kw3_sh2sw2_ph1pw1n\"name\"",
                     "--dir", "bwd_w"}),
           "direct", "pass=backward_weights"));
  EXPECT_TRUE(runs(measured({"--conv", "g32ic32ih8oc32kh3ph1", "--dir", "bwd_d"}), "depthwise",
                   "pass=backward_data"));
  EXPECT_TRUE(runs(measured({"--gemm", "16x40x24"}), "gemm", "n=40 k=24"));
  EXPECT_EQ(measured({"--gemm", "16x40x24", "--dir", "bwd_d"}).at("batch"), 16);
}

TEST_F(ToolBench, MeasuresAllDirections) {
  const std::string all = prints({"bench", "--gemm", "8x16x32", "--dir", "all", "--seconds", "0"});
  for (const char* pass : {"fwd\n", "bwd_d\n", "bwd_w\n"}) EXPECT_TRUE(says(all, pass));
}

TEST_F(ToolBench, RefusesBadProblems) {
  EXPECT_TRUE(says(fails({"bench", "--conv", "mb2ic3xx4"}), "\"xx4\" is not a key and a number"));
  EXPECT_TRUE(says(fails({"bench", "--conv", "ic3ic3ih8oc8kh3"}), "\"ic3ih8oc8kh3\" is not a key"));
  EXPECT_TRUE(says(fails({"bench", "--conv", "ic3oc8"}), "ih, kh and sh must be positive"));
  EXPECT_TRUE(says(fails({"bench", "--conv", "ic3ih8oc8oh4kh3ph0"}), "ic3ih8oc8oh4kh3ph0"));
  EXPECT_TRUE(says(fails({"bench", "--conv", "g2ic3ih8oc8kh3"}), "g must divide them"));
  EXPECT_TRUE(says(fails({"bench", "--gemm", "16x40"}), "is not MxNxK"));
  EXPECT_TRUE(says(fails({"bench", "--gemm", "16x40x0"}), "is not MxNxK"));
  EXPECT_TRUE(says(fails({"bench", model(), "--versus", "onednn"}), "is for --conv and --gemm"));
  EXPECT_TRUE(
      says(fails({"bench", "--conv", "ic3ih8iw9oc8kh3", "--versus", "onednn"}), "--versus: "));
  EXPECT_TRUE(says(fails({"bench"}), "give one of FILE, --conv and --gemm"));
  EXPECT_TRUE(says(fails({"bench", model(), "--gemm", "1x1x1"}), "give one of"));
  EXPECT_TRUE(says(fails({"bench", model(), "--interpret"}), "the interpreter runs"));
}

// ---- taper profile ----

TEST_F(ToolBench, TracesEveryThread) {
  const std::string trace = (folder_ / "trace.json").string();
  const std::string table = prints(
      {"profile", model(), "--batch", "64", "--threads", "2", "--trace", trace, "--seconds", "0"});
  EXPECT_TRUE(says(table, "waiting at barriers"));
  EXPECT_EQ(table.find(model()), std::string::npos);
  const json events = json::parse(contents(trace)).at("traceEvents");
  ASSERT_FALSE(events.empty());
  std::map<int, double> end;  // of the last event, by thread
  for (const json& event : events) {
    EXPECT_EQ(event.at("ph"), "X");
    const double begin = event.at("ts");
    EXPECT_GE(begin, end[event.at("tid")]) << "events of a thread do not overlap";
    end[event.at("tid")] = begin + event.at("dur").get<double>();
    EXPECT_FALSE(event.at("args").at("spec").get<std::string>().empty());
    EXPECT_TRUE(event.at("args").at("location").get<std::string>().starts_with(model()));
  }
  EXPECT_EQ(end.size(), 2u);
}

TEST_F(ToolBench, WritesASelfContainedReport) {
  const std::string path = (folder_ / "report.html").string();
  const std::string table =
      prints({"profile", model(), "--html", path, "--seconds", "0", "--locations"});
  EXPECT_TRUE(says(table, " " + model() + ":6:3\n"));
  const std::string page = contents(path);
  EXPECT_TRUE(says(page, "loc(\\\"" + model() + "\\\":6:3)"));
  for (const char* part : {"id=\"stage6\"", "class=\"node kernel\"", "\"spec\":\"conv pass=forward",
                           "vfmadd231ps", "\"memory\":["})
    EXPECT_TRUE(says(page, part));
  for (const char* part : {"http-equiv", "src=", "@import", "url("})
    EXPECT_EQ(page.find(part), std::string::npos) << part;
}

TEST_F(ToolBench, RefusesBadProfiles) {
  EXPECT_TRUE(says(fails({"profile", model(), "--trace", "/nowhere/t.json", "--seconds", "0"}),
                   "/nowhere/t.json: cannot be written"));
  EXPECT_TRUE(says(fails({"profile", model(), "--interpret"}), "the interpreter runs"));
  EXPECT_TRUE(says(fails({"profile", model(), "--train", "q"}), "no output \"q\""));
}

}  // namespace
}  // namespace taper
