#include "store/flat_json.h"

#include <algorithm>
#include <charconv>
#include <cstdio>

namespace hearth::store {
namespace {

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; });
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  if (is_plain(text)) {
    out.append(text).append("\"");
    return;
  }
  for (char c : text) {
    const unsigned char u = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (u < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", u);
      out += escaped;
    } else {
      out += c;
    }
  }
  out += '"';
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool take(char c) {
    skip();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }

  bool string(std::string& out) {
    if (!take('"')) return false;
    out.clear();
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] != '\\') {
        out += text_[at_++];
        continue;
      }
      if (++at_ == text_.size()) return false;
      if (text_[at_] == 'u') {
        unsigned value = 0;
        if (text_.size() - at_ < 5) return false;
        auto [end, problem] = std::from_chars(text_.data() + at_ + 1, text_.data() + at_ + 5, value, 16);
        // We write only control characters so.
        if (problem != std::errc() || end != text_.data() + at_ + 5 || value > 0x7f) return false;
        out += static_cast<char>(value);
        at_ += 5;
      } else {
        out += text_[at_++];
      }
    }
    return take('"');
  }

  bool word(std::string& out) {
    skip();
    const std::size_t begin = at_;
    while (at_ < text_.size() && ((text_[at_] >= 'a' && text_[at_] <= 'z') || (text_[at_] >= '0' && text_[at_] <= '9')))
      ++at_;
    out = text_.substr(begin, at_ - begin);
    if (out == "true" || out == "false") return true;
    return !out.empty() && out.find_first_not_of("0123456789") == std::string::npos;
  }

  bool next_is(char c) {
    skip();
    return at_ < text_.size() && text_[at_] == c;
  }

 private:
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }
  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

void FlatWriter::begin(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  out_.append("\"").append(name).append("\":");
}

FlatWriter& FlatWriter::add(std::string_view name, std::string_view value) {
  begin(name);
  append_string(out_, value);
  return *this;
}

FlatWriter& FlatWriter::add(std::string_view name, std::uint64_t value) {
  begin(name);
  char digits[20];
  out_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
  return *this;
}

FlatWriter& FlatWriter::add(std::string_view name, bool value) {
  begin(name);
  out_ += value ? "true" : "false";
  return *this;
}

bool read_flat(std::string_view text, FlatObject& object) {
  object.clear();
  Scanner scanner(text);
  if (!scanner.take('{')) return false;
  if (scanner.take('}')) return true;
  for (;;) {
    std::string name;
    std::string value;
    if (!scanner.string(name) || !scanner.take(':')) return false;
    if (scanner.take('[')) return true;
    if (scanner.next_is('"') ? !scanner.string(value) : !scanner.word(value)) return false;
    object[name] = value;
    if (scanner.take('}')) return true;
    if (!scanner.take(',')) return false;
  }
}

std::uint64_t number_of(const FlatObject& object, const std::string& name) {
  auto found = object.find(name);
  std::uint64_t value = 0;
  if (found != object.end()) std::from_chars(found->second.data(), found->second.data() + found->second.size(), value);
  return value;
}

std::string string_of(const FlatObject& object, const std::string& name) {
  auto found = object.find(name);
  return found == object.end() ? "" : found->second;
}

}  // namespace hearth::store
