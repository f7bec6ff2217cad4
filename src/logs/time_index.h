// Reads NUMBER.idx (wire/log_index.h). Inside the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "os/fd.h"
#include "wire/log_index.h"

namespace hearth::logs {

class TimeIndex {
 public:
  // Empty when there is none, or it is none of ours.
  static Result<TimeIndex> open(int directory, std::uint64_t number);

  std::uint64_t count() const { return count_; }
  Result<wire::LogIndexRecord> record(std::uint64_t at) const;
  // `count` records from `at` on, fewer where the index ends.
  Result<std::vector<wire::LogIndexRecord>> records(std::uint64_t at, std::size_t count) const;
  // How many records are not later than `wall_ns`: by halving, a read each.
  Result<std::uint64_t> not_later(WallNs wall_ns) const;
  // How many records have places not behind `offset`.
  Result<std::uint64_t> not_behind(std::uint64_t offset) const;
  // Looks again how long it is.
  Status refresh();

 private:
  template <typename Before>
  Result<std::uint64_t> halve(Before before) const;

  os::Fd file_;
  std::string name_;
  std::uint64_t count_ = 0;
};

// The time of each place of one file, for somebody who goes through it forwards.
class TimeLine {
 public:
  // Begins with the place `offset` of a file; nothing of another file's is kept.
  Status open(int directory, std::uint64_t number, std::uint64_t offset);
  std::uint64_t number() const { return number_; }  // 0 = none is open
  // To be called after bytes were read that may be newer than what was known: records come before their bytes.
  Status look_again();
  // When the byte at `offset` came; 0 = not known. Places only grow from call to call.
  Result<WallNs> at(std::uint64_t offset);

 private:
  std::uint64_t number_ = 0;
  TimeIndex index_;
  std::vector<wire::LogIndexRecord> block_;
  std::uint64_t next_ = 0;  // number of the record behind the block
  std::size_t used_ = 0;    // records of the block that are not behind the last place
  WallNs now_ = 0;
};

}  // namespace hearth::logs
