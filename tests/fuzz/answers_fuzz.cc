// Hostile bytes where the client expects an answer of the supervisor, and what a person types. The first byte chooses:
// 'o' an order, 'a' an accepted request, 'i' the instance, 's' services (each after a byte for the status), 'e' a line of
// the journal, 'v' a stream of events, 't' a point in time, 'r' a report with what was removed.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "base/check.h"
#include "base/toml_text.h"
#include "cli/answers.h"
#include "cli/event_news.h"
#include "cli/log_lines.h"
#include "cli/log_times.h"
#include "fuzz/bytes.h"

namespace {

using namespace hearth;
using namespace hearth::cli;

bool is_json(std::string_view text) {
  boost::system::error_code error;
  boost::json::parse({text.data(), text.size()}, error);
  return !error;
}

template <typename News>
void check(const Result<News>& news, const Answer& answer) {
  if (news) {
    HEARTH_CHECK(answer.status < 400, "a refusal is no answer");
    return;
  }
  // A refusal is the server's own, of whom it is asked to say why.
  HEARTH_CHECK(answer.status >= 400 || !news.error().reason.empty(), "every refusal says why");
  HEARTH_CHECK(is_json(error_json(news.error())), "also to programs");
}

void check_slots(const std::vector<SlotNews>& slots) {
  const Labels labels(slots);
  for (const SlotNews& slot : slots) {
    labels.of(slot);
    full_name(slot);
    slot.state_word();
    selects("web*", slot);
  }
}

void feed_stream(std::string_view bytes, std::size_t step) {
  std::vector<std::string> whole, pieces;
  EventReader one, many;
  const bool more = one.feed(bytes, [&](std::string_view line) { whole.emplace_back(line); });
  bool also = true;
  for (std::size_t at = 0; at < bytes.size(); at += step)
    also &= many.feed(bytes.substr(at, step), [&](std::string_view line) { pieces.emplace_back(line); });
  HEARTH_CHECK(whole == pieces && more == also && one.last() == many.last(), "how bytes are cut means nothing");
  std::vector<std::string> lines;
  LineCutter cutter;
  for (std::size_t at = 0; at < bytes.size(); at += step)
    cutter.add(bytes.substr(at, step), [&](std::string_view line) { lines.emplace_back(line); });
  cutter.finish([&](std::string_view line) { lines.emplace_back(line); });
  std::string joined;
  for (const std::string& line : lines) joined += line + "\n";
  HEARTH_CHECK(joined == bytes || (joined.size() == bytes.size() + 1 && joined.starts_with(bytes)),
               "lines are the bytes");
}

void feed_time(std::string_view text) {
  constexpr WallNs now = seconds(1'700'000'000);
  const Result<WallNs> moment = parse_moment("--since", text, now);
  if (!moment)
    HEARTH_CHECK(!moment.error().reason.empty() && valid_utf8(moment.error().hint), "every refusal says why");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const char kind = static_cast<char>(bytes.byte());
  if (kind == 'e') {
    const EventNews event = event_news(bytes.rest());
    event_words(event);
    selects_label(event.service, "blog.web.0");
    selects_label("blog.*", event.service);
    return 0;
  }
  if (kind == 't') return feed_time(bytes.rest()), 0;
  const std::uint8_t second = bytes.byte();
  if (kind == 'v') return feed_stream(bytes.rest(), std::size_t{1} + second % 16), 0;
  if (kind == 'r') {
    SlotNews gone;
    gone.project = "blog", gone.name = "we\"b\xff";
    const std::string report = with_removed(std::string(bytes.rest()), {gone});
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse({bytes.rest().data(), bytes.rest().size()}, error);
    const bool was_report = !error && value.is_object() && !value.get_object().empty();
    if (was_report) HEARTH_CHECK(is_json(report), "what was a report stays one");
    return 0;
  }
  static constexpr int statuses[] = {200, 202, 400, 404, 409, 500, 503};
  const Answer answer{statuses[second % 7], -1, std::string(bytes.rest())};
  if (kind == 'o') {
    const Result<OrderNews> news = order_news(answer);
    check(news, answer);
    if (news) check_slots(news->slots);
  } else if (kind == 'a') {
    check(accepted_news(answer), answer);
  } else if (kind == 'i') {
    check(instance_news(answer), answer);
  } else if (kind == 's') {
    const Result<std::vector<SlotNews>> news = services_news(answer);
    check(news, answer);
    if (news) check_slots(*news);
  }
  return 0;
}
