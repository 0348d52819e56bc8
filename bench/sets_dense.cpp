#include "bench/sets.h"

namespace taper::bench {

void add_dense(std::vector<Problem>& problems, bool epilogue) {
  struct Layer {
    std::int64_t in, out;
  };
  for (const Layer& l : {Layer{784, 128}, Layer{128, 128}, Layer{128, 64}, Layer{64, 10},
                         Layer{1024, 1024}, Layer{2048, 1000}})
    for (const Pass pass : kPasses) problems.push_back(dense(256, l.in, l.out, pass, epilogue));
  for (const std::int64_t size : {256, 384, 512, 768, 1024, 1536, 2048})
    problems.push_back(dense(size, size, size, Pass::forward, epilogue));
}

}  // namespace taper::bench
