// A value that most of its owners leave as it is by default: it takes a pointer until it is edited.
//
// A value semantic type: copies are deep, equality is that of the values, whether or not they were ever edited.
// T is default constructible, copyable and comparable.
#pragma once

#include <memory>
#include <utility>

namespace hearth {

template <typename T>
class Boxed {
 public:
  Boxed() = default;
  Boxed(T value) : value_(std::make_unique<T>(std::move(value))) {}
  Boxed(const Boxed& other) : value_(other.value_ ? std::make_unique<T>(*other.value_) : nullptr) {}
  Boxed(Boxed&&) noexcept = default;
  Boxed& operator=(const Boxed& other) {
    value_ = other.value_ ? std::make_unique<T>(*other.value_) : nullptr;
    return *this;
  }
  Boxed& operator=(Boxed&&) noexcept = default;
  ~Boxed() = default;

  const T& operator*() const { return value_ ? *value_ : usual(); }
  const T* operator->() const { return &**this; }
  operator const T&() const { return **this; }
  // For writing; the first call allocates.
  T& edit() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }
  // As long as the value was never edited this is cheap.
  bool is_usual() const { return !value_ || *value_ == usual(); }

  friend bool operator==(const Boxed& a, const Boxed& b) { return (!a.value_ && !b.value_) || *a == *b; }

 private:
  static const T& usual() {
    static const T value{};
    return value;
  }

  std::unique_ptr<T> value_;
};

}  // namespace hearth
