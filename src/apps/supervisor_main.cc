// hearth-supervisor --dir DIR --logs LOGDIR: started by the keeper, with its socket as descriptor 3. Here the
// supervisor meets Linux: ports over os/, store/ and probe/, the API, and one event loop.
// hearth-supervisor --trial --dir DIR --keeper PID: trial.h
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <unistd.h>

#include <boost/system/system_error.hpp>

#include "apps/supervisor_program.h"
#include "apps/trial.h"

namespace {

// The keeper hears the world's signals and counts them; here they would only be heard twice.
void ignore_signals() {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGPIPE, SIGTSTP, SIGXFSZ})
    signal(number, SIG_IGN);
}

const char* value_of(int argc, char** argv, const char* name) {
  for (int i = 1; i + 1 < argc; ++i)
    if (std::strcmp(argv[i], name) == 0) return argv[i + 1];
  return "";
}

}  // namespace

int main(int argc, char** argv) {
  ignore_signals();
  mallopt(M_ARENA_MAX, 1);  // the store's writer is a second thread: it must not bring a second heap
  prctl(PR_SET_NAME, "hearth-super");
  if (argc > 1 && std::strcmp(argv[1], "--trial") == 0)
    return hearth::apps::run_trial(value_of(argc, argv, "--dir"), std::atoi(value_of(argc, argv, "--keeper")));
  hearth::apps::ProgramOptions options;
  options.directory = value_of(argc, argv, "--dir");
  options.log_directory = value_of(argc, argv, "--logs");
  if (const char* nofile = std::getenv("HEARTH_NOFILE")) options.nofile = nofile;
  try {
    const hearth::Status done = hearth::apps::run_supervisor(options);
    if (done) return 0;
    std::fprintf(stderr, "hearth-supervisor: %s\n", done.error().text().c_str());
    return 1;
  } catch (const boost::system::system_error& error) {
    // Asio has no epoll, for want of memory or descriptors. Other threads may be at work: nothing is taken apart. Whatever
    // else is thrown is a fault, or want of memory (docs/internals/out-of-memory.md), and aborts.
    std::fprintf(stderr, "hearth-supervisor: %s\n", error.what());
    _exit(1);
  }
}
