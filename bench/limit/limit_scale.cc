// limit_scale SVC N vfork|same [DIR]: start and stop of N services in one bare loop. See README.md.
#include <algorithm>
#include <string.h>
#include <sys/wait.h>
#include <vector>

#include "bare.h"

using namespace limit;

namespace {

struct Service {
  std::string id, fifo, leaf;
  char* argv[4] = {};
  int read_end = -1;
  pid_t pid = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const int count = atoi(argv[2]);
  const bool same = strcmp(argv[3], "same") == 0;
  const std::string dir =
      (argc > 4 ? std::string(argv[4]) : std::string("/dev/shm")) + "/limit." + std::to_string(getpid());
  if (mkdir(dir.c_str(), 0700) != 0) give_up("mkdir");
  const std::string stamps = dir + "/stamps";
  mkfifo(stamps.c_str(), 0600);
  const int from = open(stamps.c_str(), O_RDWR | O_CLOEXEC);
  fcntl(from, F_SETPIPE_SZ, 1 << 20);
  const std::string parent = same ? leaf_parent() : "";

  std::vector<Service> services(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    Service& s = services[static_cast<size_t>(i)];
    s.id = std::to_string(i);
    s.fifo = dir + "/" + s.id;
    s.leaf = parent + "/" + s.id;
    s.argv[0] = argv[1];
    s.argv[1] = s.id.data();
    s.argv[2] = const_cast<char*>(stamps.c_str());
  }

  const int64_t begin = now_ns();
  for (Service& s : services) {
    if (!same) {
      s.pid = start_vfork(s.argv);
      continue;
    }
    if (mkfifo(s.fifo.c_str(), 0600) != 0) give_up("mkfifo");
    s.read_end = open(s.fifo.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const int output = open(s.fifo.c_str(), O_RDWR | O_CLOEXEC);
    int leaf = -1;
    if (!parent.empty()) {
      if (mkdir(s.leaf.c_str(), 0755) != 0) give_up("leaf");
      leaf = open(s.leaf.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    s.pid = start_into(s.argv, leaf, output);
    close(output);
    if (leaf >= 0) close(leaf);
  }
  int64_t last = 0;
  for (int i = 0; i < count; ++i) {
    Stamp stamp;
    if (read(from, &stamp, sizeof stamp) != sizeof stamp) give_up("stamp");
    last = std::max(last, stamp.ns);
  }
  const int64_t stop_begin = now_ns();
  for (const Service& s : services) kill(s.pid, SIGTERM);
  for (const Service& s : services) waitpid(s.pid, nullptr, 0);
  for (const Service& s : services) {
    if (!same) continue;
    if (!parent.empty() && rmdir(s.leaf.c_str()) != 0) give_up("rmdir");
    close(s.read_end);
    unlink(s.fifo.c_str());
  }
  const int64_t stop_end = now_ns();
  if (!parent.empty()) rmdir(parent.c_str());
  unlink(stamps.c_str());
  rmdir(dir.c_str());
  printf("{\"work\":\"%s\",\"leaf\":%s,\"n\":%d,\"start_ms\":%.3f,\"stop_ms\":%.3f}\n", argv[3],
         parent.empty() ? "false" : "true", count, static_cast<double>(last - begin) / 1e6,
         static_cast<double>(stop_end - stop_begin) / 1e6);
}
