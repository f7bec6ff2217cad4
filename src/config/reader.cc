#include "config/reader.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/nearest.h"
#include "config/limits.h"
#include "config/node_text.h"
#include "config/numbers.h"
#include "config/scalars.h"
#include "config/text.h"

namespace hearth::config {
namespace {

std::string range_text(SpanRange range) {
  return fmt::format("{}within \"{}\" to \"{}\"", range.zero ? "0 or " : "", duration_text(range.least),
                     duration_text(range.greatest));
}

std::string range_text(SizeRange range) {
  return fmt::format("{}within {} to {}", range.zero ? "0 or " : "", size_text(range.least), size_text(range.greatest));
}

}  // namespace

void Reader::problem(Position at, std::string message, std::string remedy) {
  if (full() || describing_ != nullptr) return;
  const bool shared = at.part != 0 && at.part < parts_.size();
  const std::string& subject = shared ? parts_[at.part] : subject_;
  if (!subject.empty()) message = subject + ": " + message;
  const auto same = [&](const Diagnostic& other) { return other.at == at && other.message == message; };
  if (shared && std::ranges::any_of(problems_, same)) return;
  problems_.push_back({{}, at, std::move(message), std::move(remedy)});
}

void Reader::wrong_type(const Node& value, std::string_view key, std::string_view expected, std::string remedy) {
  problem(value.at, fmt::format("{} is {}, not {}", key, value.described(), expected), std::move(remedy));
}

bool Reader::described(std::string json, std::string standard) {
  describing_->json = std::move(json);
  describing_->standard = std::move(standard);
  return false;
}

bool Reader::text(const Node& value, std::string_view key, std::string& out) {
  if (describing_ != nullptr) return described(R"("type":"string")", out.empty() ? "" : quoted(out));
  if (value.kind != Node::Kind::string) {
    const bool simple = value.kind == Node::Kind::integer || value.kind == Node::Kind::boolean;
    wrong_type(value, key, "text", simple ? fmt::format("put it in quotes: \"{}\"", value.described()) : "");
    return false;
  }
  if (value.text.find('\0') != value.text.npos) {
    problem(value.at, fmt::format("{} contains a NUL character, which the kernel cannot take", key), "remove it");
    return false;
  }
  out = value.text;
  return true;
}

bool Reader::expanded(const Node& value, std::string_view key, std::string& out) {
  std::string raw;
  if (!text(value, key, raw)) return false;
  Result<std::string> result = expand_variables(raw, env_);
  if (!result) {
    problem(value.at, fmt::format("{}: {}", key, result.error().reason), result.error().hint);
    return false;
  }
  if (expansions_ != nullptr && *result != raw) expansions_->insert_or_assign(&value, *result);
  out = std::move(*result);
  return true;
}

bool Reader::expanded_list(const Node& value, std::string_view key, std::vector<std::string>& out) {
  if (describing_ != nullptr) return described(R"("type":"array","items":{"type":"string"})");
  if (value.kind != Node::Kind::array) {
    wrong_type(value, key, "an array of texts");
    return false;
  }
  std::vector<std::string> list;
  bool good = true;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    std::string item;
    good = expanded(value.items[i], fmt::format("{}[{}]", key, i), item) && good;
    list.push_back(std::move(item));
  }
  if (good) out = std::move(list);
  return good;
}

bool Reader::at_home(const Node& value, std::string_view key, std::string& out) {
  Result<std::string> result = expand_home(out, env_);
  if (!result) {
    problem(value.at, fmt::format("{} is {}: {}", key, quote(out), result.error().reason), result.error().hint);
    return false;
  }
  out = std::move(*result);
  return true;
}

bool Reader::flag(const Node& value, std::string_view key, bool& out) {
  if (describing_ != nullptr) return described(R"("type":"boolean")", out ? "true" : "false");
  if (value.kind != Node::Kind::boolean) {
    wrong_type(value, key, "true or false");
    return false;
  }
  out = value.boolean;
  return true;
}

bool Reader::integer64(const Node& value, std::string_view key, std::int64_t least, std::int64_t greatest,
                       std::int64_t& out) {
  if (describing_ != nullptr) {
    return described(fmt::format(R"("type":"integer","minimum":{},"maximum":{})", least, greatest),
                     out >= least && out <= greatest ? fmt::format("{}", out) : "");
  }
  const std::string expected = fmt::format("an integer from {} to {}", least, greatest);
  if (value.kind != Node::Kind::integer) {
    const bool quoted_number = value.kind == Node::Kind::string && parse_number(value.text);
    wrong_type(value, key, expected, quoted_number ? "write it without quotes: " + value.text : "");
    return false;
  }
  if (value.integer < least || value.integer > greatest) {
    problem(value.at, fmt::format("{} is {}, not {}", key, value.integer, expected), {});
    return false;
  }
  out = value.integer;
  return true;
}

bool Reader::integer(const Node& value, std::string_view key, int least, int greatest, std::optional<int>& out) {
  int number = 0;
  const bool read = integer(value, key, least, greatest, number);
  if (describing_ != nullptr) describing_->standard.clear();
  if (read) out = number;
  return read;
}

bool Reader::number(const Node& value, std::string_view key, double least, double greatest, double& out) {
  if (describing_ != nullptr) {
    return described(fmt::format(R"("type":"number","minimum":{},"maximum":{})", least, greatest),
                     fmt::format("{}", out));
  }
  double number = value.floating;
  if (value.kind == Node::Kind::integer) {
    number = static_cast<double>(value.integer);
  } else if (value.kind != Node::Kind::floating) {
    wrong_type(value, key, fmt::format("a number from {} to {}", least, greatest));
    return false;
  }
  if (!(number >= least && number <= greatest)) {  // also NaN
    problem(value.at, fmt::format("{} is {}, not a number from {} to {}", key, number, least, greatest), {});
    return false;
  }
  out = static_cast<double>(in_thousandths(number)) / 1000;  // as documents keep it
  return true;
}

bool Reader::span(const Node& value, std::string_view key, SpanRange range, SpanNs& out) {
  if (describing_ != nullptr) {
    constexpr std::string_view pattern =
        R"("type":["number","string"],"minimum":0,"pattern":"^([0-9.]+(d|h|m|s|ms|us))+$")";
    return described(std::string(pattern), quoted(duration_text(out)));
  }
  constexpr std::string_view remedy = "write seconds as a number, or text like \"500ms\", \"30s\", \"1h30m\"";
  std::optional<SpanNs> span;
  if (value.kind == Node::Kind::string) {
    span = parse_duration(value.text);
    // "30" is most likely thirty seconds, but it may be anything: say so.
  } else if (value.kind == Node::Kind::integer || value.kind == Node::Kind::floating) {
    const double count = value.kind == Node::Kind::integer ? static_cast<double>(value.integer) : value.floating;
    const double ns = count * static_cast<double>(ns_per_s);
    if (ns >= 0 && ns <= static_cast<double>(max_span)) span = nearest_integer(ns);
  }
  if (!span) {
    problem(value.at, fmt::format("{} is {}, not a duration", key, value.described()), std::string(remedy));
    return false;
  }
  const bool allowed = (*span >= range.least && *span <= range.greatest) || (range.zero && *span == 0);
  if (!allowed) {
    problem(value.at, fmt::format("{} is {}, not {}", key, value.described(), range_text(range)), {});
    return false;
  }
  out = *span;
  return true;
}

bool Reader::size(const Node& value, std::string_view key, SizeRange range, std::uint64_t& out) {
  if (describing_ != nullptr) {
    constexpr std::string_view pattern =
        R"("type":["integer","string"],"minimum":0,"pattern":"^[0-9.]+([KMGTkmgt]([Ii]?[Bb])?|[Bb])?$")";
    return described(std::string(pattern), quoted(size_text(out)));
  }
  std::optional<std::uint64_t> bytes;
  if (value.kind == Node::Kind::string) bytes = parse_size(value.text);
  if (value.kind == Node::Kind::integer && value.integer >= 0) bytes = static_cast<std::uint64_t>(value.integer);
  if (!bytes) {
    problem(value.at, fmt::format("{} is {}, not a size", key, value.described()),
            "write bytes as a number, or text like \"64KiB\", \"10MiB\", \"1G\"");
    return false;
  }
  const bool allowed = (*bytes >= range.least && *bytes <= range.greatest) || (range.zero && *bytes == 0);
  if (!allowed) {
    problem(value.at, fmt::format("{} is {}, not {}", key, value.described(), range_text(range)), {});
    return false;
  }
  out = *bytes;
  return true;
}

bool Reader::signal(const Node& value, std::string_view key, int& out) {
  if (describing_ != nullptr) {
    return described(fmt::format(R"("type":["string","integer"],"minimum":1,"maximum":{})", max_signal),
                     quoted(signal_text(out)));
  }
  std::optional<int> number;
  if (value.kind == Node::Kind::string) number = parse_signal(value.text);
  if (value.kind == Node::Kind::integer && value.integer >= 1 && value.integer <= max_signal) {
    number = static_cast<int>(value.integer);
  }
  if (!number) {
    const std::string near = value.kind == Node::Kind::string ? nearest_signal(value.text) : "";
    problem(value.at, fmt::format("{} is {}, not a signal", key, value.described()),
            near.empty() ? "write a name like \"TERM\" or \"INT\", or its number" : "did you mean \"" + near + "\"?");
    return false;
  }
  // STOP and CONT do not end or wake anything; 32 and 33 belong to the C library's threads.
  const bool useless = *number == 17 || *number == 18 || *number == 19 || *number == 32 || *number == 33;
  if (useless) {
    problem(value.at, fmt::format("{} is {}, a signal that no program can act upon", key, value.described()),
            "choose one that the program handles, like \"TERM\", \"INT\" or \"HUP\"");
    return false;
  }
  out = *number;
  return true;
}

bool Reader::word(const Node& value, std::string_view key, std::span<const std::string_view> words,
                  std::span<const Synonym> synonyms, std::string& out) {
  if (describing_ != nullptr) {
    return described(fmt::format(R"("enum":["{}"])", fmt::join(words, R"(",")")), out.empty() ? "" : quoted(out));
  }
  const bool simple = value.kind == Node::Kind::string || value.kind == Node::Kind::boolean;
  const std::string found = value.kind == Node::Kind::string ? value.text : value.described();
  if (simple && value.kind == Node::Kind::string) {
    for (const std::string_view word : words) {
      if (word == found) {
        out = found;
        return true;
      }
    }
  }
  std::string meant;
  if (simple) {
    for (const Synonym& synonym : synonyms) {
      if (synonym.theirs == found) meant = synonym.ours;
    }
    if (meant.empty()) meant = nearest(found, words);
  }
  problem(value.at, fmt::format("{} is {}, not {}", key, value.described(), alternatives(words)),
          meant.empty() ? "" : fmt::format("did you mean \"{}\"?", meant));
  return false;
}

std::string Reader::full_key(std::string_view prefix, std::string_view name) {
  std::string key(prefix);
  if (!key.empty()) key += '.';
  key += name;
  return key;
}

void Reader::unknown_key(const Entry& entry, std::string_view prefix, std::span<const std::string_view> valid,
                         Scope scope) {
  std::string near;
  for (const std::string_view name : valid) {
    if (plain_key(name) == plain_key(entry.key)) near = name;
  }
  std::string remedy;
  if (near.empty()) remedy = foreign_advice(scope, entry.key);
  if (remedy.empty()) {
    if (near.empty()) near = nearest(entry.key, valid);
    if (!near.empty()) {
      remedy = fmt::format("did you mean \"{}\"?", near);
    } else if (valid.size() <= 16) {
      remedy = fmt::format("valid: \"{}\"", fmt::join(valid, "\", \""));
    } else {
      remedy = "docs/reference/configuration.md has all keys";
    }
  }
  const std::string where = prefix.empty() ? "" : fmt::format(" in {}", prefix);
  problem(entry.at, fmt::format("unknown key {}{}", quote(entry.key), where), std::move(remedy));
}

std::string alternatives(std::span<const std::string_view> words) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += i + 1 == words.size() ? " or " : ", ";
    out += fmt::format("\"{}\"", words[i]);
  }
  return out;
}

}  // namespace hearth::config
