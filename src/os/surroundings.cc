// KeeperClient: what a service asks of its surroundings, beyond what a plan says.
#include <cerrno>
#include <fcntl.h>
#include <memory>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include "os/clock.h"
#include "os/keeper_client.h"
#include "os/sandbox.h"

namespace hearth::os {
namespace {

using wire::ParkClass;

}  // namespace

bool KeeperClient::wants_terminal(const ports::SpawnOrder& order) {
  return order.role == SlotRole::service && order.spec->around->stdin_from == StdinFrom::pty;
}

std::optional<Result<Prepared>> KeeperClient::prepare_run(const ports::SpawnOrder& order) {
  const Surroundings& around = *order.spec->around;
  const Sandbox& sandbox = *order.spec->process->sandbox;
  const bool of_service = order.role == SlotRole::service;
  if (const Status held = sandbox_refusal(sandbox, sandbox_support(), order.label); !held) return failure(held.error());
  std::optional<Result<Prepared>> prepared = Prepared();
  if (limits_files(sandbox) || (of_service && needs_preparation(around))) {
    has_credentials_ = has_credentials_ || (of_service && !around.credentials.empty());
    prepared = preparations_.of(
        {order.run, order.label, owner_of(*order.spec), around, roots_, sandbox, !of_service, order.of_run},
        read_mono());
  }
  if (!prepared || !*prepared) return prepared;
  if (order.role != SlotRole::service && order.of_run != no_run && !around.credentials.empty()) {
    // On tmpfs, or where its own run has just written: it does not hang.
    const std::string path = roots_.credentials + "/" + std::to_string(order.of_run);
    if (::access(path.c_str(), F_OK) == 0) (*prepared)->variables.emplace_back("CREDENTIALS_DIRECTORY", path);
  }
  return prepared;
}

std::optional<Status> KeeperClient::can_find(const std::vector<ports::SpawnOrder>& orders) {
  std::vector<ProgramLook> wanted;
  for (const ports::SpawnOrder& order : orders)
    wanted.push_back(
        {order.label, order.spec->cwd, order.command->empty() ? "" : order.command->front(), program_paths(order)});
  return program_looks_.of(wanted, read_mono());
}

void KeeperClient::forget_preparation(RunId run) {
  preparations_.forget(run);
  port_looks_.forget(run);
  pid_files_.forget(run);
  last_looks_.erase(run);
  if (has_credentials_) remove_credentials(roots_, run);
}

void KeeperClient::release_surroundings(const ports::SpawnOrder& order) {
  remove_runtime_directories(roots_, order.spec->around->runtime_directories, order.run);
}

Status KeeperClient::make_terminal(const ports::SpawnOrder& order, Made& made) {
  if (!wants_terminal(order) || link_.parked().find(ParkClass::probe, order.run, terminal_name) != nullptr) return {};
  Result<Fd> master = make_pty(owner_of(*order.spec));
  if (!master) return failure(master.error());
  made.terminal = std::move(*master);
  return {};
}

// /dev/null where the plan names something else, too.
Result<std::shared_ptr<const Fd>> KeeperClient::input_of(const ports::SpawnOrder& order) {
  const Parked* master =
      wants_terminal(order) ? link_.parked().find(ParkClass::probe, order.run, terminal_name) : nullptr;
  if (master != nullptr) {
    Result<Fd> terminal = open_pty_for_service(master->fd);
    if (!terminal) return failure(terminal.error());
    return std::make_shared<const Fd>(std::move(*terminal));
  }
  // Kept from the first time that there is a descriptor for it.
  if (dev_null_ == nullptr) {
    Fd opened(::open("/dev/null", O_RDWR | O_CLOEXEC));
    if (!opened) return errno_failure("open", "/dev/null", errno);
    dev_null_ = std::make_shared<const Fd>(std::move(opened));
  }
  return dev_null_;
}

}  // namespace hearth::os
