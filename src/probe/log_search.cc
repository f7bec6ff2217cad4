#include "probe/log_search.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <regex.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/utf8.h"
#include "os/fd.h"

namespace hearth::probe {
namespace {

constexpr std::size_t block_bytes = 64u << 10;

class Pattern {
 public:
  explicit Pattern(const std::string& text) : error_(::regcomp(&compiled_, text.c_str(), REG_EXTENDED | REG_NOSUB)) {}
  ~Pattern() {
    if (error_ == 0) ::regfree(&compiled_);
  }
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  std::string problem() const {
    if (error_ == 0) return {};
    char words[128];
    ::regerror(error_, &compiled_, words, sizeof words);
    return words;
  }
  // REG_STARTEND: with a length, so that a NUL ends no line.
  bool is_in(const std::string& line) const {
    regmatch_t range[1];
    range[0].rm_so = 0;
    range[0].rm_eo = static_cast<regoff_t>(line.size());
    return ::regexec(&compiled_, line.c_str(), 1, range, REG_STARTEND) == 0;
  }

 private:
  regex_t compiled_;
  int error_;
};

std::string path_of(const LogSearch& search, std::uint64_t file) {
  char name[32];
  std::snprintf(name, sizeof name, "/%08llu.log", static_cast<unsigned long long>(file));
  return search.directory + name;
}

// -1: it is not there.
std::int64_t size_of(const LogSearch& search, std::uint64_t file) {
  struct stat st{};
  return ::stat(path_of(search, file).c_str(), &st) < 0 ? -1 : static_cast<std::int64_t>(st.st_size);
}

void find_place(LogSearch& search) {
  LogPlace place = search.end;
  std::uint64_t behind = search.behind;
  while (behind > place.offset) {
    const std::int64_t before = place.file > 1 ? size_of(search, place.file - 1) : -1;
    if (before < 0) {  // rotated away, or of an earlier instance
      behind = place.offset;
      break;
    }
    behind -= place.offset;
    place = {place.file - 1, static_cast<std::uint64_t>(before)};
  }
  search.at = {place.file, place.offset - behind};
}

// Digits after `key`, which is searched for before the text begins.
std::uint64_t number_after(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  std::uint64_t number = 0;
  if (at != line.npos) std::from_chars(line.data() + at + key.size(), line.data() + line.size(), number);
  return number;
}

// A JSON text from behind its opening quotes to the closing ones. Pairs of surrogates stand for bytes that are no
// UTF-8, which no pattern asks for: they become one '?'.
std::string unquoted(std::string_view json) {
  std::string out;
  for (std::size_t i = 0; i < json.size() && json[i] != '"'; ++i) {
    if (json[i] != '\\' || i + 1 >= json.size()) {
      out += json[i];
      continue;
    }
    const char c = json[++i];
    unsigned code = 0;
    switch (c) {
      case 'n': out += '\n'; break;
      case 't': out += '\t'; break;
      case 'r': out += '\r'; break;
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'u':
        if (i + 4 >= json.size()) return out;
        std::from_chars(json.data() + i + 1, json.data() + i + 5, code, 16);
        i += 4;
        if (code < 0xd800 || code > 0xdfff)
          append_utf8(out, code);
        else if (code >= 0xdc00)
          out += '?';
        break;
      default: out += c;
    }
  }
  return out;
}

class Lines {
 public:
  Lines(LogSearch& search, const Pattern& pattern) : search_(search), pattern_(pattern) {}

  // True: one of them holds the pattern.
  bool take(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t end = bytes.find('\n');
      const std::string_view piece = bytes.substr(0, end);
      std::string& line = search_.begun;
      // A JSON line is longer than its text, by its escapes.
      const std::size_t most = search_.format == "json" ? 6 * line_max + 128 : line_max + 32;
      if (line.size() < most) line.append(piece.substr(0, most - line.size()));
      if (end == bytes.npos) return false;
      bytes.remove_prefix(end + 1);
      if (ends_well()) return true;
    }
    return false;
  }

 private:
  bool ends_well() {
    LogText text = text_of_line(search_.begun, search_.format);
    search_.begun.clear();
    if (text.text.size() > line_max) text.text.resize(line_max);
    return (text.run == 0 || text.run == search_.run) && pattern_.is_in(text.text);
  }

  LogSearch& search_;
  const Pattern& pattern_;
};

// Reads `search.at.file` to `until`. False: nothing more is to be looked for now.
bool search_file(LogSearch& search, Lines& lines, std::uint64_t until, std::uint64_t& left) {
  const os::Fd file(::open(path_of(search, search.at.file).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT) return true;  // rotated away
    search.problem = std::string("its log cannot be read: ") + std::strerror(errno);
    return false;
  }
  char block[block_bytes];
  while (search.at.offset < until) {
    if (left == 0) return false;
    const std::uint64_t want = std::min<std::uint64_t>({until - search.at.offset, sizeof block, left});
    const ssize_t got = ::pread(file.get(), block, want, static_cast<off_t>(search.at.offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) search.problem = std::string("its log cannot be read: ") + std::strerror(errno);
    if (got <= 0) return got == 0;  // shorter than it was: somebody has cut it
    search.at.offset += static_cast<std::uint64_t>(got);
    left -= static_cast<std::uint64_t>(got);
    if (lines.take({block, static_cast<std::size_t>(got)})) {
      search.found = true;
      return false;
    }
  }
  return true;
}

}  // namespace

LogText text_of_line(std::string_view line, std::string_view format) {
  constexpr std::size_t stamp_bytes = 28;  // "2025-01-31T12:00:00.000000Z "
  if (format == "stamped" && line.size() >= stamp_bytes && line[stamp_bytes - 2] == 'Z')
    return {std::string(line.substr(stamp_bytes)), 0};
  constexpr std::string_view key = "\"text\":\"";
  const std::size_t at = format == "json" ? line.find(key) : line.npos;
  if (at == line.npos) return {std::string(line), 0};
  return {unquoted(line.substr(at + key.size())), number_after(line.substr(0, at), "\"run\":")};
}

void search_log(LogSearch& search) {
  const Pattern pattern(search.pattern);
  search.problem = pattern.problem();
  if (!search.problem.empty() || search.end.file == 0) return;
  if (search.at.file == 0) find_place(search);
  Lines lines(search, pattern);
  std::uint64_t left = bytes_max;
  for (;;) {
    const bool last = search.at.file >= search.end.file;
    if (!search_file(search, lines, last ? search.end.offset : UINT64_MAX, left) || last) return;
    search.at = {search.at.file + 1, 0};
  }
}

}  // namespace hearth::probe
