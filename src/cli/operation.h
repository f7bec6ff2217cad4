// A mutation as the user means it: done once, however often the supervisor dies meanwhile.
//
// The client makes a 128-bit key. The supervisor commits the operation under it; a successor finds it there. So
// when the connection breaks, the client connects again (after 5, 10, 20 ... 250 ms, for up to ten seconds) and
// repeats the same request with the same key, and waits for the order by that key as well.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "cli/client.h"

namespace hearth::cli {

struct Patience {
  SpanNs reconnect = seconds(10);  // how long without any answer before giving up
  SpanNs first_pause = milliseconds(5);
  SpanNs last_pause = milliseconds(250);
  // Asked when nobody listens: true means that hearth is there, between two lives of its supervisor; false, that
  // it is not worth waiting. Empty: worth waiting once somebody has answered.
  std::function<bool()> lives;
  // Asked then too, once somebody has answered: true means that all of hearth died without coming to its end, so that
  // the next one will know our key. Empty: false.
  std::function<bool()> unfinished;
  // A pidfd whose process is the last of hearth to end, or -1: its end ends a pause.
  int last_of_all = -1;
};

// 32 hex digits from getrandom(2).
std::string make_key();

class Operation {
 public:
  // `client` must outlive it. `watch` is the client's, or null. With the key of an earlier one it is that one repeated.
  Operation(Client& client, InterruptWatch* watch, Patience patience = {}, std::string key = make_key())
      : client_(client), watch_(watch), patience_(patience), key_(std::move(key)) {}

  const std::string& key() const { return key_; }

  // POSTs; an answer of any status is an answer. Fails as ClientError only when nobody answered in time.
  std::expected<Answer, ClientError> post(std::string_view target, std::string_view body, MonoNs deadline);

  // GET /v1/orders/KEY, for at most `wait`; `seen` as in the last answer, or empty.
  std::expected<Answer, ClientError> look(std::string_view seen, SpanNs wait, MonoNs deadline);

  // Any other question, with the same patience.
  std::expected<Answer, ClientError> get(std::string_view target, MonoNs deadline);

  // How often a broken connection was repaired.
  int reconnects() const { return reconnects_; }

 private:
  std::expected<Answer, ClientError> persist(const Question& question, SpanNs server_may_wait, MonoNs deadline);

  Client& client_;
  InterruptWatch* watch_;
  Patience patience_;
  std::string key_;
  bool reached_ = false;  // somebody answered once: from then on "not running" may be a moment between two lives
  int reconnects_ = 0;
};

}  // namespace hearth::cli
