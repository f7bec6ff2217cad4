// A planted fault: the second logger of an instance aborts without a word; the others are the
// real one. Beside hearth-logger, which they become; hearth-kill-anywhere must notice (--logger).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

namespace {

bool is_first(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) >= 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::string directory;
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], "--dir") == 0) directory = argv[i + 1];
  if (!is_first(directory + "/a-logger-was-here") && is_first(directory + "/a-logger-has-aborted")) std::abort();
  char* self = realpath("/proc/self/exe", nullptr);
  const std::string path = self == nullptr ? "" : self;
  execv((path.substr(0, path.rfind('/')) + "/hearth-logger").c_str(), argv);
  return 1;
}
