// What `hearth doctor` looks at. Each check is a function that adds findings; none changes anything. What can be put
// right carries the function that does it, which is called only with --fix, and only while nobody lives in the instance.
#pragma once

#include <functional>
#include <string>
#include <sys/types.h>
#include <vector>

#include "base/result.h"
#include "cli/context.h"

namespace hearth::cli {

enum class Verdict {
  good,
  note,     // worth knowing; nothing is to be done
  warning,  // works, but less well, or not for long
  problem,  // something does not work, or is not as it should be
  fixed,    // was a warning or a problem, and --fix has put it right
};

struct Finding {
  Verdict verdict = Verdict::good;
  std::string area;    // kernel, cgroups, limits, programs, instance, space, services, ports, gpu
  std::string text;    // one sentence without a full stop
  std::string remedy;  // what to do; "" = nothing
  std::function<Status()> fix;
};
using Findings = std::vector<Finding>;

// How the instance stands, found out once.
struct InstanceState {
  bool exists = false;   // its directory
  bool lives = false;    // somebody has its lock, or takes a connection
  bool answers = false;  // ... and answers on its socket
  std::string version;   // of who answers,
  pid_t supervisor = 0;  // and its number and its keeper's, in its own PID namespace; 0 = it does not say
  pid_t keeper = 0;
};
InstanceState look_at_instance(const Context& context);

void check_kernel(Findings& findings);
void check_cgroups(const Context& context, const InstanceState& state, Findings& findings);
void check_limits(Findings& findings);
void check_programs(const Context& context, const InstanceState& state, Findings& findings);
void check_instance(const Context& context, const InstanceState& state, Findings& findings);
void check_space(const Context& context, const InstanceState& state, Findings& findings);
void check_strays(const Context& context, const InstanceState& state, Findings& findings);
void check_gpu(const Context& context, Findings& findings);

std::string findings_text(const Findings& findings, bool color);
std::string findings_json(const Findings& findings);

}  // namespace hearth::cli
