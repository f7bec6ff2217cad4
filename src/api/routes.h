// What a request asks for, apart from sockets: a request in, and out comes an answer, a mutation for the
// supervisor, or a wait for an order. docs/reference/api.md is the contract.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/request.h"
#include "ports/control.h"

namespace hearth::api {

struct HttpRequest {
  std::string_view method;
  std::string_view target;           // as sent: path, perhaps ?query
  std::string_view idempotency_key;  // header; empty when absent
  std::string_view last_event_id;    // header; empty when absent
  std::string_view body;
};

struct Reply {
  int status = 200;
  std::string body;
  const char* type = "application/json";
  int exit_code = -1;           // Hearth-Exit header of a status; -1: none
  const char* allow = nullptr;  // Allow header of a 405
};

// Answer when the order settles, differs from `seen`, or `wait` is over.
struct OrderWait {
  OperationKey key{};
  SpanNs wait = 0;
  std::optional<std::uint64_t> seen;
};

// Events after this one, of these services; on and on, or until there is no other.
struct EventsAsked {
  EventId after = no_event;
  bool from_now = false;  // instead of `after`: only what is still to come
  bool follow = true;
  std::vector<std::string> names;  // empty: all, those of hearth itself too
};

using Action = std::variant<Reply, Request, OrderWait, EventsAsked>;

inline constexpr SpanNs longest_wait = seconds(60);

// `wall` is for the spans of the status table.
Action route(const HttpRequest& request, const ports::Control& control, WallNs wall);

// The answer to a waiter, when there is one now.
std::optional<Reply> look(const OrderWait& waiter, const ports::Control& control, bool time_is_up);

Reply error_reply(const Error& error);
Reply accepted_reply(const Result<Accepted>& result, const OperationKey& key);

}  // namespace hearth::api
