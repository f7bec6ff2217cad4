// Small files that an earlier hearth has left. The first byte chooses: 'f' one flat object, 'r' runs.json, as the store and
// as the client read it, 'm' the texts of a ready file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "base/check.h"
#include "base/toml_text.h"
#include "cli/answers.h"
#include "fuzz/bytes.h"
#include "store/flat_json.h"
#include "store/marks.h"
#include "store/run_list.h"

namespace {

using namespace hearth;
using namespace hearth::store;

bool parses(std::string_view text) {
  boost::system::error_code error;
  boost::json::parse({text.data(), text.size()}, error);
  return !error;
}

void feed_flat(std::string_view text) {
  FlatObject object;
  if (!read_flat(text, object)) return;
  std::string again;
  FlatWriter writer(again);
  std::size_t number = 0;
  for (const auto& [name, value] : object) writer.add("m" + std::to_string(number++), value);
  writer.close();
  FlatObject back;
  HEARTH_CHECK(read_flat(again, back) && back.size() == object.size(), "what is written is read");
  number = 0;
  for (const auto& [name, value] : object)
    HEARTH_CHECK(string_of(back, "m" + std::to_string(number++)) == value, "as it was");
  if (valid_utf8(again)) HEARTH_CHECK(parses(again), "and is JSON for everybody");
}

void feed_runs(const std::string& text) {
  // The client reads the same file.
  const Result<cli::NotedRuns> noted = cli::noted_runs(text);
  if (!noted) HEARTH_CHECK(!noted.error().reason.empty(), "every refusal says why");
  Result<RunList> list = parse_run_list(text);
  if (!list) {
    HEARTH_CHECK(!list.error().reason.empty(), "every refusal says why");
    return;
  }
  if (const Result<std::string> none = cli::without_runs(text)) {
    const Result<RunList> empty = parse_run_list(*none);
    HEARTH_CHECK(empty && empty->runs.empty() && empty->next_run == list->next_run, "an emptied list is one");
  }
  for (ports::RunNote& note : list->runs) note.pid = std::max(note.pid, 0);
  const std::string written = run_list_text(*list);
  const Result<RunList> back = parse_run_list(written);
  HEARTH_CHECK(back && back->runs == list->runs && back->next_run == list->next_run && back->boot_id == list->boot_id &&
                   back->pid_namespace == list->pid_namespace && back->instance == list->instance,
               "what is written is read");
  if (valid_utf8(written)) {
    const Result<cli::NotedRuns> seen = cli::noted_runs(written);
    HEARTH_CHECK(seen && seen->runs.size() == list->runs.size(), "also by the client");
  }
  // After a power loss the end is missing.
  const Result<RunList> torn =
      parse_run_list(written.substr(0, written.size() - std::min<std::size_t>(written.size(), 9)));
  if (torn)
    HEARTH_CHECK(
        std::equal(torn->runs.begin(), torn->runs.end(), back->runs.begin(),
                   back->runs.begin() + static_cast<std::ptrdiff_t>(std::min(torn->runs.size(), back->runs.size()))),
        "what can be read of it is true");
}

void feed_mark(fuzz::Bytes bytes) {
  ports::Mark mark;
  mark.path = bytes.line();
  mark.label = bytes.line();
  mark.there = true;
  mark.run = bytes.number<RunId>() >> 1;
  mark.pid = bytes.number<std::int32_t>();
  mark.since = bytes.number<std::uint32_t>() * ns_per_s;
  const std::string text = ready_text(std::string(bytes.line()), mark);
  if (valid_utf8(text)) HEARTH_CHECK(parses(text), "a ready file is JSON");
  HEARTH_CHECK(text.ends_with('\n') && text.find('\n') == text.size() - 1, "in one line");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const char kind = static_cast<char>(bytes.byte());
  if (kind == 'f') feed_flat(bytes.rest());
  if (kind == 'r') feed_runs(std::string(bytes.rest()));
  if (kind == 'm') feed_mark(bytes);
  return 0;
}
