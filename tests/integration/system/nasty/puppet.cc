// A service that does what the test tells it over the stage, one message an order, one an answer:
//   hearth-test-puppet STAGE LABEL [PORT]
// With a port it listens there first, and ends with code 98 when it cannot.
// It ends with code 0 when the test is gone, so that nothing is left of a test that crashed.
#include <cstdio>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "stage.h"

namespace {

using hearth::nasty::send_with;

int stage = -1;

void tell(const std::string& text) {
  if (send(stage, text.data(), text.size(), MSG_NOSIGNAL) < 0) _exit(0);
}

void on_signal(int number) {
  char text[] = "signal 00";
  text[7] = static_cast<char>('0' + number / 10);
  text[8] = static_cast<char>('0' + number % 10);
  (void)!send(stage, text, sizeof text - 1, MSG_NOSIGNAL);
}

void write_everything(const std::string& bytes) {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t n = write(STDOUT_FILENO, bytes.data() + at, bytes.size() - at);
    if (n < 0 && errno != EINTR) _exit(94);
    if (n > 0) at += static_cast<std::size_t>(n);
  }
}

int notify_socket() {
  const char* path = getenv("NOTIFY_SOCKET");
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path != nullptr ? path : "", sizeof address.sun_path - 1);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

std::string notify(const std::string& text, int descriptor = -1) {
  const int fd = notify_socket();
  if (fd < 0) return std::string("cannot connect: ") + std::strerror(errno);
  if (descriptor >= 0) {
    send_with(fd, text, descriptor);
  } else if (send(fd, text.data(), text.size(), MSG_NOSIGNAL) < 0) {
    return std::strerror(errno);
  }
  close(fd);
  return "ok";
}

// Of a child that lives on, or has been reaped when this returns.
std::string notify_of_child(const std::string& text, bool lives) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const std::string sent = notify(text);
    (void)!write(ends[1], sent.data(), sent.size());
    close(ends[1]);
    if (!lives) _exit(0);
    for (;;) pause();
  }
  close(ends[1]);
  char sent[256];
  const ssize_t n = read(ends[0], sent, sizeof sent);
  close(ends[0]);
  if (!lives) waitpid(child, nullptr, 0);
  return n < 0 ? std::strerror(errno) : std::string(sent, static_cast<std::size_t>(n));
}

int file_with(const std::string& content) {
  const int fd = memfd_create("kept", MFD_CLOEXEC);
  (void)!pwrite(fd, content.data(), content.size(), 0);
  return fd;
}

std::string barrier() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return "no pipe";
  const std::string sent = notify("BARRIER=1", ends[1]);
  close(ends[1]);
  pollfd polled{ends[0], 0, 0};
  const bool closed = poll(&polled, 1, 20'000) == 1;
  close(ends[0]);
  return sent != "ok" ? sent : closed ? "closed" : "never closed";
}

std::string variable(const std::string& name) {
  const char* value = getenv(name.c_str());
  return value != nullptr ? value : "-";
}

std::string content_of(int fd) {
  char bytes[256];
  const ssize_t n = pread(fd, bytes, sizeof bytes, 0);
  return n < 0 ? std::strerror(errno) : std::string(bytes, static_cast<std::size_t>(n));
}

// Accepts nobody: who connects waits for an answer for ever.
std::string listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int again = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &again, sizeof again);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool listens = bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 8) == 0;
  return listens ? "ok" : std::strerror(errno);
}

std::string serve_one(int listener) {
  fcntl(listener, F_SETFL, 0);
  const int peer = accept(listener, nullptr, nullptr);
  if (peer < 0) return std::strerror(errno);
  const std::string answer = "served by run " + variable("HEARTH_RUN");
  (void)!send(peer, answer.data(), answer.size(), MSG_NOSIGNAL);
  close(peer);
  return "ok";
}

// "from 1 to 10000": numbered lines.
void lines(int count) {
  std::string block;
  for (int i = 1; i <= count; ++i) {
    block += "line " + std::to_string(i) + "\n";
    if (block.size() > 60'000 || i == count) {
      write_everything(block);
      block.clear();
    }
  }
}

bool obey(const std::string& order) {
  const std::size_t space = order.find(' ');
  const std::string verb = order.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : order.substr(space + 1);
  const int number = std::atoi(rest.c_str());
  if (verb == "exit") _exit(number);
  if (verb == "raise") {
    raise(number);
  } else if (verb == "notify") {
    tell(notify(rest));
  } else if (verb == "child" || verb == "ended-child") {  // notifies
    tell(notify_of_child(rest, verb == "child"));
  } else if (verb == "set") {  // NAME VALUE
    const std::size_t gap = rest.find(' ');
    tell(setenv(rest.substr(0, gap).c_str(), rest.substr(gap + 1).c_str(), 1) == 0 ? "ok" : "no");
  } else if (verb == "keep") {  // NAME CONTENT
    const std::size_t gap = rest.find(' ');
    const int fd = file_with(rest.substr(gap + 1));
    tell(notify("FDSTORE=1\nFDNAME=" + rest.substr(0, gap), fd));
    close(fd);
  } else if (verb == "barrier") {
    tell(barrier());
  } else if (verb == "variable") {
    tell(variable(rest));
  } else if (verb == "content") {
    tell(content_of(number));
  } else if (verb == "serve") {
    tell(serve_one(number));
  } else if (verb == "listen") {  // PORT of 127.0.0.1
    tell(listen_on(number));
  } else if (verb == "catch") {
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    tell(sigaction(number, &action, nullptr) == 0 ? "ok" : "no");
  } else if (verb == "print") {
    write_everything(rest + "\n");
    tell("ok");
  } else if (verb == "lines") {
    lines(number);
    tell("ok");
  } else if (verb == "flood") {  // until it is killed
    tell("ok");
    const std::string block(32'768, 'f');
    for (;;) write_everything(block + "\n");
  } else if (verb == "bytes") {  // no newline
    const std::string block(100'000, 'x');
    for (int left = number; left > 0; left -= static_cast<int>(block.size())) write_everything(block);
    tell("ok");
  } else if (verb == "binary") {
    std::string all;
    for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
    write_everything(all + "\n");
    tell("ok");
  } else if (verb == "user") {
    tell(std::to_string(getuid()) + ":" + std::to_string(getgid()));
  } else {
    return false;
  }
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 64;
  if (count > 3 && listen_on(std::atoi(arguments[3])) != "ok") return 98;
  stage = hearth::nasty::enter_stage(arguments[1], arguments[2]);
  char order[8192];
  for (;;) {
    const ssize_t n = recv(stage, order, sizeof order, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return 0;
    if (!obey(std::string(order, static_cast<std::size_t>(n)))) tell("unknown order");
  }
}
