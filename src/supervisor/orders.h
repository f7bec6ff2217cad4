// Requests and signals: what users order. Decided within a turn and answered after its commit.
//
// The key of a request is remembered with its order (decision page, 10 minutes): the same key again gets the same order
// and changes nothing. A signal is sent by its act like every other, at most once; it concerns no goal, so the order
// is settled when it is taken, and overtakes none. `reload` is the signal that a service has chosen for that: one with
// ready = "notify" may say RELOADING=1 within half a second, and then the order waits for its READY=1. One with a
// reload_command has that run instead, and the order waits for its end.
//
// During a shutdown only another one is taken, and it insists. Of the keeper's signals the counter is compared with the
// head's: TERM and INT shut down, a second one insists, QUIT leaves the services running, USR1 has status written to
// hearth.log by the program. HUP reloads the files of all projects: only a client can read them, so it is run for each,
// like a service, and `status` and `logs` tell how it went. USR2 has a client upgrade hearth in the same way.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/request.h"
#include "ports/inputs.h"
#include "wire/decision_page.h"

namespace hearth::supervisor {

class Goals;
class Placing;
class SlotBook;

class Orders {
 public:
  // `client`: the command with which `hearth` talks to this instance; empty: there is none, and `no_client` says why.
  Orders(SlotBook& book, Goals& goals, Placing& placing, const wire::DecisionPage& page, std::string instance,
         std::vector<std::string> client, std::string no_client)
      : book_(book),
        goals_(goals),
        placing_(placing),
        page_(page),
        instance_(std::move(instance)),
        client_(std::move(client)),
        no_client_(std::move(no_client)) {}

  Result<Accepted> handle(const Request& request, Now now);
  // What handle() would say now before it looks at what is asked for.
  std::optional<Error> refusal_of(const Request& request) const;
  void signalled(const ports::Input& input, Now now);

 private:
  const wire::OperationRecord* find_known(const OperationKey& key) const;
  Accepted repeat(const wire::OperationRecord& known) const;
  Result<Accepted> carry_out(const Request& request, Now now);
  Result<Accepted> order_named(const Request& request, Now now);
  void tell_resting(const Request& request, Accepted& accepted) const;
  void leave_completed_tasks(const Request& request, Accepted& accepted) const;
  void start(const std::vector<SlotIndex>& chosen, Accepted& accepted, Now now);
  Result<Accepted> send_signal(const Request& request, Now now);
  void post(SlotIndex slot, int signal);
  Result<Accepted> down(const Request& request, Now now);
  Accepted shut_down(const Request& request, Now now);
  // For the event journal. signal_order: the next order, which came as a signal.
  void tell(OrderId order, const Request& request, const Accepted& accepted, Now now);
  void reload_by_signal(Now now);
  void upgrade_by_signal(Now now);
  OrderId signal_order(const char* signal, const char* what, Now now);

  SlotBook& book_;
  Goals& goals_;
  Placing& placing_;
  const wire::DecisionPage& page_;
  std::string instance_;
  const std::vector<std::string> client_;
  const std::string no_client_;
};

}  // namespace hearth::supervisor
