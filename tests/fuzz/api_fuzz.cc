// Hostile requests to the API, and its answers as the client reads them. Lines: method, target, Idempotency-Key,
// Last-Event-ID; then the body. Whatever was asked, the answer is JSON (or the table), a refusal is the client's own
// Error again, and an accepted document is the same when it is written and read.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <boost/json.hpp>

#include "api/event_stream.h"
#include "api/json_members.h"
#include "api/routes.h"
#include "base/check.h"
#include "base/toml_text.h"
#include "cli/answers.h"
#include "cli/event_news.h"
#include "config/diff.h"
#include "config/document_json.h"
#include "fuzz/bytes.h"
#include "unit/api/fakes.h"

namespace {

using namespace hearth;
using namespace hearth::api;

constexpr WallNs wall = seconds(1'700'000'000);

bool is_json(std::string_view text) {
  boost::system::error_code error;
  boost::json::parse({text.data(), text.size()}, error);
  return !error;
}

const FakeControl& control() {
  static const FakeControl made = [] {
    FakeControl fake;
    fake.told.instance = "main";
    fake.told.services = {slot("blog", "web", Phase::running), slot("blog", "db", Phase::backoff),
                          slot("shop", "web", Phase::failed)};
    fake.told.services[1].status_text = "loading \x1b[31m\xff 40 %";
    fake.told.services[2].index = 3;
    fake.told.notes = {{wall, "the keeper was replaced"}};
    for (int id = 1; id <= 20; ++id)
      fake.journal.push_back("{\"id\":" + std::to_string(id) + ",\"kind\":\"state\",\"service\":\"blog.web.0\"}");
    fake.orders[key_of(0xab)] = OrderReport{3, Verb::start, true, 0, {{Outcome::done, fake.told.services[0]}}};
    return fake;
  }();
  return made;
}

cli::Answer answered(const Reply& reply) {
  return {reply.status, reply.exit_code, reply.body};
}

void check(const Reply& reply) {
  HEARTH_CHECK(valid_utf8(reply.body), "an answer is text");
  if (std::string_view(reply.type) == "application/json") HEARTH_CHECK(is_json(reply.body), "an answer is JSON");
  HEARTH_CHECK(reply.status == 405 ? reply.allow != nullptr : true, "a wrong method is told the right one");
  if (reply.status < 400) return;
  const Error error = cli::refusal(answered(reply));
  HEARTH_CHECK(!error.reason.empty() && !error.operation.empty(), "a refusal says why, and the client reads it");
  HEARTH_CHECK(!cli::order_news(answered(reply)) && !cli::accepted_news(answered(reply)),
               "and takes it for nothing else");
}

void check(const Request& request) {
  if (request.verb == Verb::apply) {
    const std::string text = config::document_to_json(request.document);
    const Result<Document> back = config::document_from_json(text);
    HEARTH_CHECK(back && config::diff(request.document, *back).empty(), "a document is the same again");
  } else {
    HEARTH_CHECK((request.verb == Verb::signal) == (request.signal != 0), "a signal has its number");
    HEARTH_CHECK((request.verb == Verb::scale) != request.replicas.empty(), "and scale its counts");
    for (const std::string& name : request.names) HEARTH_CHECK(!name.empty(), "a name is not empty");
  }
  Accepted accepted;
  accepted.order = 7;
  accepted.notes = request.names;
  accepted.removed = {"blog.web.1"};
  const Reply reply = accepted_reply(accepted, request.key);
  check(reply);
  const Result<cli::AcceptedNews> news = cli::accepted_news(answered(reply));
  HEARTH_CHECK(news && news->order == 7 && news->removed.size() == 1, "the client reads what was accepted");
  HEARTH_CHECK(news->notes.size() == request.names.size(), "with all notes");
}

void check(const OrderWait& waiter) {
  HEARTH_CHECK(waiter.wait >= 0 && waiter.wait <= longest_wait, "nobody waits for ever");
  const std::optional<Reply> reply = look(waiter, control(), true);
  HEARTH_CHECK(reply.has_value(), "when time is up there is an answer");
  check(*reply);
  if (reply->status == 200) HEARTH_CHECK(cli::order_news(answered(*reply)).has_value(), "the client reads a report");
}

void check(const EventsAsked& asked) {
  EventStream stream(asked, control());
  cli::EventReader whole;
  EventId last = no_event;
  for (int pieces = 0; pieces < 40; ++pieces) {
    const std::string piece = stream.next(control());
    if (piece.empty()) break;
    HEARTH_CHECK(valid_utf8(piece), "a stream is text");
    whole.feed(piece, [&](std::string_view line) {
      const cli::EventNews news = cli::event_news(line);
      HEARTH_CHECK(news.id == 0 || news.id > last, "ids ascend");
      if (news.id != 0) last = news.id;
    });
  }
  HEARTH_CHECK(asked.follow || stream.over(), "who does not follow comes to the end");
}

// As the parser of Boost sees it, when that takes it at all.
void check_members(std::string_view body) {
  const auto members = json_members(body);
  if (!members) HEARTH_CHECK(!members.error().reason.empty(), "every refusal says why");
  boost::system::error_code error;
  const boost::json::value value = boost::json::parse({body.data(), body.size()}, error);
  if (error || !value.is_object()) return;
  HEARTH_CHECK(members.has_value(), "each JSON object is one");
  HEARTH_CHECK(members->size() >= value.get_object().size(), "with all its members");
  for (const auto& [name, text] : *members) HEARTH_CHECK(is_json(text), "whose values are JSON");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  HttpRequest request;
  request.method = bytes.line();
  request.target = bytes.line();
  request.idempotency_key = bytes.line();
  request.last_event_id = bytes.line();
  request.body = bytes.rest();
  const api::Action action = route(request, control(), wall);
  std::visit([](const auto& what) { check(what); }, action);
  check_members(request.body);
  return 0;
}
