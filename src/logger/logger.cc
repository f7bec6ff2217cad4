#include "logger/logger.h"

#include <array>
#include <errno.h>
#include <fcntl.h>
#include <memory>
#include <poll.h>
#include <set>
#include <string>
#include <sys/epoll.h>
#include <utility>
#include <vector>

#include "logger/janitor.h"
#include "logger/mover.h"
#include "logger/pump.h"
#include "logger/report.h"
#include "logger/rotate_requests.h"
#include "logger/sinks.h"
#include "os/fd.h"
#include "os/messages.h"
#include "wire/keeper_messages.h"
#include "wire/log_page.h"

namespace hearth::logger {
namespace {

using wire::LoggerDescriptor;

// Of one epoll_wait; a full one says that there may be more that is ready.
constexpr size_t events_most = 64;

// Until it is looked again whether there are descriptors.
constexpr SpanNs short_of_descriptors = seconds(1);

constexpr uint64_t token_socket = UINT64_MAX;
constexpr uint64_t token_eventfd = UINT64_MAX - 1;
constexpr uint64_t token_janitor = UINT64_MAX - 2;
constexpr uint64_t token_requests = UINT64_MAX - 3;

struct BatchBuffer {
  char bytes[wire::log_buffer_bytes];
};

// What `hello` brought.
struct Possessions {
  std::array<os::Fd, static_cast<size_t>(LoggerDescriptor::count_)> fds;
  os::Mapping<wire::LogPage> page;
  os::Mapping<BatchBuffer> buffer;
  uint64_t pipe_bytes = 0;

  int fd(LoggerDescriptor which) const { return fds[static_cast<size_t>(which)].get(); }
};

// A new keeper may start its logger while that of the dead one still drains, and two of them would tear one
// batch apart. A POSIX lock belongs to the process, so it works although both inherit one open file; it ends
// with the process, however that ends.
Status lock_page(int page) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  while (fcntl(page, F_SETLKW, &lock) < 0) {
    if (errno != EINTR) return errno_failure("lock", "the log page", errno);
  }
  return {};
}

Result<Possessions> take_hello(int socket) {
  os::Message message;
  os::Received received = os::receive_message(socket, message, -1);
  const wire::HelloRecord* hello = message.record<wire::HelloRecord>(0);
  if (received != os::Received::message || message.type != wire::MessageType::hello || hello == nullptr)
    return failure(Remedy::environment, "start", "the logger", "the first message on descriptor 3 is no hello",
                   "hearth-logger is started by the keeper, not by hand");
  if (hello->version != wire::message_version ||
      message.descriptors.size() != static_cast<size_t>(LoggerDescriptor::count_))
    return failure(Remedy::environment, "start", "the logger", "the keeper is of another version",
                   "install keeper and logger from one release");
  Possessions own;
  for (size_t i = 0; i < own.fds.size(); ++i) own.fds[i] = std::move(message.descriptors[i]);
  int page = own.fd(LoggerDescriptor::log_page);
  if (Status locked = lock_page(page); !locked) return failure(locked.error());

  auto mapped = os::Mapping<wire::LogPage>::map(page, os::Access::write, "the log page");
  if (!mapped) return failure(mapped.error());
  own.page = std::move(*mapped);
  if (!wire::log_page_valid(*own.page, sizeof(wire::LogPage)))
    return failure(Remedy::environment, "read", "the log page", "it is of another version",
                   "install keeper and logger from one release");
  auto buffer =
      os::Mapping<BatchBuffer>::map(own.fd(LoggerDescriptor::log_buffer), os::Access::write, "the log buffer");
  if (!buffer) return failure(buffer.error());
  own.buffer = std::move(*buffer);
  int size = fcntl(own.fd(LoggerDescriptor::log_pipe_write), F_GETPIPE_SZ);
  if (size <= 0) return errno_failure("measure", "the in-flight pipe", errno);
  own.pipe_bytes = static_cast<uint64_t>(size);
  return own;
}

class Loop {
 public:
  Loop(System& system, int socket, Possessions own, os::Fd epoll)
      : system_(system),
        socket_(socket),
        own_(std::move(own)),
        epoll_(std::move(epoll)),
        sinks_(*own_.page),
        mover_(system, parts()),
        pump_(system, mover_, *own_.page, epoll_.get()),
        janitor_(system, *own_.page, parts().log_directory, epoll_.get(), token_janitor),
        requests_(system, parts().log_directory) {}

  Status run() {
    if (Status added = add(socket_, token_socket); !added) return added;
    if (Status added = add(own_.fd(LoggerDescriptor::to_logger), token_eventfd); !added) return added;
    if (requests_.descriptor() >= 0) {
      if (Status added = add(requests_.descriptor(), token_requests); !added) return added;
    }
    mover_.set_sinks(sinks_);
    MoveResult recovered = mover_.recover();
    if (recovered.what == Moved::stuck) pump_.note_stuck(recovered.error);
    serve_requests();
    while (!finished_) {
      if (Status on = give_way_when_others_can(); !on) return on;
      pump_.run_due();
      send_owed();
      tell_supervisor();
      for (SlotIndex slot = mover_.take_untidy(); slot != no_slot; slot = mover_.take_untidy()) janitor_.ask(slot);
      if (pump_.is_stuck()) {
        wait_stuck();
      } else {
        wait_and_serve();
        if (SpanNs rest = pump_.rest(); rest > 0) system_.nap(rest);
      }
      if (rounds_to_answer_ > 0 && --rounds_to_answer_ == 0) {
        answer_owed_ = true;
        send_owed();
      }
    }
    pump_.drain();
    tell_supervisor();
    if (!missed_.empty()) report("it ends without having read some outputs, for which there was no descriptor", EMFILE);
    return {};
  }

 private:
  MoverParts parts() const {
    return {.page = own_.page.get(),
            .buffer = own_.buffer->bytes,
            .pipe_read = own_.fd(LoggerDescriptor::log_pipe_read),
            .pipe_write = own_.fd(LoggerDescriptor::log_pipe_write),
            .pipe_bytes = own_.pipe_bytes,
            .log_directory = own_.fd(LoggerDescriptor::log_directory)};
  }

  Status add(int fd, uint64_t token) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = token}};
    if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) < 0) return errno_failure("watch", "a descriptor", errno);
    return {};
  }

  // Milliseconds until run_due() has something to do, rounded up; -1 = only events can bring something.
  int wait_ms() {
    if (rounds_to_answer_ > 0) return 0;
    MonoNs due = pump_.next_due();
    if (!missed_.empty()) due = std::min(due, look_at_);
    if (acks_owed_ > 0 || answer_owed_) due = std::min(due, after(system_.mono_ns(), first_pause));
    if (due == never) return -1;
    if (due == 0) return 0;
    SpanNs left = due - system_.mono_ns();
    return left <= 0 ? 0 : static_cast<int>((left + ns_per_ms - 1) / ns_per_ms);
  }

  void wait_and_serve() {
    std::array<epoll_event, events_most> events;
    int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), wait_ms());
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      if (event.data.u64 == token_socket) {
        take_messages();
      } else if (event.data.u64 == token_eventfd) {
        hear_supervisor();
      } else if (event.data.u64 == token_janitor) {
        janitor_.child_ended();
      } else if (event.data.u64 == token_requests) {
        serve_requests();
      } else {
        pump_.ready(event.data.u64, (event.events & EPOLLHUP) != 0);
      }
    }
  }

  // While a batch is stuck, readable FIFOs would make epoll return at once.
  void wait_stuck() {
    pollfd fds[2] = {{socket_, POLLIN, 0}, {own_.fd(LoggerDescriptor::to_logger), POLLIN, 0}};
    if (poll(fds, 2, wait_ms()) <= 0) return;
    if (fds[0].revents != 0) take_messages();
    if (fds[1].revents != 0) hear_supervisor();
  }

  // A FIFO whose run has ended may be in the socket still: messages first.
  void hear_supervisor() {
    take_messages();
    os::drain(own_.fd(LoggerDescriptor::to_logger));
    pump_.look_at_ended();
  }

  // What cannot be done now stays until somebody asks again, or another logger begins.
  void serve_requests() {
    for (const std::string& name : requests_.take()) {
      if (pump_.rotate(name)) requests_.done(name);
    }
  }

  void take_messages() {
    while (!finished_) {
      os::Message message;
      switch (os::receive_message(socket_, message, 0)) {
        case os::Received::message: take_message(message); break;
        case os::Received::nothing: return;
        case os::Received::lost: finished_ = true; return;
        case os::Received::malformed: report("a message of the keeper is malformed", 0); break;
      }
    }
  }

  // Whether we work, and not only whether we live: the answer comes when all that was ready had its turn (epoll lets those
  // that stay ready take turns), the outputs that came just before included. This round is not over yet, and counts.
  void promise_answer() { rounds_to_answer_ = 2 + pump_.source_count() / events_most; }

  void take_message(os::Message& message) {
    if (message.type == wire::MessageType::ask) return promise_answer();
    bool brings = message.type == wire::MessageType::parked;
    if (!brings && message.type != wire::MessageType::unpark) return;
    for (uint32_t i = 0; i < message.count; ++i) {
      const wire::ParkRecord* record = message.record<wire::ParkRecord>(i);
      if (record == nullptr || record->type != wire::ParkClass::output) continue;
      if (!brings) {
        missed_.erase(record->key);
        pump_.remove(record->key);
      } else if (i < message.descriptors.size()) {
        missed_.erase(record->key);
        pump_.add(record->key, record->slot, std::move(message.descriptors[i]));
      } else {
        miss(record->key);
      }
    }
    if (!brings) return;
    ++acks_owed_;
    send_owed();
  }

  // There was no descriptor for it (EMFILE: our limit was lowered, or is reached), and the keeper says each once to a
  // logger.
  void miss(RunId run) {
    if (missed_.empty()) report("descriptors are short: the output of some runs waits in their pipes", EMFILE);
    missed_.insert(run);
    look_at_ = after(system_.mono_ns(), short_of_descriptors);
  }

  // As soon as there is room for all of them: the next logger is told of everything, and goes on as behind one that was
  // killed.
  Status give_way_when_others_can() {
    if (missed_.empty() || system_.mono_ns() < look_at_) return {};
    std::vector<os::Fd> room(missed_.size() + 1);
    for (os::Fd& fd : room) fd = os::Fd(fcntl(socket_, F_DUPFD_CLOEXEC, 0));
    look_at_ = after(system_.mono_ns(), short_of_descriptors);
    if (!room.back()) return {};
    return failure(Remedy::try_later, "read", "outputs for which there was no descriptor",
                   "they came while descriptors were short", "the next logger reads them all");
  }

  // The keeper sends no more output than it is told has come, and gives up a logger that does not answer: what the kernel
  // has no memory for now is sent later. A lost keeper is noticed by the next receive.
  void send_owed() {
    const auto sent = [&](wire::MessageType type) {
      return os::send_message(socket_, type, nullptr, 0, 0) != os::Sent::full;
    };
    while (acks_owed_ > 0 && sent(wire::MessageType::ack)) --acks_owed_;
    if (answer_owed_ && acks_owed_ == 0) answer_owed_ = !sent(wire::MessageType::up);
  }

  void tell_supervisor() {
    if (pump_.take_notice()) os::ring(own_.fd(LoggerDescriptor::to_supervisor));
  }

  System& system_;
  int socket_;
  uint32_t acks_owed_ = 0;
  bool answer_owed_ = false;
  Possessions own_;
  os::Fd epoll_;
  Sinks sinks_;
  Mover mover_;
  Pump pump_;
  Janitor janitor_;
  RotateRequests requests_;
  size_t rounds_to_answer_ = 0;  // 0 = nobody has asked
  std::set<RunId> missed_;       // whose output came without its descriptor
  MonoNs look_at_ = 0;           // when there are any
  bool finished_ = false;
};

}  // namespace

Status run_logger(System& system, int socket) {
  Result<Possessions> own = take_hello(socket);
  if (!own) return failure(own.error());
  os::Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) return errno_failure("make", "an epoll", errno);
  return Loop(system, socket, std::move(*own), std::move(epoll)).run();
}

}  // namespace hearth::logger
