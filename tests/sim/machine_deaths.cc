// The deaths of the keeper and of everybody, as they concern the supervisor: who comes next, and what he finds.
#include <algorithm>

#include "sim/machine.h"

namespace hearth::sim {

void Machine::kill_keeper() {
  if (!kernel.keeper_lives() || keeper_port.finished) return;
  kernel.kill_keeper();
  keeper_is_dead();
}

void Machine::keeper_is_dead() {
  ++keepers_killed;
  if (supervisor_ == nullptr) return everybody_is_dead(false);
  kernel.wake();  // its socket is at an end
  time.in(keeper_away_for(), [this] { replace_keeper(); });
}

// As apps/supervisor_program.cc does it. Handing over is one step here.
void Machine::replace_keeper() {
  if (kernel.keeper_lives() || supervisor_ == nullptr) return;
  if (time.now.mono < stopped_until_) return time.at(stopped_until_, [this] { replace_keeper(); });
  kernel.keeper_begins();
  if (sabotage_ != nullptr && sabotage_->before_handover) sabotage_->before_handover(*this);
  kernel.hand_over();
  kernel.supervisor_died();  // which plans were sent to spawners of the old one
  if (watcher != nullptr) watcher->keeper_replaced();
  supervisor_->keeper_replaced(1, kernel.keeper_generation());
  due_ = time.now.mono;
}

void Machine::kill_everybody(bool state_lost) {
  if (keeper_port.finished) return;
  if (supervisor_ == nullptr) return everybody_is_dead(state_lost);
  commit_before_ = page_->commit.load();
  died("between turns", state_lost ? Death::everybody_and_state : Death::everybody);
}

// The supervisor is dead already.
void Machine::everybody_is_dead(bool state_lost) {
  kernel.kill_keeper();
  trace.note(time.now.mono, "all of hearth is dead%s", state_lost ? ", slot table and decision page are lost" : "");
  ++everybody_killed;
  states_lost += state_lost;
  kernel.everybody_died();
  keeper_port.everybody_died();
  if (watcher != nullptr) watcher->everybody_died(state_lost);
  if (state_lost) {
    for (ClientCall& call : calls) call.forgotten = call.answered;
    kernel.lose_table();
    inputs_port.table_lost();
    renew_page();
  }
  stopped_until_ = 0;
  restart_at_ = std::max(restart_at_, after(time.now.mono, nobody_for()));
}

// Without a commit in the page, nothing can have run: both are put aside.
void Machine::begin_keeper(bool fresh) {
  if (sabotage_ != nullptr && sabotage_->before_revival) sabotage_->before_revival(*this);
  if (fresh) {
    kernel.lose_table();
    kernel.keeper_begins();
  } else {
    kernel.keeper_continues();
  }
}

ports::Heritage Machine::inherit() {
  ports::Heritage heritage = read_heritage(kernel, store_port);
  kernel.forget_runs_above(heritage.greatest_run);
  if (watcher != nullptr) watcher->inherits(heritage);
  if (sabotage_ != nullptr && sabotage_->heritage) sabotage_->heritage(heritage);
  return heritage;
}

}  // namespace hearth::sim
