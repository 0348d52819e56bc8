// Cuts a data set into batches: order, augmentation, read-ahead and a position to resume from.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "frontend/compile.h"
#include "frontend/data/augment.h"
#include "frontend/data/dataset.h"

namespace taper::data {

// Samples of one step, ready to be given to a compiled function: inputs that are in memory and not
// augmented where they lie, all else row-major in one piece.
struct Batch {
  InputView inputs;
  InputView targets;
  std::int64_t size = 0;  // samples; 0 after the last batch of an epoch
};

// The batch that comes next.
struct Position {
  std::uint64_t epoch = 0;
  std::int64_t batch = 0;
  bool operator==(const Position&) const = default;
};

struct LoaderOptions {
  std::int64_t batch = 256;
  // Epoch e of seed s always has the same order.
  bool shuffle = false;
  std::uint64_t seed = 0;  // of the order and the augmentation
  bool drop_last = false;  // leave out a last batch that is not full
  // Batches that a thread of the loader's reads ahead; 0: next() reads. The batches are the same.
  // Of samples in memory that are not augmented there is nothing to read.
  int prefetch = 0;
  std::vector<Augmentation> augment = {};
};

// Numbers keep their type: bytes stay bytes, and the compiled program converts them. One user at a
// time.
class DataLoader {
 public:
  // Throws taper::Error for options that make no batch and for augmentation that does not fit.
  explicit DataLoader(Dataset dataset, LoaderOptions options = {});
  ~DataLoader();
  DataLoader(const DataLoader&) = delete;
  DataLoader& operator=(const DataLoader&) = delete;

  std::int64_t batches() const;  // of an epoch
  std::int64_t samples() const;  // of an epoch
  const SampleType& input() const;
  const SampleType& target() const;

  Position position() const { return position_; }
  // Goes to a batch of any epoch; batch == batches() is the end. Throws taper::Error beyond.
  void seek(Position position);
  void start_epoch(std::uint64_t epoch) { seek({epoch, 0}); }
  // The next batch of the epoch, valid until the next call; an empty one after the last. What the
  // data set's callback throws comes out here; the position stays, so that the next call tries
  // again.
  Batch next();

 private:
  struct Buffers;
  class Reader;
  class ReadAhead;
  std::unique_ptr<Reader> reader_;
  Position position_;
  std::unique_ptr<ReadAhead> ahead_;  // a thread that reads with reader_, from position_ on
};

}  // namespace taper::data
