// What every command needs: which instance, how to talk, and how things are said.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "cli/client.h"
#include "cli/operation.h"
#include "cli/options.h"
#include "cli/terminal.h"
#include "os/instance.h"

namespace hearth::cli {

// docs/reference/cli.md; the numbers follow the LSB's list of actions.
namespace exit_code {
inline constexpr int done = 0;
inline constexpr int failed = 1;
inline constexpr int usage = 2;
inline constexpr int nothing_runs = 3;   // status
inline constexpr int no_permission = 4;  // status: cannot be asked
inline constexpr int not_configured = 6;
inline constexpr int not_running = 7;
inline constexpr int runs_already = 75;  // daemon; EX_TEMPFAIL, also of the keeper (keeper/start.cc)
inline constexpr int interrupted = 130;
}  // namespace exit_code

struct Context {
  Arguments arguments;
  os::HostFacts host;
  os::Instance instance;
  std::string version;
  bool json = false;
  bool own_instance = false;  // --instance auto: made for this command, and removed with its end

  std::string socket_path() const { return instance.directory + "/api.sock"; }
  // The options that make another `hearth` talk to the same instance: "" or "--dir /x ".
  std::string place_option;
};

Result<Context> make_context(Arguments arguments, std::string_view version);

// "hearth: cannot ..." on stderr; with --json the error object on stdout. Returns `code`.
int complain(const Context& context, const Error& error, int code);
// The code follows from the remedy and the trouble.
int complain(const Context& context, const Error& error);
int complain(const Context& context, const ClientError& error);
// What to do when nobody answers: start hearth, or see to what an earlier one has left.
std::string hint_without_hearth(const Context& context);

// Writes everything, through interruptions and short writes. A reader that went away is no error of ours.
void write_out(std::string_view text);
void write_err(std::string_view text);

// Is a keeper or supervisor alive in this instance, in whatever PID namespace, whatever the socket says? Looks whether
// somebody holds its lock, without touching it (os/instance_lock.h).
bool instance_lives(const os::Instance& instance);

// How long to try again, for a client of this instance.
Patience patience_for(const Context& context);

}  // namespace hearth::cli
