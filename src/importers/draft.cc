#include "importers/draft.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/toml_text.h"
#include "model/replica.h"

namespace hearth::importers {
namespace {

constexpr char variable_sign = '\x01';                    // a $ that hearth shall see
constexpr char index_begin = '\x02', index_end = '\x03';  // braces that it shall see

// The signs as what they stand for.
std::string shown(std::string text) {
  for (char& c : text) c = c == variable_sign ? '$' : c == index_begin ? '{' : c == index_end ? '}' : c;
  return text;
}

}  // namespace

std::string foreign(std::string text) {
  for (char& c : text)
    if (c == variable_sign || c == index_begin || c == index_end) c = '?';
  return text;
}

std::string variable(std::string_view name) {
  return std::string(1, variable_sign) + "{" + std::string(name) + "}";
}

std::string index_number(std::uint64_t more) {
  return index_begin + std::string("index") + (more == 0 ? "" : "+" + std::to_string(more)) + index_end;
}

std::string with_braces(std::string_view text) {
  std::string out = without_index(text);
  std::replace(out.begin(), out.end(), index_begin, '{');
  std::replace(out.begin(), out.end(), index_end, '}');
  return out;
}

std::string quoted(std::string_view plain) {
  const std::string braces = with_braces(plain);
  const std::string_view text = braces;
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '$' && text.substr(i + 1).starts_with("{")) out += '$';
    out += text[i] == variable_sign ? '$' : text[i];
  }
  return hearth::quoted(out);
}

std::string quoted_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) out += (out.size() == 1 ? "" : ", ") + quoted(text);
  return out + "]";
}

std::string name_of(std::string_view text) {
  std::string name;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0) == 0x80) continue;  // of a letter of several bytes, one '-'
    name += std::isalnum(static_cast<unsigned char>(c)) == 0 && c != '_' ? '-' : c;
  }
  name.resize(std::min<std::size_t>(name.size(), 48));
  return name.empty() ? "service" : name;
}

std::string integer(std::string_view text) {
  const std::string_view digits = text.starts_with('+') ? text.substr(1) : text;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return error == std::errc() && end == digits.data() + digits.size() ? std::to_string(value) : quoted(text);
}

std::string seconds_text(std::string_view number) {
  return quoted(std::string(number) + "s");
}

void Service::put(std::vector<Value>& values, std::string_view key, std::string value) const {
  const auto found = std::find_if(values.begin(), values.end(), [&](const Value& each) { return each.key == key; });
  if (found == values.end())
    values.push_back({std::string(key), std::move(value), now_});
  else
    *found = {std::string(key), std::move(value), now_};
}

void Service::made_of(const std::string& path, std::size_t line) {
  now_ = {path, line};
  if (!whole_) whole_ = now_;
}

// Members of several lines: the service.
Origin Service::origin_of(const std::vector<Value>& members) const {
  for (const Value& each : members)
    if (each.from.path != members[0].from.path || each.from.line != members[0].from.line)
      return whole_.value_or(Origin());
  return members.empty() ? Origin() : members[0].from;
}

void Service::set(std::string_view key, std::string value) {
  put(keys_, key, std::move(value));
}

void Service::set_in(std::string_view table, std::string_view key, std::string value) {
  auto found = std::find_if(tables_.begin(), tables_.end(), [&](const auto& each) { return each.first == table; });
  if (found == tables_.end()) found = tables_.insert(tables_.end(), {std::string(table), {}});
  put(found->second, key, std::move(value));
}

bool Service::has(std::string_view key) const {
  return std::any_of(keys_.begin(), keys_.end(), [&](const Value& each) { return each.key == key; });
}

void Service::remove(std::string_view key) {
  std::erase_if(keys_, [&](const Value& each) { return each.key == key; });
  std::erase_if(tables_, [&](const auto& each) { return each.first == key; });
}

Service& Draft::add(std::string_view wanted) {
  const std::string base = name_of(wanted);
  std::string name = base;
  for (int n = 2; find(name) != nullptr; ++n) name = base.substr(0, 44) + "-" + std::to_string(n);
  Service& made = services_.emplace_back(name);
  about_ = &made;
  return made;
}

Service* Draft::find(std::string_view name) {
  const auto found = std::find_if(services_.begin(), services_.end(), [&](const Service& s) { return s.name == name; });
  return found == services_.end() ? nullptr : &*found;
}

void Draft::find_wanting(const Source& source, std::size_t line, std::string what, std::string remedy) {
  find_wanting({source.path, line, std::move(what), std::move(remedy)});
}

void Draft::find_wanting(Finding finding) {
  if (muted_) return;
  for (std::string* text : {&finding.what, &finding.remedy, &finding.of_all, &finding.of_each})
    *text = shown(std::move(*text));
  if (about_ != nullptr) finding.service = about_->name;
  findings_.push_back(std::move(finding));
}

Imported Draft::finish(const std::string& from) {
  Imported out;
  out.services = services_.size();
  const auto add = [&out](const std::string& line, const Origin& of) {
    out.toml += line + "\n";
    out.origins.push_back(of);
  };
  add("# Made by `hearth import` from " + one_line(from) + ".", {});  // a comment ends with its line
  for (const Service& service : services_) {
    add("", {});
    add("[service." + service.name + "]", service.whole_.value_or(Origin()));
    for (const auto& [key, value, of] : service.keys_) add(key + " = " + value, of);
    for (const auto& [table, members] : service.tables_) {
      std::string line = table + " = {";
      for (std::size_t i = 0; i < members.size(); ++i)
        line += (i == 0 ? " " : ", ") + key_text(members[i].key) + " = " + members[i].value;
      add(line + " }", service.origin_of(members));
    }
  }
  for (const Service& service : services_)
    for (const std::string& note : service.notes_) out.notes.push_back({service.name, shown(note)});
  out.findings = std::move(findings_);
  out.files = std::move(files_);
  put_in_order(out);
  return out;
}

}  // namespace hearth::importers
