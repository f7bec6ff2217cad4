#include "storm.h"

#include <algorithm>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <sys/file.h>
#include <unistd.h>

#include <fmt/format.h>

#include "os/clock.h"

namespace hearth::chaos {
namespace {

// What all logs together may become: they are on a tmpfs, which is memory.
constexpr std::uint64_t kLogBytes = 600u << 20;
constexpr std::uint64_t kBytesPerLine = 330;

// What an upgrade goes on with: the same bytes in other files.
void copy_programs(const std::string& from, const std::string& to) {
  std::filesystem::create_directory(to);
  for (const char* name : {"/hearth", "/hearth-keeper", "/hearth-supervisor", "/hearth-logger"})
    std::filesystem::copy_file(from + name, to + name);
}

}  // namespace

Storm::Storm(const Options& options, World& world)
    : options_(options),
      world_(world),
      random_(options.seed),
      plan_(options.seed, world.base(), options.programs + "/hearth-chaos-service", world.host()),
      faults_(world, options, random_),
      load_(world, plan_, faults_, random_, options.programs),
      events_(world, plan_) {
  for (const std::string& kind : Faults::kinds())
    if (const std::string why = faults_.obstacle(kind); !why.empty()) result_.left_out[kind] = why;
}

Result Storm::run() {
  begun_ = os::read_mono();
  begin();
  calm();  // without a fault: what is wrong here is wrong with the tool, or with everything
  const MonoNs until = after(os::read_mono(), options_.length);
  while (!world_.interrupted() && os::read_mono() < until) {
    ++result_.rounds;
    rage(milliseconds(1500 + below(random_, 5000)));
    calm();
  }
  end();
  result_.faults = faults_.tallies();
  result_.kills = faults_.kills();
  result_.orders = load_.orders;
  result_.orders_refused = load_.orders_refused;
  result_.upgrades = load_.upgrades;
  result_.looks = load_.looks;
  result_.knocks = load_.knocks_served;
  result_.deaths_of_all = faults_.deaths().of_all.size();
  result_.seconds = seconds_since_begin();
  for (const auto& [slot, witness] : witnesses_) result_.lines_compared += witness.lines();
  return result_;
}

void Storm::begin() {
  control_ = open_control(world_.base() + "/control");
  if (control_ == nullptr) throw std::runtime_error("cannot make " + world_.base() + "/control");
  const std::uint64_t seconds_of_run = static_cast<std::uint64_t>(options_.length / ns_per_s) + 60;
  const std::uint64_t lines_a_second = kLogBytes / kBytesPerLine / plan_.slots().size() / seconds_of_run;
  control_->gap_us = static_cast<std::uint32_t>(1'000'000 / std::clamp<std::uint64_t>(lines_a_second, 10, 200));
  for (const std::string& slot : plan_.slots()) witnesses_.try_emplace(slot, slot);
  load_.apply_file();
  copy_programs(options_.programs, world_.next());
  if (!planted("overlap")) return;
  planted_lock_.reset(open(lock_path(world_.base(), "told").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  (void)flock(planted_lock_.get(), LOCK_EX);
}

void Storm::rage(SpanNs time) {
  const MonoNs until = after(os::read_mono(), time);
  MonoNs next_fault = 0, next_order = 0, next_look = 0;
  const auto in = [&](std::uint64_t at_most_ms) {
    return after(os::read_mono(), milliseconds(20 + static_cast<std::int64_t>(below(random_, at_most_ms))));
  };
  next_fault = in(400);
  while (!world_.interrupted() && os::read_mono() < until) {
    const MonoNs now = os::read_mono();
    if (now >= next_fault) {
      faults_.one();
      next_fault = in(below(random_, 4) == 0 ? 60 : 900);
    }
    if (now >= next_order) {
      load_.one_order();
      next_order = in(900);
    }
    if (now >= next_look) {
      load_.look();
      load_.knock();
      next_look = in(500);
    }
    events_.tick();
    load_.follow_log();
    wait(milliseconds(20));
  }
}

void Storm::wait(SpanNs time) {
  faults_.tick();
  load_.kill_what_hangs();
  world_.pump(time);
  if (const MonoNs now = os::read_mono();
      !faults_.deaths().of_keeper.empty() && now >= after(looked_at_, milliseconds(40))) {
    looked_at_ = now;
    world_.look_at_keepers();
  }
  for (std::string& step : faults_.take_trace()) trace_.push_back(std::move(step));
  violations(load_.take_violations());
}

void Storm::calm() {
  faults_.undo_all();
  while (!load_.quiet()) wait(milliseconds(50));
  control_->paused = 1;
  if (bring_back()) {
    wait_until_settled();
    compare_state();
    compare_upgrade();
    compare_logs_and_exits();
  }
  control_->paused = 0;
  trace_.clear();
  progress();
}

void Storm::end() {
  // That plant needs runs which end adopted, and a storm may have started all of them anew since the last fault.
  if (planted("unknown-exits")) {
    faults_.one();
    wait_until_settled();
  }
  if (planted("lost-event")) events_.forget_next = true;
  control_->paused = 1;
  std::string output;
  const int code = world_.ask({"shutdown", "--timeout", "60s"}, &output, seconds(90));
  if (code != 0) violation(fmt::format("`hearth shutdown` ended with {}: {}", code, output));
  compare_end();
}

void Storm::violation(const std::string& what) {
  // What stays wrong is wrong at each quiet moment; once is enough.
  if (!reported_.insert(what).second) return;
  result_.violations.push_back({seconds_since_begin(), result_.rounds, what, trace_});
  if (options_.json) return;
  std::printf("\n%.1f s, round %llu: VIOLATION: %s\n", seconds_since_begin(),
              static_cast<unsigned long long>(result_.rounds), what.c_str());
  for (const std::string& step : trace_) std::printf("    %s\n", step.c_str());
  std::fflush(stdout);
}

void Storm::violations(const std::vector<std::string>& what) {
  for (const std::string& text : what) violation(text);
}

// Whether this is to be planted, now and once.
bool Storm::planted(const char* what) {
  return options_.plants.contains(what) && planted_.insert(what).second;
}

double Storm::seconds_since_begin() const {
  return static_cast<double>(os::read_mono() - begun_) / 1e9;
}

void Storm::progress() {
  if (!options_.terminal) return;
  std::uint64_t lines = 0;
  for (const auto& [slot, witness] : witnesses_) lines += witness.lines();
  std::fprintf(stderr,
               "\r%6.0f s  round %llu, %llu kills, %llu orders, %llu takeovers, %llu lines, %zu violations \033[K",
               seconds_since_begin(), static_cast<unsigned long long>(result_.rounds),
               static_cast<unsigned long long>(faults_.kills()), static_cast<unsigned long long>(load_.orders),
               static_cast<unsigned long long>(result_.takeovers), static_cast<unsigned long long>(lines),
               result_.violations.size());
}

}  // namespace hearth::chaos
