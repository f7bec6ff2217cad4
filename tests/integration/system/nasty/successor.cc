// A supervisor that is fine in its trial and no good afterwards. Beside it: `real`, the path of the one that is asked in
// its place, and `role`, what it does instead of taking over: "dies" or "hangs"; "hangs-in-trial", "silent-in-trial",
// "stays-in-trial" without its output; "is-replaced-in-trial": by `next`, beside it.
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <unistd.h>

namespace {

std::string text_of(const std::string& path) {
  char text[4096] = "";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
  return {text, n > 0 ? static_cast<std::size_t>(n) : 0};
}

[[noreturn]] void hang() {
  for (;;) pause();
}

}  // namespace

int main(int argc, char** argv) {
  char* self = realpath("/proc/self/exe", nullptr);
  const std::string place = self == nullptr ? "." : dirname(self);
  const std::string role = text_of(place + "/role"), real = text_of(place + "/real");
  if (argc > 1 && strcmp(argv[1], "--trial") == 0) {
    if (role == "hangs-in-trial") hang();
    if (role == "silent-in-trial") return 0;
    if (role == "stays-in-trial") {
      close(STDOUT_FILENO);
      hang();
    }
    if (role == "is-replaced-in-trial" && rename((place + "/next").c_str(), (place + "/hearth-supervisor").c_str()) < 0)
      return 4;
    execv(real.c_str(), argv);
    return 1;
  }
  if (role == "hangs") hang();
  return 3;
}
