#include "os/pid_file.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <string_view>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "os/at_work.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/thread.h"

namespace hearth::os {

PidFile read_pid_file(const std::string& path) {
  // Not to wait for a FIFO, nor to take a terminal.
  const Fd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (!file) return {0, errno == ENOENT ? path + " is not there" : path + ": " + std::strerror(errno)};
  struct stat st{};
  if (::fstat(file.get(), &st) < 0 || !S_ISREG(st.st_mode)) return {0, path + " is no ordinary file"};
  char bytes[32];
  const ssize_t got = ::read(file.get(), bytes, sizeof bytes);
  if (got < 0) return {0, path + ": " + std::strerror(errno)};
  std::string_view text(bytes, static_cast<std::size_t>(got));
  // Daemons make the file first and write into it later.
  if (text.empty()) return {0, path + " is empty"};
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  pid_t pid = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), pid);
  const bool ends =
      end == text.data() + text.size() || std::string_view(" \t\r\n").find(*end) != std::string_view::npos;
  if (problem != std::errc() || pid <= 0 || !ends) return {0, path + " does not begin with the number of a process"};
  return {pid, ""};
}

struct PidFiles::Read {
  explicit Read(std::string file) : path(std::move(file)) {}
  void run();

  const std::string path;
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<PidFile> result;
};

void PidFiles::Read::run() {
  ::prctl(PR_SET_NAME, "hearth-pid-file");
  const AtWork at_work;
  PidFile read = read_pid_file(path);
  const std::lock_guard lock(mutex);
  result = std::move(read);
  changed.notify_all();
}

PidFile PidFiles::read(RunId run, const std::string& path) {
  std::shared_ptr<Read>& read = reads_[run];
  const bool fresh = read == nullptr;
  if (fresh) {
    const MonoNs now = read_mono();
    const Room room = left_behind_.room_for(path, now);
    if (room == Room::own_hangs) {
      reads_.erase(run);
      return {0, path + " does not answer: does its disk hang?"};
    }
    read = std::make_shared<Read>(path);
    pthread_t thread{};
    const auto trace = std::make_shared<char>();
    const int error = room != Room::yes ? EAGAIN : start_thread(thread, [read, trace] { read->run(); });
    if (error != 0) {
      reads_.erase(run);
      return {0, path + " cannot be read now: " + std::strerror(error)};
    }
    ::pthread_detach(thread);
    left_behind_.add(path, trace, now);
  }
  const std::shared_ptr<Read> mine = read;
  std::unique_lock lock(mine->mutex);
  if (fresh) mine->changed.wait_for(lock, std::chrono::nanoseconds(patience), [&] { return mine->result.has_value(); });
  if (!mine->result) return {0, path + " does not answer: does its disk hang?"};
  PidFile result = *mine->result;
  reads_.erase(run);
  return result;
}

}  // namespace hearth::os
