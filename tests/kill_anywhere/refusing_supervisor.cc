// A planted fault: the first supervisor of an instance is the real one, and none of its successors takes over.
// Beside hearth-supervisor; hearth-kill-anywhere must notice (--supervisor).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <unistd.h>

int main(int argc, char** argv) {
  std::string directory;
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], "--dir") == 0) directory = argv[i + 1];
  const int first = open((directory + "/a-supervisor-was-here").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (first < 0) return 1;
  char* self = realpath("/proc/self/exe", nullptr);
  const std::string path = self == nullptr ? "" : self;
  execv((path.substr(0, path.rfind('/')) + "/hearth-supervisor").c_str(), argv);
  return 1;
}
