// Stands in for supervisor and logger: hands its socket to the test and lives until the keeper's end is closed.
// With a file "broken" in the instance directory it is a supervisor that does not come up, with "fails" one that says
// something and then does not come up; with FIFOs "left" and "go"
// one that has closed its end, says so through the first, and goes on living until the second is closed. SIGUSR1 ends it as if
// all were well. With a directory "hung" one of its threads looks for a name there, and another one crashes when somebody opens
// the FIFO "crash".
#include <fcntl.h>
#include <initializer_list>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/keeper_messages.h"

namespace {

void* look_for_a_name(void*) {
  access("hung/name", F_OK);
  return nullptr;
}

void* crash_when_told(void*) {
  if (open("crash", O_RDONLY | O_CLOEXEC) >= 0) abort();
  return nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  constexpr int socket_fd = hearth::wire::member_socket_fd;
  const bool supervisor = strcmp(argv[0], "hearth-supervisor") == 0;
  if (argc != 5 || chdir(argv[2]) < 0) _exit(2);
  signal(SIGUSR1, [](int) { _exit(0); });
  if (supervisor && access("broken", F_OK) == 0) _exit(3);
  sockaddr_un name = {AF_UNIX, "control"};
  const int control = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (connect(control, reinterpret_cast<sockaddr*>(&name), sizeof name) < 0) _exit(4);
  char role = supervisor ? 's' : 'l';
  iovec part = {&role, 1};
  alignas(cmsghdr) char space[CMSG_SPACE(sizeof socket_fd)] = {};
  msghdr m = {};
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  m.msg_control = space;
  m.msg_controllen = sizeof space;
  cmsghdr* c = CMSG_FIRSTHDR(&m);
  c->cmsg_level = SOL_SOCKET;
  c->cmsg_type = SCM_RIGHTS;
  c->cmsg_len = CMSG_LEN(sizeof socket_fd);
  memcpy(CMSG_DATA(c), &socket_fd, sizeof socket_fd);
  if (sendmsg(control, &m, 0) != 1) _exit(5);
  if (supervisor && access("fails", F_OK) == 0) {
    const hearth::wire::MessageHeader word = {hearth::wire::MessageType::ack, 0};
    _exit(send(socket_fd, &word, sizeof word, 0) == sizeof word ? 7 : 8);
  }
  if (supervisor && access("hung", F_OK) == 0)
    for (auto* body : {look_for_a_name, crash_when_told})
      if (pthread_t thread; pthread_create(&thread, nullptr, body, nullptr) != 0) _exit(9);
  pollfd end = {socket_fd, POLLRDHUP, 0};
  while (poll(&end, 1, -1) < 0) {
  }
  if (const int left = supervisor ? open("left", O_WRONLY | O_CLOEXEC) : -1; left >= 0) {
    const int go = open("go", O_RDONLY | O_CLOEXEC);
    close(socket_fd);
    if (write(left, &role, 1) != 1 || read(go, &role, 1) != 0) _exit(6);
  }
  return 0;
}
