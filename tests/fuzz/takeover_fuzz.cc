// A slot table with hostile entries: a spawner that was taken over by somebody, or bytes that are not what they were.
// The real supervisor on the simulated machine (tests/sim) sees lies about the entries of two services, is killed, and
// takes over from them, also after everybody's death. It comes to no harm, and the third service, about which nobody
// lies, runs on and is never signalled.
//
// The input is a script: lies, truths, time, deaths, orders.
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "base/check.h"
#include "fuzz/bytes.h"
#include "sim/decorators.h"
#include "sim/machine.h"

namespace {

using namespace hearth;

constexpr SlotIndex liars = 2;  // slots 0 and 1; slot 2 is the bystander's
constexpr EntryIndex lied_about = liars * wire::entries_per_slot;

using Lies = std::map<EntryIndex, std::map<int, std::int64_t>>;

void lie(ports::EntryView& view, int field, std::int64_t value) {
  switch (field) {
    case 0: view.run = static_cast<RunId>(value); break;
    case 1: view.claim = static_cast<std::uint32_t>(value); break;
    case 2: view.pid = static_cast<std::int32_t>(value); break;
    case 3: view.fail_stage = static_cast<std::uint32_t>(value); break;
    case 4: view.fail_errno = static_cast<std::int32_t>(value); break;
    case 5: view.watched = (value & 1) != 0; break;
    case 6: view.exited = (value & 1) != 0; break;
    case 7: view.main = (value & 1) != 0; break;
    case 8: view.exit_code = static_cast<std::int32_t>(value); break;
    case 9: view.exit_status = static_cast<std::int32_t>(value); break;
    case 10: view.exited_at = value; break;
    case 11: view.last_op = static_cast<OpId>(value); break;
    case 12: view.start_ticks = static_cast<std::uint64_t>(value); break;
    case 13: view.use = {true, value, value, value}; break;
    default: break;
  }
}
constexpr int fields = 14;

class LyingKeeper final : public sim::KeeperDecorator {
 public:
  LyingKeeper(ports::Keeper& inner, const Lies& lies) : KeeperDecorator(inner), lies_(lies) {}
  ports::EntryView entry(EntryIndex entry) const override {
    ports::EntryView view = inner_.entry(entry);
    if (const auto found = lies_.find(entry); found != lies_.end())
      for (const auto& [field, value] : found->second) lie(view, field, value);
    return view;
  }

 private:
  const Lies& lies_;
};

ServiceSpec service(const char* name, RestartPolicy restart) {
  ServiceSpec spec;
  spec.name = name;
  spec.command = {std::string("/bin/") + name};
  spec.ready.edit().type = ProbeType::notify;
  spec.backoff.jitter = 0;
  spec.restart = restart;
  return spec;
}

sim::Script lives(const ServiceSpec&, SlotRole, unsigned, const std::string&) {
  sim::Script script;
  script.ready_after = milliseconds(10);
  return script;
}

class Play {
 public:
  explicit Play(fuzz::Bytes bytes) : bytes_(bytes) {
    sabotage_.keeper = [this](sim::Machine&, ports::Keeper& keeper) {
      return std::make_unique<LyingKeeper>(keeper, lies_);
    };
    machine_ = std::make_unique<sim::Machine>(1, sim::Faults::none(), lives, false, &sabotage_);
    Request up;
    up.verb = Verb::apply;
    up.document.project = "p";
    up.document.path = "/home/p/hearth.toml";
    up.document.services = {service("db", RestartPolicy::always), service("web", RestartPolicy::on_failure),
                            service("bystander", RestartPolicy::always)};
    machine_->send(std::move(up));
    run(50);
    sim::Process* const bystander = machine_->kernel.live_process_of(liars);
    HEARTH_CHECK(bystander != nullptr && bystander->service == "bystander", "it has the third slot");
    run_ = bystander->run;
  }

  void play() {
    for (int steps = 0; !bytes_.empty() && steps < 40; ++steps) {
      step();
      check();
    }
    lies_.clear();
    run(2'000);
    check();
    HEARTH_CHECK(machine_->alive(), "there is a supervisor");
    const InstanceStatus status = machine_->supervisor().status();
    bool ready = false;
    for (const SlotStatus& slot : status.services) ready |= slot.name == "bystander" && slot.ready && slot.run == run_;
    HEARTH_CHECK(ready, "whom nobody lied about is as it was");
  }

 private:
  void step() {
    switch (bytes_.byte() % 8) {
      case 0:
      case 1:
      case 2: {
        const EntryIndex entry = bytes_.byte() % lied_about;
        const int field = bytes_.byte() % fields;
        // A small number is likelier to be something.
        const std::int64_t value = bytes_.flag() ? bytes_.number<std::int64_t>() : std::int64_t{bytes_.byte()};
        lies_[entry][field] = value;
        machine_->kernel.notice(entry);
        break;
      }
      case 3: {
        const EntryIndex entry = bytes_.byte() % lied_about;
        lies_.erase(entry);
        machine_->kernel.notice(entry);
        break;
      }
      case 4: run(bytes_.byte()); break;
      case 5: machine_->kill_supervisor("the input's wish"); break;
      case 6: machine_->kill_everybody(false); break;
      case 7: order(); break;
    }
  }
  void order() {
    static constexpr Verb verbs[] = {Verb::start, Verb::stop, Verb::restart, Verb::reload};
    Request request;
    request.verb = verbs[bytes_.byte() % std::size(verbs)];
    request.names = {bytes_.flag() ? "db" : "web"};
    machine_->send(std::move(request));
  }
  void run(std::int64_t ms) { machine_->run_for(milliseconds(ms)); }
  void check() {
    const sim::Process* const bystander = machine_->kernel.live_process_of(liars);
    HEARTH_CHECK(bystander != nullptr && bystander->run == run_, "the bystander lives");
    HEARTH_CHECK(bystander->stop_signals == 0 && !bystander->killed, "and is left alone");
    if (machine_->alive()) machine_->supervisor().status();
  }

  fuzz::Bytes bytes_;
  Lies lies_;
  sim::Sabotage sabotage_;
  std::unique_ptr<sim::Machine> machine_;
  RunId run_ = no_run;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Play(fuzz::Bytes(data, size)).play();
  return 0;
}
