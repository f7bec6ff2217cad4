// Two roles in one small program.
//
// Started by the keeper as the supervisor (--dir ...): lends the keeper's socket, descriptor 3, to the test that
// listens at HEARTH_TEST_LEND, and waits to be killed. So a test is the supervisor without being the keeper's child,
// and kills "the supervisor" by killing this.
//
// As a service:
//   notify TEXT   sends TEXT to NOTIFY_SOCKET (with descriptor 0 when TEXT begins with FDSTORE), prints a line, waits
//   retitle       writes over its environment, prints a line, waits
//   escape        leaves a grandchild in its own session with an empty environment, prints its PID, waits
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

sockaddr_un address_of(const char* path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  return address;
}

int send_with(int socket, const sockaddr_un* to, const void* bytes, size_t size, int descriptor) {
  iovec part = {const_cast<void*>(bytes), size};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
  if (to != nullptr) {
    header.msg_name = const_cast<sockaddr_un*>(to);
    header.msg_namelen = sizeof *to;
  }
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (descriptor >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &descriptor, sizeof descriptor);
  }
  return sendmsg(socket, &header, 0) < 0 ? 1 : 0;
}

int lend() {
  const char* path = getenv("HEARTH_TEST_LEND");
  if (path == nullptr) return 2;
  const sockaddr_un address = address_of(path);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return 3;
  const pid_t self = getpid();
  if (send_with(socket, nullptr, &self, sizeof self, 3) != 0) return 4;
  for (;;) pause();
}

int notify(const char* text) {
  const char* path = getenv("NOTIFY_SOCKET");
  if (path == nullptr) return 2;
  const sockaddr_un address = address_of(path);
  const int socket = ::socket(AF_UNIX, SOCK_DGRAM, 0);
  if (send_with(socket, &address, text, strlen(text), strncmp(text, "FDSTORE", 7) == 0 ? 0 : -1) != 0) {
    perror("notify");
    return 3;
  }
  puts("told");
  fflush(stdout);
  for (;;) pause();
}

int retitle() {
  char* const begin = environ[0];
  char* end = begin;
  for (char** variable = environ; *variable != nullptr; ++variable) end = *variable + strlen(*variable);
  memset(begin, 0, static_cast<size_t>(end - begin));
  puts("retitled");
  fflush(stdout);
  for (;;) pause();
}

int escape() {
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    char* const arguments[] = {const_cast<char*>("sleep"), const_cast<char*>("1000"), nullptr};
    char* const nothing[] = {nullptr};
    dprintf(1, "%d\n", getpid());
    execve("/bin/sleep", arguments, nothing);
    _exit(1);
  }
  for (;;) pause();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && strcmp(argv[1], "--dir") == 0) return lend();
  if (argc > 2 && strcmp(argv[1], "notify") == 0) return notify(argv[2]);
  if (argc > 1 && strcmp(argv[1], "retitle") == 0) return retitle();
  if (argc > 1 && strcmp(argv[1], "escape") == 0) return escape();
  return 64;
}
