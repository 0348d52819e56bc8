#include "frontend/data/loader.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "ir/ahead.h"
#include "ir/error.h"

namespace taper::data {

struct DataLoader::Buffers {
  std::vector<std::byte> inputs, targets;
  std::vector<const std::byte*> images;  // instead of `inputs`, where they lie
  std::int64_t size = 0;
};

// Targets of shuffled samples come from anywhere, one by one they would be waited for.
constexpr std::size_t kTargetsAhead = 16;

// Makes any batch of the epoch that it is at.
class DataLoader::Reader {
 public:
  Reader(Dataset dataset, LoaderOptions options)
      : dataset_(std::move(dataset)),
        options_(std::move(options)),
        augmenter_(options_.augment, dataset_.input(), options_.seed),
        input_bytes_(augmenter_.output().bytes()),
        target_bytes_(dataset_.target().bytes()) {
    if (options_.batch < 1 || options_.prefetch < 0 || batches() < 1)
      throw Error("DataLoader: {} samples in batches of {} make no batch", dataset_.size(),
                  options_.batch);
    set_epoch(0);
  }

  void set_epoch(std::uint64_t epoch) {
    if (options_.shuffle && (order_.empty() || epoch != epoch_))
      order_ = shuffled(dataset_.size(), options_.seed, epoch, Purpose::epoch);
    epoch_ = epoch;
  }

  std::int64_t batches() const {
    const std::int64_t kept = options_.drop_last ? 0 : options_.batch - 1;
    return (dataset_.size() + kept) / options_.batch;
  }
  std::int64_t samples() const { return std::min(dataset_.size(), batches() * options_.batch); }
  const SampleType& input() const { return augmenter_.output(); }
  const SampleType& target() const { return dataset_.target(); }
  int prefetch() const { return options_.prefetch; }

  void read(std::int64_t batch, Buffers& to) {
    const std::int64_t first = batch * options_.batch;
    to.size = std::min(options_.batch, samples() - first);
    const auto size = static_cast<std::size_t>(to.size);
    const bool copies = !hands_over();
    to.inputs.resize(copies ? size * input_bytes_ : 0);
    to.images.resize(copies ? 0 : size);
    to.targets.resize(size * target_bytes_);
    for (std::size_t i = 0; i < size; ++i) {
      const auto at = static_cast<std::size_t>(first) + i;
      const std::int64_t index = sample_at(at);
      if (!copies && i + kTargetsAhead < size)
        ir::ask_for_lines(dataset_.in_memory(sample_at(at + kTargetsAhead))->target.data(), 1);
      const auto target = std::span(to.targets).subspan(i * target_bytes_, target_bytes_);
      if (copies)
        read_sample(index, std::span(to.inputs).subspan(i * input_bytes_, input_bytes_), target);
      else
        to.images[i] = find_sample(index, target);
    }
  }

  Batch batch_of(const Buffers& from) const {
    const runtime::InputBytes inputs = from.images.empty()
                                           ? runtime::InputBytes(from.inputs)
                                           : runtime::InputBytes(from.images, input_bytes_);
    return {{input().dtype, inputs}, {target().dtype, std::span(from.targets)}, from.size};
  }

  Buffers current;  // what the last next() gave out

 private:
  // Whether the inputs of a batch stay where they are, in memory and as they should be.
  bool hands_over() const { return augmenter_.empty() && dataset_.in_memory(0).has_value(); }

  std::int64_t sample_at(std::size_t at) const {
    return options_.shuffle ? order_[at] : static_cast<std::int64_t>(at);
  }

  const std::byte* find_sample(std::int64_t index, std::span<std::byte> target) const {
    const Dataset::Sample sample = *dataset_.in_memory(index);
    std::ranges::copy(sample.target, target.begin());
    return sample.input.data();
  }

  void read_sample(std::int64_t index, std::span<std::byte> input, std::span<std::byte> target) {
    if (augmenter_.empty()) return dataset_.read(index, input, target);
    image_.resize(dataset_.input().bytes());
    dataset_.read(index, image_, target);
    augmenter_.apply(epoch_, index, image_);
    std::ranges::copy(image_, input.begin());
  }

  Dataset dataset_;
  LoaderOptions options_;
  Augmenter augmenter_;
  std::size_t input_bytes_, target_bytes_;
  std::uint64_t epoch_ = 0;
  std::vector<std::uint32_t> order_;
  std::vector<std::byte> image_;
};

// Reads the rest of one epoch on a thread, at most `prefetch` batches ahead. It ends after the last
// batch or an exception, which the consumer gets after the batches before it.
class DataLoader::ReadAhead {
 public:
  ReadAhead(Reader& reader, std::int64_t first)
      : reader_(reader), thread_([this, first](std::stop_token stop) { run(first, stop); }) {}

  // Swaps the next batch into `to`, whose memory the thread uses again.
  void take(Buffers& to) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ready_.empty() || failure_; });
    if (ready_.empty()) std::rethrow_exception(failure_);
    std::swap(to, ready_.front());
    spare_.push_back(std::move(ready_.front()));
    ready_.pop_front();
    changed_.notify_all();
  }

 private:
  void run(std::int64_t first, const std::stop_token& stop) {
    try {
      for (std::int64_t batch = first; batch < reader_.batches(); ++batch)
        if (!read_one(batch, stop)) return;
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  // False when told to stop.
  bool read_one(std::int64_t batch, const std::stop_token& stop) {
    Buffers buffers;
    {
      std::unique_lock lock(mutex_);
      const auto room = static_cast<std::size_t>(reader_.prefetch());
      changed_.wait(lock, stop, [&] { return ready_.size() < room; });
      if (stop.stop_requested()) return false;
      if (!spare_.empty()) {
        buffers = std::move(spare_.back());
        spare_.pop_back();
      }
    }
    reader_.read(batch, buffers);
    const std::lock_guard lock(mutex_);
    ready_.push_back(std::move(buffers));
    changed_.notify_all();
    return true;
  }

  Reader& reader_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Buffers> ready_;
  std::vector<Buffers> spare_;
  std::exception_ptr failure_;
  std::jthread thread_;  // last: it uses the others
};

DataLoader::DataLoader(Dataset dataset, LoaderOptions options)
    : reader_(std::make_unique<Reader>(std::move(dataset), std::move(options))) {}
DataLoader::~DataLoader() = default;

std::int64_t DataLoader::batches() const {
  return reader_->batches();
}
std::int64_t DataLoader::samples() const {
  return reader_->samples();
}
const SampleType& DataLoader::input() const {
  return reader_->input();
}
const SampleType& DataLoader::target() const {
  return reader_->target();
}

void DataLoader::seek(Position position) {
  if (position.batch < 0 || position.batch > batches())
    throw Error("DataLoader: batch {} is not in 0..{}", position.batch, batches());
  ahead_.reset();
  reader_->set_epoch(position.epoch);
  position_ = position;
}

Batch DataLoader::next() {
  Buffers& current = reader_->current;
  if (position_.batch == batches()) {
    current = {};
    return reader_->batch_of(current);
  }
  if (reader_->prefetch() == 0) {
    reader_->read(position_.batch, current);
  } else {
    if (!ahead_) ahead_ = std::make_unique<ReadAhead>(*reader_, position_.batch);
    try {
      ahead_->take(current);
    } catch (...) {
      ahead_.reset();
      throw;
    }
  }
  ++position_.batch;
  return reader_->batch_of(current);
}

}  // namespace taper::data
