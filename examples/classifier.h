// What the image examples share: their options and the training itself.
#pragma once

#include <taper/taper.h>

#include <functional>
#include <string>

struct Options {
  std::string name = {};     // of the program
  std::string data = {};     // folder of the four idx files
  std::int64_t epochs = 0;   // passes over the training set
  taper::Dim batch = 256;    // images of a step
  double learning_rate = 0;  // peak of the one-cycle schedule
  int shift = 0;             // training images move by up to so many pixels
  bool flip = false;         // half of the training images are mirrored
  std::uint64_t seed = 0;    // of the initial weights, the order and the augmentation
  int threads = 0;           // 0: all CPUs
  std::string history = {};  // PREFIX of the files PREFIX.csv and PREFIX.svg; empty: none
};

// Reads the options of the command line over `defaults` and makes the model after seeding; reports
// errors. The result is that of main().
int run_classifier(int argc, char** argv, Options defaults,
                   const std::function<taper::nn::Sequential()>& make_model);
