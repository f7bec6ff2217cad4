#include "logger/sinks.h"

#include <algorithm>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <utility>

namespace hearth::logger {
namespace {

using wire::LogSink;

constexpr const char* priority = "30";  // facility daemon, severity info (syslog(3))

struct Names {
  std::string_view label, project, service, index;
};
// "blog.web.0"
Names names_of(const wire::LogStream& stream) {
  Names names;
  names.label = {stream.directory, strnlen(stream.directory, sizeof stream.directory)};
  std::string_view rest = names.label;
  auto take = [&] {
    std::string_view part = rest.substr(0, rest.find('.'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    return part;
  };
  names.project = take();
  names.service = take();
  names.index = take();
  if (names.service.empty()) names.service = names.label;
  return names;
}

// Detached, hearth's stdout is hearth.log: a bounded place for few words, and nobody looks there for a service's.
bool is_foreground(int out) {
  char path[4096];
  std::string link = "/proc/self/fd/" + std::to_string(out);
  ssize_t size = readlink(link.c_str(), path, sizeof path);
  return size > 0 && !std::string_view(path, static_cast<size_t>(size)).ends_with("/hearth.log");
}

}  // namespace

Sinks::Sinks(wire::LogPage& page, SinkPlaces places)
    : page_(page), places_(std::move(places)), foreground_(is_foreground(places_.out)) {
  struct stat info{};
  if (!foreground_ || fstat(places_.out, &info) < 0) return;
  out_mode_ = info.st_mode;
  // The descriptor is shared with others, so it stays blocking. A pipe or a terminal is opened once more: that one never
  // waits. Not a file: there the others' offset is ours, or they would write over us.
  if (!S_ISFIFO(out_mode_) && !S_ISCHR(out_mode_)) return;
  const std::string path = "/proc/self/fd/" + std::to_string(places_.out);
  own_out_.reset(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
}

void Sinks::offer(SlotIndex slot, RunId run, WallNs wall_ns, const char* data, size_t size) {
  wire::LogPolicy& policy = page_.policy[slot];
  uint64_t dropped = 0;
  auto hand_over = [&](RunId of, std::string_view line) {
    for (; !line.empty(); line.remove_prefix(std::min(line.size(), longest_sink_line)))
      dropped += send(slot, of, wall_ns, line.substr(0, longest_sink_line)) ? 0 : 1;
  };
  std::string_view left(data, size);
  Rest& rest = rests_[slot];
  if (rest.run != run && !rest.bytes.empty()) hand_over(rest.run, std::exchange(rest.bytes, {}));
  rest.run = run;
  while (!left.empty()) {
    size_t end = left.find('\n');
    std::string_view line = left.substr(0, end);
    left.remove_prefix(end == left.npos ? left.size() : end + 1);
    if (end != left.npos && rest.bytes.empty()) {
      hand_over(run, line);
      continue;
    }
    rest.bytes += line;
    if (end != std::string_view::npos || rest.bytes.size() >= longest_sink_line)
      hand_over(run, std::exchange(rest.bytes, {}));
  }
  if (dropped == 0) return;
  policy.sink_error.store(error_, std::memory_order_relaxed);
  policy.sink_dropped.fetch_add(dropped, std::memory_order_release);
}

bool Sinks::send(SlotIndex slot, RunId run, WallNs wall_ns, std::string_view line) {
  const wire::LogStream& stream = page_.stream[slot];
  switch (page_.policy[slot].sink) {
    case LogSink::none: return true;
    case LogSink::out: return send_out(stream, line);
    case LogSink::journal: return send_journal(stream, run, line);
    case LogSink::syslog: return send_syslog(stream, wall_ns, line);
  }
  return true;
}

// systemd.journal-fields(7) and "Native Journal Protocol": a field a line. A line has no line end in it.
bool Sinks::send_journal(const wire::LogStream& stream, RunId run, std::string_view line) {
  Names names = names_of(stream);
  message_.assign("MESSAGE=").append(line);
  message_.append("\nPRIORITY=6\nSYSLOG_FACILITY=3\nSYSLOG_IDENTIFIER=").append(names.service);
  message_.append("\nHEARTH_PROJECT=").append(names.project);
  message_.append("\nHEARTH_SERVICE=").append(names.service);
  message_.append("\nHEARTH_INDEX=").append(names.index);
  message_.append("\nHEARTH_RUN=").append(std::to_string(run)).append("\n");
  return send_datagram(places_.journal, message_);
}

// RFC 3164, as syslog(3) writes it to /dev/log: what every daemon there understands. RFC 5424 only some do.
bool Sinks::send_syslog(const wire::LogStream& stream, WallNs wall_ns, std::string_view line) {
  static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                           "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  time_t whole = wall_ns / ns_per_s;
  tm local{};
  localtime_r(&whole, &local);
  char head[64];
  snprintf(head, sizeof head, "<%s>%s %2d %02d:%02d:%02d ", priority, months[local.tm_mon % 12], local.tm_mday,
           local.tm_hour, local.tm_min, local.tm_sec);
  message_.assign(head).append(names_of(stream).service).append(": ").append(line);
  return send_datagram(places_.syslog, message_);
}

bool Sinks::send_datagram(const std::string& path, const std::string& bytes) {
  if (!socket_) socket_.reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (!socket_ || path.size() >= sizeof address.sun_path) {
    error_ = socket_ ? ENAMETOOLONG : errno;
    return false;
  }
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  // By name each time: who listens there may have been started again.
  if (sendto(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
             reinterpret_cast<const sockaddr*>(&address), sizeof address) >= 0)
    return true;
  error_ = errno;
  return false;
}

bool Sinks::send_out(const wire::LogStream& stream, std::string_view line) {
  if (!foreground_) return true;
  constexpr size_t piece = 4096;
  Names names = names_of(stream);
  message_.assign(names.service);
  if (names.index != "0" && !names.index.empty()) message_.append(".").append(names.index);
  message_.append(" | ").append(line).append("\n");
  for (std::string_view left = message_; !left.empty();) {
    ssize_t done = write_out(left.substr(0, piece));
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) {
      error_ = done < 0 ? errno : EIO;
      return false;
    }
    left.remove_prefix(static_cast<size_t>(done));
  }
  return true;
}

// As write(2), without waiting. At most PIPE_BUF bytes: a pipe that polls writable takes so many at once.
ssize_t Sinks::write_out(std::string_view bytes) {
  if (own_out_) return write(own_out_.get(), bytes.data(), bytes.size());
  if (S_ISSOCK(out_mode_)) return ::send(places_.out, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (S_ISREG(out_mode_)) return write(places_.out, bytes.data(), bytes.size());
  // Somebody else's, which cannot be opened again.
  pollfd polled{places_.out, POLLOUT, 0};
  const bool takes = S_ISFIFO(out_mode_) && poll(&polled, 1, 0) > 0 && (polled.revents & POLLOUT) != 0;
  return takes ? write(places_.out, bytes.data(), bytes.size()) : (errno = EAGAIN, -1);
}

}  // namespace hearth::logger
