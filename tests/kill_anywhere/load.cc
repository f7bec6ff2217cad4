#include "load.h"

#include "log_check.h"

namespace hearth::kill_anywhere {
namespace {

constexpr int lines_of_a_step = 1, lines_at_the_point = 3;

// Of that run alone, and none that anybody else exits with.
int code_of(std::uint64_t run) {
  return 20 + static_cast<int>(run % 200);
}

}  // namespace

void Load::begin(Circumstances& circumstances, std::function<bool()> may_break) {
  client_.start(circumstances, std::move(may_break));
  client_.ask();
}

void Load::write_to_all(int lines) {
  for (const std::string& name : writers_) hub_.send(name, "spill " + std::to_string(lines));
}

// What it has written just before it exits is the last that anybody can read of it.
void Load::end_u() {
  const std::uint64_t run = hub_.run_of("u");
  hub_.send("u", "spill 1");
  hub_.end_now("u", code_of(run));
}

void Load::step(bool with_exit) {
  if (!up_) return;
  client_.ask();
  write_to_all(lines_of_a_step);
  if (!with_exit) return;
  run_of_u_ = hub_.run_of("u");
  end_u();
}

void Load::beat() {
  if (!up_) return;
  const std::size_t whose = turn_++ % (writers_.size() + 1);
  if (whose == writers_.size())
    client_.ask();
  else
    hub_.send(writers_[whose], "spill 1");
}

void Load::at_the_point() {
  client_.ask();
  if (!up_) return;
  write_to_all(lines_at_the_point);
  end_u();
}

std::string Load::unfinished() const {
  if (!client_.idle()) return "an answer to the client that asks status all the time";
  if (!up_) return "";
  if (hub_.run_of("u") <= run_of_u_) return "the next run of u";
  for (const std::string& name : writers_)
    if (read_counters(counters_ + "/" + name).finished < hub_.lines_of(name)) return "the lines of " + name;
  return "";
}

const Asked& Load::end() {
  client_.stop();
  return client_.asked();
}

}  // namespace hearth::kill_anywhere
