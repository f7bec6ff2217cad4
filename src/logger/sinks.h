// Where lines go besides files: hearth's stdout, journald, syslog. Best effort, for whoever looks there: a line is handed
// over when it was written to its file, at most once, without ever waiting. What the other side does not take at once
// (it is dead, full or away) is dropped and counted; files have it.
//
// One thread. Allocates for lines that come in pieces.
#pragma once

#include <map>
#include <stddef.h>
#include <stdint.h>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "base/ids.h"
#include "base/time.h"
#include "os/fd.h"
#include "wire/log_page.h"

namespace hearth::logger {

struct SinkPlaces {
  std::string journal = "/run/systemd/journal/socket";
  std::string syslog = "/dev/log";
  int out = 1;
};

// A line longer than this goes out in pieces.
inline constexpr size_t longest_sink_line = 8u << 10;

class Sinks {
 public:
  explicit Sinks(wire::LogPage& page, SinkPlaces places = {});

  // Raw bytes of one batch, which are in the file now.
  void offer(SlotIndex slot, RunId run, WallNs wall_ns, const char* data, size_t size);

 private:
  struct Rest {
    RunId run = no_run;
    std::string bytes;
  };

  bool send(SlotIndex slot, RunId run, WallNs wall_ns, std::string_view line);
  bool send_journal(const wire::LogStream& stream, RunId run, std::string_view line);
  bool send_syslog(const wire::LogStream& stream, WallNs wall_ns, std::string_view line);
  bool send_out(const wire::LogStream& stream, std::string_view line);
  ssize_t write_out(std::string_view bytes);
  bool send_datagram(const std::string& path, const std::string& bytes);

  wire::LogPage& page_;
  SinkPlaces places_;
  os::Fd socket_;
  mode_t out_mode_ = 0;  // of hearth's stdout: which kind of file it is
  os::Fd own_out_;       // the same, opened once more: not blocking
  bool foreground_;
  std::map<SlotIndex, Rest> rests_;  // lines whose end has not come yet
  std::string message_;
  int error_ = 0;  // why the last line that was dropped was
};

}  // namespace hearth::logger
