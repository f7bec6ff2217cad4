// A supervisor that is fine in its trial and no good afterwards. Beside it: `real`, the path of the one that is asked in
// its place, and `role`, what it does instead of taking over: "dies" or "hangs", the latter also "once-up"; "hangs-in-trial",
// "silent-in-trial", "stays-in-trial" without its output; "is-replaced-in-trial": by `next`, beside it. Under the name of a
// logger or keeper it is one, with `logger-real` and `logger-role`. A keeper "speaks-otherwise" in its trial; in its dry run it
// "hangs", "crashes", "refuses", or says "nothing" of what is asked; or it "dies" when it has been executed; or it "waits" in its
// dry run until somebody opens `go`, beside it, and is `keeper-real` from then on.
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/hand_over.h"
#include "wire/keeper_messages.h"

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

// Says so, having done nothing: a supervisor at once, a logger when it is asked for the first time.
[[noreturn]] void hang_once_up(bool logger) {
  using hearth::wire::MessageHeader;
  using hearth::wire::MessageType;
  MessageHeader heard{};
  while (logger && heard.type != MessageType::ask)
    if (recv(hearth::wire::member_socket_fd, &heard, sizeof heard, 0) <= 0) exit(5);
  const MessageHeader up = {MessageType::up, 0};
  if (send(hearth::wire::member_socket_fd, &up, sizeof up, MSG_NOSIGNAL) < 0) exit(6);
  hang();
}

// Between the keeper's fork and what it makes of it.
int be_keeper(const std::string& role, bool dry_run, const std::string& place, char** argv) {
  if (role == "waits" && (!dry_run || open((place + "/go").c_str(), O_RDONLY | O_CLOEXEC) >= 0))
    return execv(text_of(place + "/keeper-real").c_str(), argv);
  if (!dry_run) return 3;
  if (role == "hangs") hang();
  if (role == "crashes") abort();
  using hearth::wire::HandOverProblem;
  if (role == "refuses") return hearth::wire::hand_over_good + static_cast<int>(HandOverProblem::slot_table);
  return role == "dies" ? hearth::wire::hand_over_good : 0;
}

}  // namespace

int main(int argc, char** argv) {
  char* self = realpath("/proc/self/exe", nullptr);
  const std::string place = self == nullptr ? "." : dirname(self);
  const std::string name = argc > 0 ? basename(argv[0]) : "";
  const bool logger = name == "hearth-logger", keeper = name == "hearth-keeper";
  const std::string own = place + (logger ? "/logger-" : keeper ? "/keeper-" : "/");
  const std::string role = text_of(own + "role"), real = text_of(own + "real");
  if (argc > 1 && strcmp(argv[1], "--trial") == 0) {
    if (role == "hangs-in-trial") hang();
    if (role == "silent-in-trial") return 0;
    if (role == "stays-in-trial") {
      close(STDOUT_FILENO);
      hang();
    }
    if (role == "is-replaced-in-trial" && rename((place + "/next").c_str(), (place + "/" + name).c_str()) < 0) return 4;
    if (role == "speaks-otherwise")
      return puts(R"({"trial":1,"program":"hearth-keeper","version":"1","formats":{"messages":99}})") < 0;
    execv(real.c_str(), argv);
    return 1;
  }
  if (keeper) {
    bool dry_run = false;
    for (int i = 1; i < argc; ++i) dry_run = dry_run || strcmp(argv[i], "--dry-run") == 0;
    return be_keeper(role, dry_run, place, argv);
  }
  if (role == "hangs") hang();
  if (role == "hangs-once-up") hang_once_up(logger);
  return 3;
}
