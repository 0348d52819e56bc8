// A vector whose first elements need no memory of their own, for the many short lists of a graph:
// shapes and operands. The interface is that part of std::vector's which they use.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace taper::ir {

template <class T, std::size_t Inline>
class InlineVector {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  using value_type = T;
  using iterator = T*;
  using const_iterator = const T*;

  InlineVector() = default;
  explicit InlineVector(std::size_t size, T value = T{}) { resize(size, value); }
  InlineVector(std::initializer_list<T> values) : InlineVector(values.begin(), values.end()) {}
  template <std::forward_iterator It>
  InlineVector(It first, It last) {
    assign(first, last);
  }
  InlineVector(const std::vector<T>& values) : InlineVector(values.begin(), values.end()) {}
  InlineVector(const InlineVector& other) { *this = other; }
  InlineVector(InlineVector&& other) noexcept { *this = std::move(other); }
  InlineVector& operator=(const InlineVector& other) {
    if (this == &other) return *this;
    if (heap_ || other.heap_) return assign(other.begin(), other.end()), *this;
    std::copy_n(other.inline_, Inline, inline_);  // of a length that the compiler knows
    size_ = other.size_;
    return *this;
  }
  InlineVector& operator=(InlineVector&& other) noexcept {
    if (this == &other) return *this;
    heap_ = std::move(other.heap_);
    if (!heap_) std::copy_n(other.inline_, Inline, inline_);
    size_ = std::exchange(other.size_, 0);
    capacity_ = std::exchange(other.capacity_, static_cast<std::uint32_t>(Inline));
    return *this;
  }

  T* data() { return heap_ ? heap_.get() : inline_; }
  const T* data() const { return heap_ ? heap_.get() : inline_; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  T& front() { return *data(); }
  const T& front() const { return *data(); }
  T& back() { return data()[size_ - 1]; }
  const T& back() const { return data()[size_ - 1]; }

  void reserve(std::size_t capacity) {
    if (capacity <= capacity_) return;
    capacity_ = static_cast<std::uint32_t>(std::max<std::size_t>(capacity, 2 * capacity_));
    auto larger = std::make_unique_for_overwrite<T[]>(capacity_);
    std::copy_n(data(), size_, larger.get());
    heap_ = std::move(larger);
  }
  void resize(std::size_t size, T value = T{}) {
    reserve(size);
    if (size > size_) std::fill(end(), data() + size, value);
    size_ = static_cast<std::uint32_t>(size);
  }
  void clear() { size_ = 0; }
  void push_back(T value) { resize(size_ + std::size_t{1}, value); }
  void pop_back() { --size_; }

  template <std::forward_iterator It>
  void assign(It first, It last) {
    clear();
    reserve(static_cast<std::size_t>(std::distance(first, last)));
    size_ = static_cast<std::uint32_t>(std::copy(first, last, data()) - data());
  }
  void assign(std::size_t size, T value) {
    clear();
    resize(size, value);
  }
  // `first` and `last` are not this vector's own.
  template <std::forward_iterator It>
  T* insert(const T* at, It first, It last) {
    const auto place = at - begin();
    const auto count = std::distance(first, last);
    resize(size_ + static_cast<std::size_t>(count));
    std::copy_backward(begin() + place, end() - count, end());
    std::copy(first, last, begin() + place);
    return begin() + place;
  }
  T* insert(const T* at, T value) { return insert(at, &value, &value + 1); }
  T* erase(const T* first, const T* last) {
    T* const to = begin() + (first - begin());
    std::copy(last, static_cast<const T*>(end()), to);
    size_ -= static_cast<std::uint32_t>(last - first);
    return to;
  }
  T* erase(const T* at) { return erase(at, at + 1); }

  bool operator==(const InlineVector& other) const {
    return std::equal(begin(), end(), other.begin(), other.end());
  }

 private:
  T inline_[Inline]{};
  std::unique_ptr<T[]> heap_;
  std::uint32_t size_ = 0, capacity_ = Inline;
};

}  // namespace taper::ir
