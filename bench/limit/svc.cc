// svc ID FIFO: tells (id, pid, CLOCK_MONOTONIC ns) through the FIFO and pauses.
// svc ID FIFO loop: the same and exits 1 at once (crash loop).
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct Stamp {
  int32_t id;
  int32_t pid;
  int64_t ns;
};

int main(int argc, char** argv) {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (argc < 3) return 2;
  const Stamp stamp{atoi(argv[1]), getpid(), now.tv_sec * 1000000000LL + now.tv_nsec};
  const int fd = open(argv[2], O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, &stamp, sizeof stamp) != sizeof stamp) return 3;
  close(fd);
  if (argc > 3) return 1;
  for (;;) pause();
}
