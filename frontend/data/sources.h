// Data sets from files. The files are untrusted: every reader checks sizes before it takes memory
// and throws taper::Error, naming the file, when one is missing, truncated, corrupt or of another
// kind, when counts differ, or when a label is not in [0, classes).
#pragma once

#include <cstdint>
#include <filesystem>

#include "frontend/data/dataset.h"

namespace taper::data {

// idx files (MNIST, Fashion-MNIST; plain or gzip): u8[1, rows, columns] and i32 labels.
Dataset load_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                 std::int32_t classes = 10);

// The train or test set of a folder with the four files of MNIST (train-images-idx3-ubyte, ...),
// each plain or with the suffix .gz.
Dataset load_mnist(const std::filesystem::path& folder, bool train);

// A file of CIFAR-10's binary version, records of a label and 3072 bytes: u8[3, 32, 32] and i32.
Dataset load_cifar10_batch(const std::filesystem::path& file);
// The train set (data_batch_1.bin to data_batch_5.bin) or test set (test_batch.bin) of a folder.
Dataset load_cifar10(const std::filesystem::path& folder, bool train);

}  // namespace taper::data
