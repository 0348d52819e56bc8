#include "bench/sets.h"

namespace taper::bench {

void add_layers(std::vector<Problem>& problems, std::string_view set,
                const std::vector<ConvLayer>& layers, const std::vector<ir::Dim>& batches,
                bool epilogue) {
  for (const ConvLayer& layer : layers) {
    for (const ir::Dim batch : batches)
      for (const Pass pass : kPasses)
        problems.push_back(convolution(set, layer, batch, pass, epilogue));
  }
}

std::vector<Problem> all_problems(bool epilogue) {
  std::vector<Problem> problems;
  add_plain_networks(problems, epilogue);
  add_resnet(problems, epilogue);
  add_mobilenet(problems, epilogue);
  add_others(problems, epilogue);
  add_dense(problems, epilogue);
  return problems;
}

}  // namespace taper::bench
