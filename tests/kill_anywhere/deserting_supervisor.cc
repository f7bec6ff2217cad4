// A planted fault: a supervisor that dies with its keeper, and so starts no other one. Beside hearth-supervisor, which it
// becomes; hearth-kill-anywhere must notice (--supervisor).
#include <cstdlib>
#include <signal.h>
#include <string>
#include <sys/prctl.h>
#include <unistd.h>

int main(int, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // outlives an exec
  char* self = realpath("/proc/self/exe", nullptr);
  const std::string path = self == nullptr ? "" : self;
  execv((path.substr(0, path.rfind('/')) + "/hearth-supervisor").c_str(), argv);
  return 1;
}
