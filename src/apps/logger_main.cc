// hearth-logger --dir DIR --logs LOGDIR: started by the keeper, with its socket as descriptor 3. The arguments
// are for people who read a process list; everything that matters comes by descriptor.
// hearth-logger --trial: which version and formats it is of, as JSON.
#include <cstdio>
#include <cstring>
#include <sched.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/version.h"
#include "logger/logger.h"
#include "wire/keeper_messages.h"
#include "wire/log_page.h"

namespace {

// A terminal's signals go to hearth's whole group, and the keeper decides what they mean; the logger ends when
// the keeper closes its socket. SIGXFSZ and SIGPIPE become errors of the call.
void ignore_signals() {
  for (int signal_number : {SIGINT, SIGQUIT, SIGHUP, SIGTSTP, SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2}) {
    signal(signal_number, SIG_IGN);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1 && std::strcmp(argv[1], "--trial") == 0)
    return std::printf(
               "{\"trial\":1,\"program\":\"hearth-logger\",\"version\":\"%s\",\"formats\":{\"messages\":%u,"
               "\"log_page\":%u}}\n",
               hearth::version, hearth::wire::message_version, hearth::wire::log_page_version) < 0;
  ignore_signals();
  prctl(PR_SET_NAME, "hearth-logger");
  prctl(PR_SET_TIMERSLACK, 5'000);  // ns; rests are short
  // sched(7): its wake-ups preempt nobody. The hang-up of an output comes before the end of its process, and a logger that
  // cut in there would stand between that end and the service's successor. Its share of the processor is the usual one.
  const sched_param none{};
  sched_setscheduler(0, SCHED_BATCH, &none);
  hearth::logger::System system;
  hearth::Status done = hearth::logger::run_logger(system, hearth::wire::member_socket_fd);
  if (done) return 0;
  std::string text = "hearth-logger: " + done.error().text() + "\n";
  return write(STDERR_FILENO, text.data(), text.size()) < 0 ? 2 : 1;
}
