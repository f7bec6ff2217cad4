// A server that plays a script: each connection does what its step says. In a thread of its own, because the client
// under test blocks.
#pragma once

#include <cstdlib>
#include <mutex>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "os/fd.h"

namespace hearth::cli {

inline std::string http(int status, const std::string& body, const std::string& more = {}) {
  return "HTTP/1.1 " + std::to_string(status) +
         " Any\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more +
         "\r\n" + body;
}

class FakeServer {
 public:
  // What one connection answers to each of its requests; "" = closes without an answer. After the last one it
  // closes.
  using Connection = std::vector<std::string>;

  explicit FakeServer(std::vector<Connection> script) : script_(std::move(script)) {
    std::string pattern = testing::TempDir() + "hearth-cli-XXXXXX";
    EXPECT_NE(::mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    path = directory + "/api.sock";
    listen();
    thread_ = std::thread([this] { play(); });
  }
  ~FakeServer() {
    if (listener_) ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    ::unlink(path.c_str());
    ::rmdir(directory.c_str());
  }

  std::vector<std::string> requests() {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  std::string directory, path;

 private:
  void listen() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ::unlink(path.c_str());
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 16), 0);
  }

  void play() {
    for (std::size_t i = 0; i < script_.size(); ++i) {
      const os::Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!fd) return;
      for (const std::string& answer : script_[i]) {
        const std::string request = read_request(fd.get());
        if (request.empty()) break;
        {
          const std::lock_guard lock(mutex_);
          requests_.push_back(request);
        }
        if (answer.empty()) break;
        if (::send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) break;
      }
    }
  }

  static std::string read_request(int fd) {
    std::string bytes;
    char buffer[4096];
    for (;;) {
      const std::size_t end = bytes.find("\r\n\r\n");
      if (end != bytes.npos) {
        const std::size_t at = bytes.find("Content-Length: ");
        const std::size_t body = at == bytes.npos ? 0 : std::strtoul(bytes.c_str() + at + 16, nullptr, 10);
        if (bytes.size() >= end + 4 + body) return bytes;
      }
      const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) return {};
      bytes.append(buffer, static_cast<std::size_t>(n));
    }
  }

  const std::vector<Connection> script_;
  os::Fd listener_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

}  // namespace hearth::cli
