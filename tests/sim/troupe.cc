#include "sim/troupe.h"

#include <algorithm>
#include <cerrno>

namespace hearth::sim {

Character Troupe::character(const std::string& service) const {
  const auto found = characters_.find(service);
  return found == characters_.end() ? Character::sound : found->second;
}

Document Troupe::document(const std::string& project, const std::string& path, std::uint32_t count,
                          std::uint32_t version) {
  Document document;
  document.project = project;
  document.path = path;
  for (std::uint32_t i = 0; i < count; ++i)
    document.services.push_back(service(std::string(1, static_cast<char>('a' + i)), i, version));
  return document;
}

ServiceSpec Troupe::service(const std::string& name, std::uint32_t index, std::uint32_t version) {
  Random random(seed_ + index * 1'000 + version * 1'000'000, "service");
  Random forever(seed_ + index * 1'000, "character");
  if (!characters_.contains(name)) {
    const std::uint64_t draw = forever.below(100);
    Character character = draw < 50   ? Character::sound
                          : draw < 80 ? Character::moody
                          : draw < 90 ? Character::task
                                      : Character::broken;
    if (!misbehaviour_ && (character == Character::moody || character == Character::broken))
      character = Character::sound;
    characters_[name] = character;
  }
  ServiceSpec spec;
  spec.name = name;
  // Some versions differ in nothing that a program would have to be told.
  spec.command = {"/bin/" + name, std::to_string(random.one_in(2) ? version : 0)};
  spec.replicas = random.one_in(4) ? static_cast<std::uint32_t>(random.between(2, 3)) : 1;
  const bool task = characters_[name] == Character::task;
  Random hooks(seed_ + index * 1'000 + version * 1'000'000, "hooks");
  give_hooks(spec, hooks);
  if (task && hooks.one_in(2)) spec.type = ServiceType::task;
  Random forks(seed_ + index * 1'000, "forks");
  const bool may_fork = !task && forks.one_in(8), has_pid_file = forks.one_in(2);
  if (may_fork) spec.type = ServiceType::forking;
  if (may_fork && has_pid_file) spec.around.edit().pid_file = "/run/" + name + ".pid";
  // Only one that never gets up is given up and tried again for ever: who waits for others to come to rest does so.
  if (characters_[name] == Character::broken && hooks.one_in(4))
    spec.retry_after = milliseconds(hooks.between(200, 3'000));
  const std::uint64_t restart = random.below(10);
  spec.restart = restart < 6 ? RestartPolicy::on_failure : restart < 9 ? RestartPolicy::always : RestartPolicy::never;
  if (task) spec.restart = restart < 7 ? RestartPolicy::on_failure : RestartPolicy::never;
  spec.backoff.initial = random.one_in(4) ? 0 : milliseconds(random.between(20, 400));
  spec.backoff.max = seconds(2);
  spec.backoff.reset_after = seconds(random.between(1, 10));
  if (spec.backoff.initial == 0 && characters_[name] == Character::broken) spec.backoff.initial = milliseconds(30);
  if (random.one_in(6)) spec.crash_limit = {static_cast<std::uint32_t>(random.between(1, 5)), seconds(10)};
  if (random.one_in(8)) spec.success_exit_codes = {0, 3};

  const std::uint64_t probe = random.below(100);
  if (!task || probe < 15)
    spec.ready.edit().type = probe < 30   ? ProbeType::none
                             : probe < 72 ? ProbeType::notify
                             : probe < 86 ? ProbeType::http
                                          : ProbeType::exec;
  if (!task && random.one_in(8)) spec.live.edit().type = random.one_in(2) ? ProbeType::http : ProbeType::exec;
  for (Probe* each : {&spec.ready.edit(), &spec.live.edit()}) {
    each->command = {"/bin/check"};
    each->interval = milliseconds(random.between(50, 1'000));
    each->timeout = milliseconds(random.between(100, 1'000));
    each->failure_threshold = static_cast<std::uint32_t>(random.between(1, 3));
    each->success_threshold = static_cast<std::uint32_t>(random.between(1, 2));
  }
  Random memories(seed_ + index * 1'000, "memories");
  if (!task && memories.one_in(8)) {
    Probe& live = spec.live.edit();
    if (live.type == ProbeType::none) live.type = ProbeType::memory;
    live.max_memory = 4ull << 30;
  }
  Random uptimes(seed_ + index * 1'000, "uptimes");
  if (!task && spec.ready->type == ProbeType::none && uptimes.one_in(2)) {
    spec.ready.edit().type = ProbeType::uptime;
    spec.ready.edit().uptime = milliseconds(uptimes.between(20, 800));
  }
  Random marks(seed_ + index * 1'000, "marks");
  if (marks.one_in(3) && spec.replicas == 1) spec.around.edit().ready_file = "/run/" + name + ".ready";
  if (uptimes.one_in(6)) spec.crash_limit.max_failed_starts = static_cast<std::uint32_t>(uptimes.between(1, 5));
  spec.start_timeout = random.one_in(6) ? 0 : milliseconds(random.between(1'000, 5'000));
  // Long enough for a sound service to get up, with its tries and between them.
  if (spec.start_timeout != 0 && spec.ready->type != ProbeType::notify)
    spec.start_timeout =
        std::max<SpanNs>(spec.start_timeout, seconds(1) + 4 * (spec.ready->interval + milliseconds(60)));
  if (characters_[name] == Character::moody && spec.start_timeout == 0) spec.start_timeout = seconds(4);
  if (spec.ready->type == ProbeType::notify && random.one_in(3))
    spec.watchdog = milliseconds(random.between(600, 2'000));
  spec.stop_timeout = milliseconds(random.between(500, 2'500));
  const int signals[] = {15, 15, 15, 2, 1, 9};
  spec.stop_signal = signals[random.below(6)];

  for (std::uint32_t other = 0; other < index; ++other) {
    if (!random.percent(40)) continue;
    Dependency dependency;
    dependency.service = std::string(1, static_cast<char>('a' + other));
    const bool of_task = character(dependency.service) == Character::task;
    const std::uint64_t kind = random.below(10);
    dependency.condition = of_task    ? (kind < 5 ? Condition::completed_successfully : Condition::completed)
                           : kind < 7 ? Condition::ready
                                      : Condition::started;
    dependency.required = !random.one_in(5);
    // Not with one that is up again and again for a moment: nobody would ever come to rest.
    dependency.restart = random.one_in(3) && character(dependency.service) != Character::broken;
    dependency.stop = dependency.required && !of_task && uptimes.one_in(4);
    spec.depends_on.push_back(dependency);
  }
  return spec;
}

// Half of the services have none.
void Troupe::give_hooks(ServiceSpec& spec, Random& random) const {
  if (random.one_in(2)) return;
  Actions& actions = spec.actions.edit();
  for (Action* action : {&actions.before_start, &actions.after_start, &actions.before_stop, &actions.after_stop,
                         &actions.on_failure, &actions.on_give_up, &actions.stop}) {
    if (!random.one_in(3)) continue;
    action->command = {"/bin/hook"};
    action->timeout = milliseconds(random.between(50, 1'500));
  }
}

Script Troupe::script_of_hook(Random& random) const {
  Script script;
  script.exit_after = random.between(200'000, milliseconds(60));
  script.term_takes = random.between(200'000, milliseconds(20));
  script.term_status = 1;
  if (!misbehaviour_ || healed_) return script;
  if (random.one_in(12)) script.exit_status = 1;
  if (random.one_in(25)) script.exit_after = random.between(milliseconds(100), seconds(3));
  if (random.one_in(25)) script.exit_after = script.term_takes = not_at_all;
  if (random.one_in(40)) {
    script.fails = wire::SpawnStage::exec;
    script.fail_errno = ENOENT;
  }
  return script;
}

Script Troupe::script(const ServiceSpec& spec, SlotRole role, unsigned nth, bool parent_answers) {
  Random random(seed_ * 31 + nth, "script of " + spec.name + std::to_string(static_cast<int>(role)));
  Script script;
  if (is_hook(role)) return script_of_hook(random);
  if (role != SlotRole::service) {
    script.exit_after = random.between(200'000, milliseconds(30));
    script.exit_status = parent_answers ? 0 : 1;
    script.term_takes = not_at_all;
    if (misbehaviour_ && !healed_ && random.one_in(25)) script.exit_after = not_at_all;
    return script;
  }
  const Character character = this->character(spec.name);
  script.ready_after = random.between(500'000, milliseconds(300));
  script.term_takes = random.between(500'000, milliseconds(100));
  script.term_status = random.one_in(3) ? 1 : 0;
  if (spec.watchdog > 0) script.watchdog_every = spec.watchdog / 4;
  if (random.one_in(3)) script.says.push_back({random.between(0, seconds(1)), "STATUS=run " + std::to_string(nth)});
  if (random.one_in(4)) {
    const std::string name = "f" + std::to_string(nth % 3);
    const SpanNs when = random.between(0, seconds(2));
    script.says.push_back({when, "FDSTORE=1\nFDNAME=" + name, next_file_++});
    if (random.one_in(2)) script.says.push_back({when + seconds(1), "FDSTOREREMOVE=1\nFDNAME=" + name});
  }
  if (random.one_in(5)) {
    script.says.push_back({milliseconds(700), "RELOADING=1"});
    script.says.push_back({milliseconds(900), "READY=1"});
  }
  if (character == Character::task) {
    script.exit_after = script.ready_after + random.between(milliseconds(1), milliseconds(400));
  } else if (character == Character::broken) {
    if (random.one_in(2)) {
      script.fails = wire::SpawnStage::exec;
      script.fail_errno = ENOENT;
    } else {
      script.ready_after = not_at_all;
      script.exit_after = random.between(500'000, milliseconds(200));
      script.exit_status = 2;
    }
  } else if (character == Character::moody && !healed_ && !random.one_in(3)) {
    misbehave(script, random, spec);
  }
  return spec.type == ServiceType::forking && script.fails == wire::SpawnStage::none
             ? into_background(script, character == Character::moody && !healed_, nth, spec.name)
             : script;
}

// What leaves this one behind.
Script Troupe::into_background(const Script& script, bool may_misbehave, unsigned nth, const std::string& name) const {
  Random random(seed_ * 31 + nth, "forks of " + name);
  const auto daemon = std::make_shared<Script>(script);
  daemon->exec_takes = 0;
  Script leader;
  leader.exec_takes = script.exec_takes;
  leader.exit_after = random.between(100'000, milliseconds(30));
  leader.term_takes = script.term_takes;
  leader.term_status = script.term_status;
  leader.daemon = daemon;
  if (random.one_in(2)) daemon->pid_file_after = random.between(0, milliseconds(60));
  if (random.one_in(4)) daemon->says.push_back({random.between(0, milliseconds(5)), "MAINPID=self"});
  if (!may_misbehave || !random.one_in(4)) return leader;
  switch (random.below(5)) {
    case 0: leader.exit_status = 1; break;
    case 1: leader.daemon = nullptr; break;
    case 2: leader.exit_after = not_at_all; break;
    case 3: daemon->pid_file_after = not_at_all; break;
    case 4: daemon->has_siblings = daemon->pid_file_lies = true; break;
  }
  return leader;
}

void Troupe::misbehave(Script& script, Random& random, const ServiceSpec& spec) const {
  const SpanNs when = random.between(100'000, seconds(4));
  Random more(random);  // as it is now: what is drawn from it changes no other draw
  switch (random.below(16)) {
    case 0:  // crashes
      script.exit_after = when;
      script.exit_code = 2;
      script.exit_status = 11;
      break;
    case 1:  // ends well, though nobody has asked
      script.exit_after = when;
      break;
    case 2: script.term_takes = not_at_all; break;
    case 3:
      script.exec_takes = random.between(milliseconds(100), seconds(6));
      // ... and is not to be had in the end.
      if (more.one_in(3)) script.fails = wire::SpawnStage::exec, script.fail_errno = EIO;
      break;
    case 4:
      script.fails = wire::SpawnStage::exec;
      script.fail_errno = EACCES;
      break;
    case 5:
      script.fails = wire::SpawnStage::clone;
      script.fail_errno = EAGAIN;
      break;
    case 6: script.ready_after = not_at_all; break;
    case 7:  // floods
      for (int i = 0; i < 150; ++i) script.says.push_back({when + i * 20'000, "STATUS=flood " + std::to_string(i)});
      break;
    case 8:
      if (spec.watchdog > 0) script.watchdog_until = when;
      break;
    case 9:  // ends by itself, and says so
      script.says.push_back({when, "STOPPING=1"});
      script.exit_after = when + milliseconds(300);
      break;
    case 10:
      script.closes_output_after = when;
      script.stray_after = when;
      break;
    case 11:  // says that it is ready with its last breath
      script.exit_after = script.ready_after + random.between(0, 100'000);
      script.exit_status = random.one_in(2) ? 0 : 3;
      break;
    case 12:  // answers no more, or late
      script.sick_after = when;
      if (more.one_in(4)) {
        const SpanNs goes = when + more.between(seconds(1), seconds(4));
        script.says.push_back({goes, "STOPPING=1"});
        script.exit_after = goes + milliseconds(300);
      }
      if (more.one_in(4)) script.says.push_back({when + more.between(seconds(1), seconds(4)), "WATCHDOG=trigger"});
      break;
    case 13:
      script.says.push_back({script.ready_after / 2, "EXTEND_TIMEOUT_USEC=3000000"});
      script.ready_after = random.between(seconds(1), seconds(7));
      break;
    case 14:  // leaves a child that goes on talking
      script.ready_after = not_at_all;
      script.exit_after = random.between(100'000, milliseconds(300));
      script.exit_status = 1;
      script.heir_after = random.between(0, milliseconds(2));
      break;
    case 15:  // gives itself up, perhaps before it was ready
      script.says.push_back({random.one_in(2) ? script.ready_after / 2 : when, "WATCHDOG=trigger"});
      break;
  }
}

}  // namespace hearth::sim
