// What services write, as the files have it. A first byte for the format, one for the size at which files are changed,
// one for how the rest, a service's output, is cut into batches. However it is cut: it is undone to the same bytes,
// every file keeps within its bound, and a line is found again by who looks for it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json.hpp>

#include "base/check.h"
#include "base/toml_text.h"
#include "fuzz/bytes.h"
#include "logger/line_format.h"
#include "probe/log_search.h"
#include "unit/logger/memory_sink.h"

namespace {

using namespace hearth;
using namespace hearth::logger;
using wire::LogFormat;

constexpr LineStamp stamp{7, 1'700'000'000'123'456'789};
constexpr std::string_view stamp_prefix = "2023-11-14T22:13:20.123456Z ";
constexpr std::uint64_t slack = 400;  // beyond the size at which a file is changed

std::string undo_stamped(std::string_view log) {
  std::string out;
  while (!log.empty()) {
    HEARTH_CHECK(log.starts_with(stamp_prefix), "each line begins with its time");
    log.remove_prefix(stamp_prefix.size());
    const std::string_view line = log.substr(0, log.find('\n'));
    const bool ends = line.size() < log.size();
    out.append(line).append(ends ? "\n" : "");
    log.remove_prefix(line.size() + (ends ? 1 : 0));
  }
  return out;
}

// U+10FE80 .. U+10FEFF are bytes (docs/formats/log-files.md).
std::string bytes_of(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("\xf4\x8f\xba") || text.substr(i).starts_with("\xf4\x8f\xbb")) {
      const unsigned low =
          (static_cast<unsigned char>(text[i + 2]) & 3u) << 6 | (static_cast<unsigned char>(text[i + 3]) & 0x3fu);
      out += static_cast<char>(low);
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string undo_json(std::string_view log) {
  std::string out;
  while (!log.empty()) {
    const std::string_view line = log.substr(0, log.find('\n'));
    HEARTH_CHECK(line.size() < log.size(), "each object has its line");
    log.remove_prefix(line.size() + 1);
    boost::system::error_code error;
    const boost::json::value value = boost::json::parse({line.data(), line.size()}, error);
    HEARTH_CHECK(!error && value.is_object(), "each line is an object for a strict parser");
    const boost::json::string& text = value.at("text").as_string();
    HEARTH_CHECK(valid_utf8(std::string_view(text)), "the text is text");
    const std::string bytes = bytes_of(text);
    out += bytes;
    if (!value.as_object().contains("cut")) out += '\n';
    const probe::LogText found = probe::text_of_line(line, "json");
    HEARTH_CHECK(found.run == stamp.run, "a probe knows whose line it is");
    if (bytes == std::string_view(text)) HEARTH_CHECK(found.text == bytes, "and finds what was written");
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Bytes bytes(data, size);
  const auto format = static_cast<LogFormat>(bytes.byte() % 3);
  const std::uint64_t most = bytes.byte() * std::uint64_t{4};
  const std::size_t step = 1 + bytes.byte() % 32;
  const std::string output(bytes.rest());
  MemorySink files(most, slack);
  LineState state;
  for (std::size_t at = 0; at < output.size(); at += step) {
    const std::string piece = output.substr(at, step);
    // Through the page, as between two batches.
    state = LineState::unpack(state.at_line_start, state.pack(format));
    state = format_lines(format, stamp, state, piece.data(), piece.size(), files);
  }
  if (most == 0)
    HEARTH_CHECK(files.all().size() <= formatted_bound(format, output.size()) * (output.size() / step + 2), "bounded");
  close_line(format, state, files);
  const bool open = !output.empty() && !output.ends_with('\n');
  std::string undone = files.all();
  if (format == LogFormat::stamped) undone = undo_stamped(undone);
  if (format == LogFormat::json) undone = undo_json(undone);
  HEARTH_CHECK(undone == output || (open && undone == output + "\n"), "it is undone to the same bytes");
  if (most != 0)
    for (const std::string& file : files.files) HEARTH_CHECK(file.size() <= most + slack, "a file has its bound");
  return 0;
}
