// Every layer against PyTorch: results and gradients in both modes, and what follows bad arguments.
#include "tests/layer_vectors.h"

namespace taper {
namespace {

using layers::check;
using layers::error_of;

// Every recorded case must be checked, and every checked one recorded.
class Cases {
 public:
  explicit Cases(const std::string& topic) : cases_(layers::read_cases(topic)) {}
  ~Cases() {
    for (const auto& [name, recorded] : cases_) ADD_FAILURE() << name << " was not checked";
  }
  void operator()(const std::string& name, const nn::Module& layer) {
    SCOPED_TRACE(name);
    check(layer, cases_[name]);
    cases_.erase(name);
  }

 private:
  std::map<std::string, layers::Case> cases_;
};

TEST(Layers, NormalisationMatchesPyTorch) {
  Cases match("norm");
  match("batch_norm1d", nn::BatchNorm1d(5));
  match("batch_norm1d_of_sequences", nn::BatchNorm1d(3));
  match("batch_norm1d_momentum", nn::BatchNorm1d(4, {.eps = 1e-2, .momentum = 0.3}));
  match("batch_norm2d", nn::BatchNorm2d(3));
  match("batch_norm2d_wide", nn::BatchNorm2d(18));
  match("batch_norm2d_plain", nn::BatchNorm2d(4, {.affine = false}));
  match("batch_norm2d_cumulative", nn::BatchNorm2d(2, {.momentum = std::nullopt}));
  match("layer_norm", nn::LayerNorm(7));
  match("layer_norm_of_sequences", nn::LayerNorm(20));
  match("layer_norm_of_images", nn::LayerNorm(Shape{3, 2, 4}, 1e-3));
  match("layer_norm_plain", nn::LayerNorm(6, 1e-5, false));
}

TEST(Layers, ConvolutionsMatchPyTorch) {
  Cases match("conv");
  match("conv2d", nn::Conv2d(3, 4, 3, {.stride = {2, 2}, .padding = nn::same_padding(1)}));
  match("conv1d", nn::Conv1d(3, 4, 3));
  match("conv1d_everything",
        nn::Conv1d(4, 6, 3, {.stride = 2, .padding = 2, .dilation = 2, .groups = 2}));
  match("conv1d_depthwise", nn::Conv1d(5, 5, 3, {.padding = 1, .groups = 5, .bias = false}));
  match("conv_transpose2d", nn::ConvTranspose2d(3, 4, 3));
  match("conv_transpose2d_everything", nn::ConvTranspose2d(4, 6, 3,
                                                           {.stride = {2, 2},
                                                            .padding = {1, 1},
                                                            .output_padding = {1, 1},
                                                            .dilation = {2, 2},
                                                            .groups = 2}));
  match("conv_transpose2d_upsampling",
        nn::ConvTranspose2d(18, 3, 2, {.stride = {2, 2}, .bias = false}));
  match("linear", nn::Linear(5, 4));
  match("residual", nn::Residual(nn::Sequential(nn::Conv2d(3, 3, 3, {.padding = {1, 1, 1, 1}}),
                                                nn::BatchNorm2d(3), nn::ReLU())));
  match("residual_shortcut", nn::Residual(nn::Linear(4, 3), nn::Linear(4, 3, false)));
}

TEST(Layers, PoolingMatchesPyTorch) {
  Cases match("pool");
  match("max_pool2d", nn::MaxPool2d(3, 2, 1, true));
  match("avg_pool2d", nn::AvgPool2d(2));
  match("avg_pool2d_ceil", nn::AvgPool2d(3, 2, 1, true));
  match("avg_pool2d_exclusive", nn::AvgPool2d(3, 2, 1, false, false));
  match("adaptive_avg_pool2d_global", nn::AdaptiveAvgPool2d(1));
  match("adaptive_avg_pool2d_even", nn::AdaptiveAvgPool2d(2));
  match("adaptive_avg_pool2d_uneven", nn::AdaptiveAvgPool2d({3, 2}));
  match("adaptive_avg_pool2d_larger", nn::AdaptiveAvgPool2d({5, 3}));
  match("flatten", nn::Flatten());
  match("flatten_from_2", nn::Flatten(2));
}

TEST(Layers, ActivationsMatchPyTorch) {
  Cases match("activation");
  match("relu", nn::ReLU());
  match("relu6", nn::ReLU6());
  match("leaky_relu", nn::LeakyReLU());
  match("leaky_relu_steep", nn::LeakyReLU(0.25));
  match("gelu", nn::GELU());
  match("gelu_tanh", nn::GELU(GeluForm::tanh));
  match("sigmoid", nn::Sigmoid());
  match("tanh", nn::Tanh());
  match("silu", nn::SiLU());
  match("softmax", nn::Softmax());
  match("softmax_of_channels", nn::Softmax(1));
}

TEST(Layers, EmbeddingMatchesPyTorch) {
  Cases match("embedding");
  match("embedding", nn::Embedding(7, 5));
  match("embedding_of_words", nn::Embedding(7, 18));
}

TEST(Layers, EmbeddingChecksItsIndicesBeforeARun) {
  for (const bool interpret : {false, true}) {
    const nn::Embedding layer(7, 5);
    Tape tape;
    const Tensor x = tape.input("words", {N, 2}, DType::i32);
    const Tensor loss = sum(layer(x));
    Function function(tape, {loss, gradient(loss, tape.parameter(layer.parameters()[0].second))},
                      {.interpret = interpret}, Mode::train);
    function(std::vector<std::int32_t>{0, 6});
    for (const std::int32_t bad : {-1, 7}) {
      const std::string error = error_of([&] {
        function(std::vector<std::int32_t>{0, 1, bad, 2});
      });
      EXPECT_NE(error.find(fmt::format("{} in row 2 of input \"words\"", bad)), std::string::npos)
          << error;
    }
  }
  Tape tape;
  const Tensor table = tape.input("table", {7, 5});
  const Tensor made = embedding(cast(tape.input("x", {N}), DType::i32), table);
  EXPECT_NE(error_of([&] { compile(made); }).find("indices must be an input"), std::string::npos);
}

TEST(Layers, RefuseBadArguments) {
  const auto contains = [](const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
    EXPECT_NE(text.find("nn_layers.cpp"), std::string::npos) << text;
  };
  contains(error_of([] { nn::Linear(0, 3); }), "0 -> 3 features");
  contains(error_of([] { nn::Conv1d(3, 4, 3, {.groups = 2}); }), "3 -> 4 channels");
  contains(error_of([] { nn::Conv2d(3, 4, 0); }), "kernel 0");
  contains(error_of([] {
             nn::ConvTranspose2d(3, 4, 3, {.output_padding = {1, 0}});
           }),
           "output padding 1");
  contains(error_of([] { nn::BatchNorm2d(0); }), "0 features");
  contains(error_of([] { nn::BatchNorm1d(3, {.momentum = 1.5}); }), "momentum 1.5");
  contains(error_of([] { nn::LayerNorm(Shape{3, 0}); }), "[3,0]");
  contains(error_of([] { nn::Dropout(1.5); }), "1.5");
  contains(error_of([] { nn::AdaptiveAvgPool2d({2, 0}); }), "2 x 0");
  Tape tape;
  const Tensor x = tape.input("x", {N, 3, 5, 5});
  contains(error_of([&] { nn::BatchNorm1d(3)(x); }), "[N,3,5,5]");
  contains(error_of([&] { nn::BatchNorm2d(4)(x); }), "4 channels");
  contains(error_of([&] { nn::LayerNorm(4)(x); }), "does not end in [4]");
  contains(error_of([&] { nn::Conv1d(3, 4, 3)(x); }), "[N,3,5,5]");
  contains(error_of([&] { nn::ConvTranspose2d(4, 4, 3)(x); }), "[N,3,5,5]");
  contains(error_of([&] { nn::Embedding(4, 3)(x); }), "f32[N,3,5,5]");
  contains(error_of([&] { nn::Embedding(0, 3); }), "0 entries");
  contains(error_of([&] { nn::Softmax(4)(x); }), "axis 4");
  contains(error_of([&] { nn::Residual(nn::MaxPool2d(2))(x); }), "[N,3,2,2]");
}

}  // namespace
}  // namespace taper
