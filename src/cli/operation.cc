#include "cli/operation.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <poll.h>
#include <sys/random.h>

#include <fmt/format.h>

#include "base/check.h"
#include "cli/interrupt.h"
#include "os/clock.h"

namespace hearth::cli {
namespace {

// How long an answer may take beyond what the server was asked to wait: it may be starting a thousand services.
constexpr SpanNs grace = seconds(30);

// False when it was interrupted.
bool pause(SpanNs span, InterruptWatch* watch, int last_of_all) {
  pollfd polled[2] = {{watch != nullptr ? watch->fd() : -1, POLLIN, 0}, {last_of_all, POLLIN, 0}};
  ::poll(polled, 2, static_cast<int>(span / ns_per_ms));
  return watch == nullptr || !watch->came();
}

}  // namespace

std::string make_key() {
  std::array<unsigned char, 16> bytes{};
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n = ::getrandom(bytes.data() + have, bytes.size() - have, 0);
    HEARTH_CHECK(n > 0 || errno == EINTR, "the kernel gives random bytes");
    if (n > 0) have += static_cast<std::size_t>(n);
  }
  std::string text;
  for (const unsigned char byte : bytes) text += fmt::format("{:02x}", byte);
  return text;
}

std::expected<Answer, ClientError> Operation::persist(const Question& question, SpanNs server_may_wait,
                                                      MonoNs deadline) {
  MonoNs give_up = 0;  // of the streak of failures under way
  SpanNs span = patience_.first_pause;
  for (;;) {
    const MonoNs now = os::read_mono();
    auto answer = client_.ask(question, std::min(deadline, after(now, server_may_wait + grace)));
    if (answer) {
      reached_ = true;
      return answer;
    }
    const Trouble what = answer.error().trouble;
    if (what == Trouble::cut) reached_ = true;  // somebody had accepted the connection
    const bool lives = (patience_.lives ? patience_.lives() : reached_) ||
                       (reached_ && patience_.unfinished && patience_.unfinished());
    const bool may_come_back = what == Trouble::cut || (what == Trouble::not_running && lives);
    if (!may_come_back) return answer;
    const MonoNs failed = os::read_mono();
    if (give_up == 0) give_up = std::min(deadline, after(failed, patience_.reconnect));
    if (failed >= give_up) return answer;
    ++reconnects_;
    if (!pause(std::min(span, give_up - failed), watch_, patience_.last_of_all)) {
      return std::unexpected(ClientError{Trouble::interrupted, answer.error().error});
    }
    span = std::min(span * 2, patience_.last_pause);
  }
}

std::expected<Answer, ClientError> Operation::get(std::string_view target, MonoNs deadline) {
  return persist(Question{"GET", target, {}, {}}, 0, deadline);
}

std::expected<Answer, ClientError> Operation::post(std::string_view target, std::string_view body, MonoNs deadline) {
  return persist(Question{"POST", target, key_, body}, seconds(60), deadline);
}

std::expected<Answer, ClientError> Operation::look(std::string_view seen, SpanNs wait, MonoNs deadline) {
  std::string target = fmt::format("/v1/orders/{}?wait_ms={}", key_, wait / ns_per_ms);
  if (!seen.empty()) target += fmt::format("&seen={}", seen);
  return persist(Question{"GET", target, {}, {}}, wait, deadline);
}

}  // namespace hearth::cli
