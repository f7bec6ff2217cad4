#include "store/event_line.h"

#include <charconv>

#include "base/json_text.h"
#include "base/rfc3339.h"
#include "model/status.h"

namespace hearth::store {
namespace {

constexpr std::string_view id_prefix = "{\"id\":";

// Length of the UTF-8 sequence at the front (RFC 3629); 0: it is none.
std::size_t sequence_at(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x80) return 1;
  const std::size_t length = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xc0) != 0x80) return 0;
  const bool wrong = (byte(0) == 0xe0 && byte(1) < 0xa0) || (byte(0) == 0xed && byte(1) > 0x9f) ||
                     (byte(0) == 0xf0 && byte(1) < 0x90) || (byte(0) == 0xf4 && byte(1) > 0x8f);
  return wrong ? 0 : length;
}

void append_text(std::string& out, std::string_view text) {
  out += '"';
  const std::size_t end = out.size() + event_text_max;
  while (!text.empty() && out.size() < end) {
    const std::size_t plain = plain_prefix(text.substr(0, end - out.size()));
    out += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty() || out.size() == end) break;
    const std::size_t length = sequence_at(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (first == '"' || first == '\\') {
      out += '\\';
      out += text[0];
    } else if (first < 0x20 || first == 0x7f) {
      out += ' ';
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

class Line {
 public:
  Line(std::string& out, EventId id) : out_(out) {
    out_ += id_prefix;
    digits(static_cast<std::int64_t>(id));
  }
  Line& text(std::string_view name, std::string_view value) {
    begin(name);
    append_text(out_, value);
    return *this;
  }
  Line& optional(std::string_view name, std::string_view value) { return value.empty() ? *this : text(name, value); }
  Line& number(std::string_view name, std::int64_t value) {
    begin(name);
    digits(value);
    return *this;
  }
  Line& boolean(std::string_view name, bool value) {
    begin(name);
    out_ += value ? "true" : "false";
    return *this;
  }
  Line& object(std::string_view name) {
    begin(name);
    out_ += '{';
    first_ = true;
    return *this;
  }
  Line& close() {
    out_ += '}';
    first_ = false;
    return *this;
  }

 private:
  void begin(std::string_view name) {
    if (!first_) out_ += ',';
    first_ = false;
    out_.append("\"").append(name).append("\":");
  }
  void digits(std::int64_t value) {
    char text[24];
    out_.append(text, std::to_chars(text, text + sizeof text, value).ptr);
  }

  std::string& out_;
  bool first_ = false;  // the id is there
};

void add_exit(Line& line, const EventRecord& event) {
  line.object("exit");
  if (event.exit.fail_stage != 0) {
    line.boolean("started", false).number("errno", event.exit.fail_errno);
  } else if (event.exit.code == 1) {
    line.number("code", event.exit.status);
  } else if (event.exit.code == 2 || event.exit.code == 3) {
    line.number("signal", event.exit.status).boolean("core", event.exit.code == 3);
  } else {
    line.boolean("known", false);
  }
  line.close();
}

void add_statistics(Line& line, const EventRecord& event) {
  if (event.exit.fail_stage != 0) return;
  line.object("statistics");
  // Of a run that ended with the machine, say, nobody knows when that was.
  if (event.lasted != 0 || event.exit.code > 0) line.number("run_ms", event.lasted / ns_per_ms);
  line.number("restarts", event.restarts);
  if (event.use.known)
    line.number("cpu_user_ms", event.use.cpu_user_us / 1'000)
        .number("cpu_system_ms", event.use.cpu_system_us / 1'000)
        .number("max_rss_kib", event.use.max_rss_kib);
  line.close();
}

}  // namespace

void append_event_line(std::string& out, const EventRecord& event) {
  Line line(out, event.id);
  line.text("time", rfc3339(event.time)).text("kind", happening_name(event.what)).optional("service", event.service);
  if (event.cause != no_event) line.number("cause", static_cast<std::int64_t>(event.cause));
  if (event.what == Happening::state) {
    line.optional("from", event.from).text("to", event.to);
    line.text("reason", reason_name(event.reason));
  }
  if (event.run != no_run) line.number("run", static_cast<std::int64_t>(event.run));
  if (event.pid != 0) line.number("pid", event.pid);
  line.optional("hook", event.hook);
  if (event.what == Happening::exit || event.what == Happening::hook) add_exit(line, event);
  if (event.what == Happening::exit) add_statistics(line, event);
  if (event.order != 0) line.number("order", static_cast<std::int64_t>(event.order));
  line.optional("operation", event.operation);
  if (event.by.pid != 0)
    line.object("by").number("pid", event.by.pid).number("uid", event.by.uid).text("command", event.by.command).close();
  line.text("text", event.text);
  out += "}\n";
}

EventId event_id_of(std::string_view text) {
  if (!text.starts_with(id_prefix)) return no_event;
  text.remove_prefix(id_prefix.size());
  EventId id = no_event;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  return error == std::errc() && end != text.data() + text.size() && (*end == ',' || *end == '}') ? id : no_event;
}

std::size_t end_of_lines(std::string_view text) {
  const std::size_t last = text.rfind('\n');
  return last == text.npos ? 0 : last + 1;
}

EventId last_event_in(std::string_view text) {
  text = text.substr(0, end_of_lines(text));
  while (!text.empty()) {
    text.remove_suffix(1);
    const std::size_t before = text.rfind('\n');
    const std::size_t begin = before == text.npos ? 0 : before + 1;
    // A line that is none of ours (a torn one after the loss of power) hides none before it.
    if (const EventId id = event_id_of(text.substr(begin)); id != no_event) return id;
    text = text.substr(0, begin);
  }
  return no_event;
}

}  // namespace hearth::store
