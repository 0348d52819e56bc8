#include <dlib/dnn.h>

#include "bench/small_net.h"

namespace taper::bench {
namespace {

// The sizes of the layers are set before the first run.
using Net = dlib::loss_mean_squared_multioutput<dlib::fc<
    1, dlib::relu<dlib::fc<1, dlib::relu<dlib::fc<1, dlib::input<dlib::matrix<float>>>>>>>>;

std::vector<dlib::matrix<float>> columns_of(const std::vector<float>& values, std::int64_t count) {
  const long size = static_cast<long>(values.size()) / static_cast<long>(count);
  std::vector<dlib::matrix<float>> columns;
  for (long i = 0; i < static_cast<long>(count); ++i)
    columns.push_back(dlib::mat(values.data() + i * size, size, 1));
  return columns;
}

// Without dnn_trainer, whose threads prepare batches. The initial weights are dlib's own.
class DlibNet final : public Trainer {
 public:
  explicit DlibNet(const NetData& data)
      : targets_(columns_of(data.targets, data.batch)),
        solvers_(Net::num_computational_layers,
                 dlib::adam(0, static_cast<float>(kBeta1), static_cast<float>(kBeta2))) {
    dlib::layer<5>(net_).layer_details().set_num_outputs(static_cast<long>(data.widths[1]));
    dlib::layer<3>(net_).layer_details().set_num_outputs(static_cast<long>(data.widths[2]));
    dlib::layer<1>(net_).layer_details().set_num_outputs(static_cast<long>(data.widths[3]));
    const std::vector<dlib::matrix<float>> inputs = columns_of(data.inputs, data.batch);
    net_.to_tensor(inputs.begin(), inputs.end(), inputs_);
  }

  float step() override {
    const double loss = net_.compute_loss(inputs_, targets_.begin());
    net_.back_propagate_error(inputs_);
    net_.update_parameters(dlib::make_sstack(solvers_), kLearningRate);
    return static_cast<float>(loss);
  }
  bool comparable() const override { return false; }

 private:
  std::vector<dlib::matrix<float>> targets_;
  dlib::resizable_tensor inputs_;
  Net net_;
  std::vector<dlib::adam> solvers_;
};

}  // namespace

std::unique_ptr<Trainer> make_dlib_net(const NetData& data) {
  return std::make_unique<DlibNet>(data);
}

}  // namespace taper::bench
