#include "log_lines.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <zstd.h>

#include <boost/json.hpp>

#include "lines.h"

namespace hearth::support {
namespace {

constexpr std::string_view kPacked = ".zst";

// "" when it is not a whole file of zstd.
std::string unpacked(const std::string& packed) {
  const std::unique_ptr<ZSTD_DStream, decltype(&ZSTD_freeDStream)> stream(ZSTD_createDStream(), ZSTD_freeDStream);
  std::string text;
  std::string piece(ZSTD_DStreamOutSize(), 0);
  ZSTD_inBuffer in{packed.data(), packed.size(), 0};
  std::size_t more = 1;  // of a frame that is not over
  while (in.pos < in.size) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    more = ZSTD_decompressStream(stream.get(), &out, &in);
    if (ZSTD_isError(more) != 0) return "";
    text.append(piece, 0, out.pos);
  }
  return more == 0 ? text : "";
}

std::string slurp(const std::string& path, std::uint64_t from) {
  std::ifstream in(path, std::ios::binary);
  if (in) {
    in.seekg(static_cast<std::streamoff>(from));
    return {std::istreambuf_iterator<char>(in), {}};
  }
  // It goes only when the other one is complete.
  std::ifstream other(path + std::string(kPacked), std::ios::binary);
  const std::string text = unpacked({std::istreambuf_iterator<char>(other), {}});
  return from < text.size() ? text.substr(from) : "";
}

// What the service wrote, taken out of what the logger made of it. False: it is not in that form.
bool take_text(std::string& line, LogForm form, bool& torn) {
  if (form == LogForm::stamped) {
    const std::size_t space = line.find(' ');
    if (space != 27 || line[10] != 'T' || line[26] != 'Z') return false;
    line.erase(0, space + 1);
  } else if (form == LogForm::json) {
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(line, error);
    torn = static_cast<bool>(error);
    if (torn) value = boost::json::parse(line + "\"}", error);
    const boost::json::object* object = error ? nullptr : value.if_object();
    const boost::json::value* text = object == nullptr ? nullptr : object->if_contains("text");
    if (text == nullptr || !text->is_string()) return false;
    line.assign(text->get_string().data(), text->get_string().size());
  }
  return true;
}

bool begins_a_line(const std::string& text, LogForm form) {
  if (form == LogForm::stamped) return text.size() > 27 && text[10] == 'T' && text[26] == 'Z' && text[27] == ' ';
  return form == LogForm::json && text.starts_with("{\"ts\":");
}

LogLine line_of(std::string stored, LogForm form, const std::string& where) {
  LogLine line;
  line.where = where;
  line.text = std::move(stored);
  unsigned long long number = 0;
  unsigned long long run = 0;
  if (!take_text(line.text, form, line.torn)) return line;
  if (std::sscanf(line.text.c_str(), "[hearth: %llu bytes lost: ", &number) == 1) {
    line.lost = number;
  } else if (std::sscanf(line.text.c_str(), "%8llu r%llu ", &number, &run) == 2) {
    line.number = number;
    line.run = run;
    line.whole = make_line(number, run) == line.text + "\n";
  }
  return line;
}

}  // namespace

void LogCursor::read(const std::function<void(const LogLine&)>& take) {
  std::set<std::string> names;
  // Twice: whoever lists a directory may miss both the new name of a file and the old one, when it gets that meanwhile.
  for (int round = 0; round < 2; ++round) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(directory_, error)) {
      std::string name = entry.path().filename().string();
      if (name.ends_with(kPacked)) name.resize(name.size() - kPacked.size());
      std::error_code its;
      if (name.ends_with(".log") && !entry.is_symlink(its) && name >= file_) names.insert(name);
    }
  }
  for (const std::string& name : names) {
    if (name != file_) {
      file_ = name;
      offset_ = 0;
      ++files_;
    }
    const std::string fresh = slurp(directory_ + "/" + name, offset_);
    offset_ += fresh.size();
    // A hearth that begins after the death of everything may go on in the next file, and cannot end the line of the last.
    if (offset_ == fresh.size() && !rest_.empty() && begins_a_line(fresh, form_))
      take(line_of(std::exchange(rest_, ""), form_, name));
    const std::string text = rest_ + fresh;
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = text.find('\n', begin)) != text.npos; begin = end + 1)
      take(line_of(text.substr(begin, end - begin), form_, name));
    rest_ = text.substr(begin);
  }
}

LogForm log_form(const std::string& name) {
  return name == "json" ? LogForm::json : name == "stamped" ? LogForm::stamped : LogForm::raw;
}

std::string shown(std::string text) {
  if (text.size() > 100) text = text.substr(0, 60) + "..." + text.substr(text.size() - 30);
  return "\"" + text + "\"";
}

}  // namespace hearth::support
