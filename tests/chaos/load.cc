#include "load.h"

#include <algorithm>
#include <fcntl.h>
#include <fstream>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fmt/format.h>

#include "os/clock.h"
#include "os/proc_stat.h"
#include "sockets.h"

namespace hearth::chaos {
namespace {

namespace json = boost::json;

// A client that waits says so itself after this time.
constexpr const char* kPatience = "25s";
// Longer than its patience, its attempts to reach somebody and each fault together.
constexpr SpanNs kForEver = INT64_MAX / 4;
constexpr SpanNs kHangs = seconds(75);

std::string slot_of(const std::string& service) {  // "chaos.web.1" -> "web.1"
  const std::size_t first = service.find('.');
  if (first == service.npos) return "";
  std::string slot = service.substr(first + 1);
  if (slot.ends_with(".0")) slot.resize(slot.size() - 2);
  return slot;
}

}  // namespace

void EventsFollower::tick() {
  const MonoNs now = os::read_mono();
  if (running_ || stopped_ || now < next_life_) return;
  next_life_ = after(now, milliseconds(300));
  // Where it was cut it begins again with everything that is kept: what it has told already is passed over.
  running_ = true;
  read();
  const std::string path = next_path();
  world_.run(
      {"events", "-f", "-n", "all", "--json"}, kForEver, [this](int, const std::string&) { running_ = false; }, path);
}

std::string EventsFollower::next_path() {
  offset_ = last_in_life_ = 0;
  return path_ + std::to_string(++lives_);
}

void EventsFollower::finish() {
  stopped_ = true;
  read();
  std::string all;
  world_.ask({"events", "-n", "all", "--json"}, &all, seconds(30));
  std::ofstream(next_path(), std::ios::binary) << all;
}

void EventsFollower::read() {
  std::ifstream in(path_ + std::to_string(lives_), std::ios::binary);
  in.seekg(static_cast<std::streamoff>(offset_));
  for (std::string line; std::getline(in, line) && !in.eof();) {
    offset_ += line.size() + 1;
    take(line);
  }
}

void EventsFollower::take(const std::string& line) {
  json::error_code error;
  const json::value value = json::parse(line, error);
  const json::object* event = error ? nullptr : value.if_object();
  const json::value* number = event == nullptr ? nullptr : event->if_contains("id");
  if (number == nullptr || !number->is_number()) return;  // the words of a client without a hearth
  const auto id = number->to_number<std::uint64_t>();
  const std::string kind(event->at("kind").as_string());
  if (std::exchange(forget_next, false)) return;
  if (id <= last_in_life_) violations_.push_back(fmt::format("event {} was told after event {}", id, last_in_life_));
  last_in_life_ = id;
  if (id <= last_) return;
  if (id > last_ + 1 && kind != "loss")
    violations_.push_back(fmt::format("of the events between {} and {} the follower was told nothing", last_, id));
  if (kind == "loss") lost_ += id - last_ - 1;
  last_ = id;
  ++count_;
  if (kind != "exit") return;
  ToldExit exit;
  const json::value* service = event->if_contains("service");
  exit.slot = slot_of(service == nullptr ? "" : std::string(service->as_string()));
  if (plan_.find(exit.slot) == nullptr) return;
  if (const json::value* run = event->if_contains("run")) exit.run = run->to_number<std::uint64_t>();
  const json::value* how = event->if_contains("exit");
  if (how == nullptr || !how->is_object()) return;
  const json::object& object = how->get_object();
  const json::value* code = object.if_contains("code");
  const json::value* signal = object.if_contains("signal");
  exit.known = code != nullptr || signal != nullptr;
  exit.started = object.if_contains("started") == nullptr;
  if (code != nullptr) exit.code = code->to_number<int>();
  if (signal != nullptr) exit.signal = signal->to_number<int>();
  exits_.push_back(exit);
}

Load::Load(World& world, const Plan& plan, Faults& faults, Random& random, std::string programs)
    : world_(world), plan_(plan), faults_(faults), random_(random), programs_(std::move(programs)) {}

void Load::sockets_were_looked_at() {
  sockets_may_change_ = false;
  deaths_when_looked_at_ = deaths_of_holders();
  if (!forgotten_.empty() && forgotten_.back().until == INT64_MAX) forgotten_.back().until = os::read_mono();
}

std::vector<std::string> Load::upgrade(const std::string& directory, bool keeper) const {
  std::vector<std::string> words = {"upgrade", "--from", directory, "--timeout", kPatience};
  if (keeper) words.emplace_back("--keeper");
  return words;
}

void Load::all_wanted() {
  wanted_.clear();
  for (const Planned& service : plan_.services()) wanted_[service.name] = true;
}

void Load::apply_file() {
  std::ofstream(world_.project() + "/hearth.toml") << plan_.toml(variant_);
}

void Load::order(const std::vector<std::string>& words, const std::set<std::string>& names, std::optional<bool> goal) {
  ++orders;
  ++mutating_;
  std::string what;
  for (const std::string& word : words) what += (what.empty() ? "" : " ") + word;
  faults_.note("$ hearth " + what);
  for (const std::string& name : names) {
    touched_.insert(name);
    busy_.insert(name);
    wanted_.erase(name);
  }
  touch_what_they_need(names);
  world_
      .run(words, kHangs,
           [this, what, names, goal](int code, const std::string& output) { ended(what, names, goal, code, output); })
      .mutates = true;
}

void Load::touch_what_they_need(const std::set<std::string>& names) {
  for (const std::string& name : names) {
    const Planned* service = plan_.find(name);
    if (service == nullptr || service->needs.empty() || names.contains(service->needs)) continue;
    touched_.insert(service->needs);
    wanted_.erase(service->needs);
  }
}

void Load::ended(const std::string& what, const std::set<std::string>& names, std::optional<bool> goal, int code,
                 const std::string& output) {
  --mutating_;
  if (what.starts_with("upgrade")) upgrading_ = false;
  for (const std::string& name : names) {
    busy_.erase(name);
    touched_.insert(name);
    if (code == 0 && goal) wanted_[name] = *goal;
  }
  touch_what_they_need(names);
  if (code != 0) ++orders_refused;
  if (code >= 126)
    violations_.push_back(fmt::format("`hearth {}` ended with {}: {}", what, code, output.substr(0, 500)));
}

void Load::one_order() {
  std::set<std::string> all;
  for (const Planned& service : plan_.services()) all.insert(service.name);
  const std::uint64_t dice = below(random_, 22);
  if (dice >= 20) {
    if (upgrading_ || mutating_ >= 4) return;
    upgrading_ = true;
    ++upgrades;
    return order(upgrade(below(random_, 2) == 0 ? programs_ : world_.next(), dice == 21), {}, std::nullopt);
  }
  if (dice < 4 && mutating_ == 0) {
    if (dice == 0) {
      sockets_may_change_ = true;
      if (forgotten_.empty() || forgotten_.back().until != INT64_MAX) forgotten_.push_back({os::read_mono()});
      return order({"down", "--timeout", kPatience}, all, std::nullopt);
    }
    std::set<std::string> changed = all;
    ++variant_;
    apply_file();
    // What does not run is started, what differs is restarted: so it may concern each that is not known to be up.
    std::erase_if(changed, [&](const std::string& name) {
      const auto wanted = wanted_.find(name);
      const bool up = wanted != wanted_.end() && wanted->second;
      const Planned* service = plan_.find(name);
      return up && service->replicas == 1 && service->nature == Nature::steady && !Plan::changes(*service, variant_) &&
             !Plan::changes(*service, variant_ - 1);
    });
    return order({"up", "--no-wait"}, changed, true);
  }
  const Planned& service = plan_.services()[below(random_, plan_.services().size())];
  // Who is ready ignores the signal, and stays who he is. No order is refused because of it.
  if (dice == 19 && service.character == "notifier" && mutating_ < 4)
    return order({"reload", service.name, "--timeout", kPatience}, {}, std::nullopt);
  if (busy_.contains(service.name) || mutating_ >= 4) return;
  if (service.replicas > 1)
    return order(
        {"scale", service.name + "=" + std::to_string(1 + below(random_, Plan::most_replicas)), "--timeout", kPatience},
        {service.name}, std::nullopt);
  switch (dice % 4) {
    case 0: return order({"stop", service.name, "--timeout", kPatience}, {service.name}, false);
    case 1: return order({"start", service.name, "--timeout", kPatience}, {service.name}, true);
    default: return order({"restart", service.name, "--timeout", kPatience}, {service.name}, true);
  }
}

void Load::look() {
  if (looking_) return;
  looking_ = true;
  ++looks;
  world_.run({"status", "--json"}, kHangs, [this](int code, const std::string& output) {
    looking_ = false;
    if (code > 125 && code != 150 && code != 151 && code != 152)
      violations_.push_back(fmt::format("`hearth status` ended with {}: {}", code, output.substr(0, 500)));
  });
}

// A parked socket takes whoever comes, also when its service does not run.
void Load::knock() {
  for (const Planned& service : plan_.services())
    for (const std::string& address : service.sockets) {
      ++knocks;
      const Call call(address);
      if (call.error == 0)
        ++knocks_served;
      else if (!sockets_may_have_changed())
        violations_.push_back(
            fmt::format("the socket {} of {} is closed: {}", address, service.name, std::strerror(call.error)));
    }
}

// It reads files, and needs no hearth but for the name of a service that has no log yet: so it has no reason to end.
void Load::follow_log() {
  const MonoNs now = os::read_mono();
  if (log_is_followed_ || now < next_log_life_) return;
  next_log_life_ = after(now, milliseconds(300));
  log_is_followed_ = true;
  ++log_lives_;
  ::mkdir(log_follower_directory().c_str(), 0700);
  world_.run(
      {"logs", "-f", "-n", "all", "raw"}, kForEver,
      [this](int code, const std::string& output) {
        log_is_followed_ = false;
        // A `down` forgets it, and before it has written nothing tells that it was there.
        const bool forgotten = sockets_may_change_ && ::access((world_.logs() + "/chaos.raw.0").c_str(), F_OK) != 0;
        if (code == -1 || forgotten || faults_.everything_died()) return;
        const std::size_t last = output.size() - std::min<std::size_t>(output.size(), 300);
        violations_.push_back(
            fmt::format("`hearth logs -f raw` ended by itself with {}: {}", code, output.substr(last)));
      },
      log_follower_directory() + "/1.log");
}

void Load::kill_what_hangs() {
  const MonoNs now = os::read_mono();
  for (Client& client : world_.clients()) {
    if (client.killed || now < client.deadline) continue;
    client.killed = true;
    violations_.push_back(
        fmt::format("`hearth {}` did not end within {} s", client.what, (now - client.begun) / ns_per_s));
    os::pidfd_signal(client.handle.get(), SIGKILL);
  }
}

}  // namespace hearth::chaos
