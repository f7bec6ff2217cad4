// HTTP over the instance's Unix socket, as much of it as our own server speaks: answers with Content-Length.
// Without Boost, because `hearth status` shall start as fast as a process can.
#pragma once

#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "base/time.h"
#include "os/fd.h"

namespace hearth::cli {

class InterruptWatch;

// What went wrong between us and the supervisor, by what the caller does about it.
enum class Trouble {
  not_running,  // no socket, or nobody listens
  no_access,    // not ours
  cut,          // the connection broke: the supervisor went away; its successor can be asked
  timeout,      // it is there and does not answer
  interrupted,  // Ctrl-C
  broken,       // no HTTP, or more than we read
};

struct ClientError {
  Trouble trouble = Trouble::broken;
  Error error;
};

struct Answer {
  int status = 0;
  int exit_code = -1;  // header Hearth-Exit; -1: absent
  std::string body;
};

struct Question {
  std::string_view method = "GET";
  std::string_view target;
  std::string_view key;  // Idempotency-Key; empty: none
  std::string_view body;
};

class Client {
 public:
  // `watch` may be null and must outlive the client.
  explicit Client(std::string socket_path, InterruptWatch* watch = nullptr)
      : path_(std::move(socket_path)), watch_(watch) {}

  // One attempt, over the open connection if there is one. Until `deadline` on CLOCK_MONOTONIC.
  std::expected<Answer, ClientError> ask(const Question& question, MonoNs deadline);

  // A GET whose answer has no end of its own: `take` is called with nothing when it begins: what is asked from then on is
  // not older than what the stream tells. Then each piece goes to it, until it returns false, the server closes the
  // connection (`cut`: it may have ended or died), or nothing has come by `deadline`. Over a connection of its own. An
  // answer of another status than 200 is returned.
  std::expected<Answer, ClientError> stream(std::string_view target, const std::function<bool(std::string_view)>& take,
                                            MonoNs deadline);

  // Something else to look after while an answer is waited for: `on_news` is called when `fd` is readable, and makes that
  // end. -1: nothing. It must outlive the client, and may use other clients.
  void attend(int fd, std::function<void()> on_news) {
    beside_ = fd;
    on_news_ = std::move(on_news);
  }

  const std::string& path() const { return path_; }

 private:
  std::expected<void, ClientError> connect(MonoNs deadline);
  std::expected<void, ClientError> send(std::string_view bytes, MonoNs deadline);
  std::expected<Answer, ClientError> receive(MonoNs deadline);
  std::expected<void, ClientError> wait_for(short events, MonoNs deadline);
  void watch_place();

  std::string path_;
  InterruptWatch* watch_;
  int beside_ = -1;
  std::function<void()> on_news_;
  os::Fd fd_;
  os::Fd place_;  // tells when another socket is put where fd_ was connected to
};

// For addresses, RFC 3986: everything but unreserved characters is escaped; the comma separates names.
std::string escaped(std::string_view text);

}  // namespace hearth::cli
