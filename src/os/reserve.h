// Descriptors that are held back while others take what there is, so that there are some for what comes after.
#pragma once

#include <cerrno>
#include <cstddef>
#include <sys/eventfd.h>
#include <utility>
#include <vector>

#include "os/fd.h"

namespace hearth::os {

class Reserve {
 public:
  // So many, or as many as there are.
  explicit Reserve(std::size_t wanted) : wanted_(wanted) {
    held_.reserve(wanted);
    while (held_.size() < wanted) {
      Fd one(::eventfd(0, EFD_CLOEXEC));
      if (!one) error_ = errno;
      if (!one) return;
      held_.push_back(std::move(one));
    }
  }
  bool full() const { return held_.size() == wanted_; }
  // errno of the first that there was not; 0: full.
  int error() const { return error_; }
  void give_back() { held_.clear(); }

 private:
  std::size_t wanted_;
  int error_ = 0;
  std::vector<Fd> held_;
};

}  // namespace hearth::os
