// A stream's current file in this process, and the sink that writes to it and goes on in the next one.
#pragma once

#include <stdint.h>

#include "logger/line_format.h"
#include "logger/system.h"
#include "logger/time_index.h"
#include "os/fd.h"
#include "wire/log_page.h"

namespace hearth::logger {

// A line longer than what is left of max_size and this is cut.
inline constexpr uint64_t long_line_slack = 1u << 20;

// What this process has open of a stream. Nothing here is needed to go on after a death.
struct OpenFile {
  os::Fd fd;
  uint64_t number = 0;
  uint64_t reserved = 0;  // blocks are ours up to here
  uint64_t linked = 0;    // the file that NAME_PID.log of `linked_run` points to
  RunId linked_run = no_run;
  uint64_t tidied = 0;        // the files before this one were given to the janitor
  uint64_t oldest = 0;        // least number in the directory, 0 = not looked yet
  bool can_reserve = true;    // the file system knows fallocate
  bool has_leftovers = true;  // there may be more blocks than `reserved` says (a killed logger's)
  OpenIndex index;
  char directory[128] = {};  // the name under which it was opened

  void close();
};

// Buffer for formatted output; large pieces go around it.
inline constexpr size_t sink_buffer_bytes = 64u << 10;

class FileSink : public LineSink {
 public:
  // All references must outlive the sink. `file` is open at `number`, or the first call is next_file().
  FileSink(System& system, int log_directory, const wire::LogStream& stream, uint64_t max_size, OpenFile& file,
           uint64_t number, uint64_t offset, WallNs wall_ns, char* buffer)
      : system_(system),
        log_directory_(log_directory),
        stream_(stream),
        max_size_(max_size),
        file_(file),
        number_(number),
        offset_(offset),
        written_(offset),
        wall_ns_(wall_ns),
        buffer_(buffer) {}

  void append(const char* data, size_t size) override;
  uint64_t room() const override;
  uint64_t until_due() const override;
  void next_file() override;

  // So many bytes at most may come: there is to be room for those of a file before the first of them is in it, as what is
  // taken back for want of room may have been read.
  void expect(uint64_t bytes) { expected_ = bytes; }
  void flush();
  // Puts what comes now into the time index.
  void note_time() { logger::note_time(system_, log_directory_, stream_, file_, wall_ns_, offset_); }
  int error() const { return error_; }                    // errno of a write that failed, 0 = none
  int rotation_error() const { return rotation_error_; }  // why there is no next file, 0 = none
  uint64_t number() const { return number_; }
  uint64_t offset() const { return offset_; }  // of the file `number()`
  uint64_t appended() const { return appended_; }
  char last() const { return last_; }  // the last byte appended

 private:
  bool bounded() const { return max_size_ > 0 && error_ == 0 && rotation_error_ == 0; }
  void write_out(const char* data, size_t size);
  int reserve(uint64_t chunk);

  System& system_;
  int log_directory_;
  const wire::LogStream& stream_;
  uint64_t max_size_;
  OpenFile& file_;
  uint64_t number_;
  uint64_t offset_;   // what is buffered included
  uint64_t written_;  // what is buffered not
  WallNs wall_ns_;    // of what is appended
  char* buffer_;
  size_t buffered_ = 0;
  uint64_t appended_ = 0;
  uint64_t expected_ = 0;
  char last_ = '\n';
  int error_ = 0;
  int rotation_error_ = 0;
};

}  // namespace hearth::logger
