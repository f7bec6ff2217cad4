// A server on a real Unix socket in a directory of its own, and clients that talk bytes. One thread: the test
// runs the server's events until what it waits for has happened, or fails after half a minute.
#pragma once

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <linux/sockios.h>
#include <memory>
#include <string>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "api/server.h"
#include "unit/api/fakes.h"

namespace hearth::api {

// A client that never blocks; what has come stands in `received`.
class Client {
 public:
  explicit Client(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    connected = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::fcntl(fd_.get(), F_SETFL, O_NONBLOCK);
  }

  // Sends as much as fits; the number of bytes.
  std::size_t send(std::string_view bytes) {
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return n < 0 ? 0 : static_cast<std::size_t>(n);
  }
  // The server has read all that was sent.
  bool is_read() const {
    int unread = -1;
    return ::ioctl(fd_.get(), SIOCOUTQ, &unread) == 0 && unread == 0;
  }
  void finish_sending() { ::shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }

  void collect(std::size_t most = SIZE_MAX) {
    char buffer[4096];
    while (fd_ && received.size() < most) {
      const ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, 0);
      if (n > 0) {
        received.append(buffer, static_cast<std::size_t>(n));
        continue;
      }
      if (n == 0 || errno != EAGAIN) ended = true;
      return;
    }
  }
  // How many complete answers have come.
  std::size_t answers() const {
    std::size_t count = 0, at = 0;
    for (;;) {
      const std::size_t end = received.find("\r\n\r\n", at);
      if (end == received.npos) return count;
      const std::size_t length = received.find("Content-Length: ", at);
      const std::size_t body = std::strtoul(received.c_str() + length + 16, nullptr, 10);
      if (received.size() < end + 4 + body) return count;
      at = end + 4 + body;
      ++count;
    }
  }

  std::string received;
  bool connected = false;
  bool ended = false;

 private:
  os::Fd fd_;
};

class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "hearth-api-XXXXXX";
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory = pattern;
    path = directory + "/api.sock";
    os::Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener.get(), 1024), 0);
    options.owner = ::geteuid();
    options.tree = "/no/hearth.00000000";
    server = std::make_unique<Server>(
        io, std::move(listener), control, [this](ports::Input input) { submitted.push_back(std::move(input)); },
        options);
  }
  void TearDown() override {
    server.reset();
    io.restart();
    io.run_for(std::chrono::seconds(1));
    ::unlink(path.c_str());
    ::rmdir(directory.c_str());
  }

  // Lets the server work until `done`, which may collect from clients.
  bool until(const std::function<bool()>& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      io.restart();
      io.run_one_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  bool answered(Client& client, std::size_t count = 1) {
    return until([&] {
      client.collect();
      return client.answers() >= count;
    });
  }
  bool ended(Client& client) {
    return until([&] {
      client.collect();
      return client.ended;
    });
  }
  // All of it, however long the server takes to read it.
  bool send_all(Client& client, std::string_view bytes) {
    return until([&] {
      bytes.remove_prefix(client.send(bytes));
      return bytes.empty();
    });
  }
  std::string ask(std::string_view request) {
    Client client(path);
    EXPECT_TRUE(send_all(client, request));
    EXPECT_TRUE(answered(client)) << client.received;
    return client.received;
  }

  static std::string get(std::string_view target) {
    return "GET " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n\r\n";
  }
  static std::string post(std::string_view target, std::string_view body, std::string_view key) {
    return "POST " + std::string(target) + " HTTP/1.1\r\nHost: h\r\nIdempotency-Key: " + std::string(key) +
           "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
  }

  ServerOptions options;
  FakeControl control;
  std::vector<ports::Input> submitted;
  std::string directory, path;
  boost::asio::io_context io;
  std::unique_ptr<Server> server;
};

inline constexpr const char* key_one = "01010101010101010101010101010101";

}  // namespace hearth::api
