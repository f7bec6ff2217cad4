// Reads values out of a Node tree and collects what is wrong. Each `read` of a value either stores it and answers
// true, or notes a problem and answers false, leaving the target as it was; nobody stops at a problem.
//
// The name of a key in messages is its path inside the service: "backoff.max".
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/diagnostic.h"
#include "config/environment.h"
#include "config/foreign.h"
#include "config/node.h"
#include "config/words.h"

namespace hearth::config {

class EnvFiles;
class Reader;

// The texts in which ${NAME} was replaced, by their nodes.
using Expansions = std::unordered_map<const Node*, std::string>;

// What a key takes, as its reader says it: for the schema and the defaults that `hearth config` shows.
struct Described {
  std::string name;
  std::string_view about;
  std::string json;             // members of a JSON schema: "\"type\":\"boolean\""; "" = not said
  std::string standard;         // the default, in a form that is TOML and JSON; "" = none
  std::vector<Described> keys;  // of a table
};

// A key of a table: its name, how it gets into the struct, and a sentence for those who write the file with an editor
// that knows our schema. `key` is the whole name for messages.
template <typename T>
struct KeyRule {
  std::string_view name;
  void (*read)(Reader& reader, const Node& value, std::string_view key, T& out);
  std::string_view about = {};
  // Members of a JSON schema, where `read` looks at the value itself and so cannot be asked.
  std::string_view shape = {};
  std::string_view standard = {};  // the default, in the same case
};

struct SpanRange {
  SpanNs least = 0;
  SpanNs greatest = 0;
  bool zero = false;  // 0 is allowed as well ("none", "off")
};

struct SizeRange {  // bytes
  std::uint64_t least = 0;
  std::uint64_t greatest = 0;
  bool zero = false;  // 0 is allowed as well ("no limit")
};

// A word of another tool, or of common sense, for one of ours.
struct Synonym {
  std::string_view theirs;
  std::string_view ours;
};

class Reader {
 public:
  // Both must outlive the reader. `directory`: of the project file, absolute.
  Reader(const Environment& env, std::string_view directory) : env_(env), directory_(directory) {}

  const Environment& env() const { return env_; }
  std::string_view directory() const { return directory_; }

  // Stands before every message until it is changed: "service web". Not before one whose place belongs to a part that
  // several services share (templates.h): there stands the part's name, and the same is told once.
  void set_subject(std::string subject) { subject_ = std::move(subject); }
  void set_parts(std::span<const std::string> parts) { parts_ = parts; }  // outlive the reader

  // For `env_files`; null until it is set. Outlives the reader.
  EnvFiles* env_files() const { return env_files_; }
  void set_env_files(EnvFiles* env_files) { env_files_ = env_files; }

  void problem(Position at, std::string message, std::string remedy);
  // "KEY is VALUE, not EXPECTED"
  void wrong_type(const Node& value, std::string_view key, std::string_view expected, std::string remedy = {});
  // Enough was found: whoever walks over many things may stop.
  bool full() const { return problems_.size() >= max_kept; }
  std::vector<Diagnostic> take_problems() { return std::move(problems_); }

  void record_expansions(Expansions* expansions) { expansions_ = expansions; }

  // Instead of reading, asks the rules what they would take: each is called with an empty table and a target that has
  // its default, and the functions below note what they are asked for and answer false. Problems are forgotten.
  template <typename T>
  std::vector<Described> describe(std::span<const KeyRule<T>> rules, T& defaults) {
    Described root;
    describing_ = &root;
    describe_rules(rules, defaults);
    describing_ = nullptr;
    return std::move(root.keys);
  }

  bool text(const Node& value, std::string_view key, std::string& out);
  // A text in which ${NAME} is replaced.
  bool expanded(const Node& value, std::string_view key, std::string& out);
  // An array of texts in which ${NAME} is replaced.
  bool expanded_list(const Node& value, std::string_view key, std::vector<std::string>& out);
  // `out` with ~ replaced.
  bool at_home(const Node& value, std::string_view key, std::string& out);
  bool flag(const Node& value, std::string_view key, bool& out);
  bool number(const Node& value, std::string_view key, double least, double greatest, double& out);
  bool span(const Node& value, std::string_view key, SpanRange range, SpanNs& out);
  bool size(const Node& value, std::string_view key, SizeRange range, std::uint64_t& out);
  bool signal(const Node& value, std::string_view key, int& out);
  // One of `words`; anything else is met with the word that was meant, when that can be guessed.
  bool word(const Node& value, std::string_view key, std::span<const std::string_view> words,
            std::span<const Synonym> synonyms, std::string& out);

  template <typename T>
  bool integer(const Node& value, std::string_view key, std::type_identity_t<T> least, std::type_identity_t<T> greatest,
               T& out) {
    auto number = static_cast<std::int64_t>(out);
    if (!integer64(value, key, std::int64_t{least}, std::int64_t{greatest}, number)) return false;
    out = static_cast<T>(number);
    return true;
  }

  // For what has no default of its own.
  bool integer(const Node& value, std::string_view key, int least, int greatest, std::optional<int>& out);

  template <typename Enum, std::size_t n>
  bool choice(const Node& value, std::string_view key, const std::array<Word<Enum>, n>& words,
              std::span<const Synonym> synonyms, Enum& out) {
    std::array<std::string_view, n> texts;
    for (std::size_t i = 0; i < n; ++i) texts[i] = words[i].text;
    std::string text(word_of(words, out));
    if (!word(value, key, texts, synonyms, text)) return false;
    out = *value_of(words, text);
    return true;
  }

  // Reads every entry of a table by its rule. `prefix`: of the keys in messages ("backoff"), "" on top.
  // False when it is no table.
  template <typename T>
  bool table(const Node& value, std::string_view prefix, std::span<const KeyRule<T>> rules, Scope scope, T& out) {
    if (describing_ != nullptr) {
      describe_rules(rules, out);
      return false;
    }
    if (value.kind != Node::Kind::table) {
      wrong_type(value, prefix, "a table");
      return false;
    }
    for (const Entry& entry : value.entries) {
      const KeyRule<T>* rule = nullptr;
      for (const KeyRule<T>& candidate : rules) {
        if (candidate.name == entry.key) rule = &candidate;
      }
      if (rule != nullptr) {
        rule->read(*this, entry.value, full_key(prefix, entry.key), out);
        continue;
      }
      std::vector<std::string_view> names;
      for (const KeyRule<T>& candidate : rules) names.push_back(candidate.name);
      unknown_key(entry, prefix, names, scope);
    }
    return true;
  }

  void unknown_key(const Entry& entry, std::string_view prefix, std::span<const std::string_view> valid, Scope scope);
  static std::string full_key(std::string_view prefix, std::string_view name);

 private:
  // More than are shown: they are sorted by place before the first twenty are taken.
  static constexpr std::size_t max_kept = 200;

  template <typename T>
  void describe_rules(std::span<const KeyRule<T>> rules, T& defaults) {
    const Node empty;
    Described& here = *describing_;
    for (const KeyRule<T>& rule : rules) {
      here.keys.push_back({std::string(rule.name), rule.about, {}, {}, {}});
      describing_ = &here.keys.back();
      rule.read(*this, empty, rule.name, defaults);
      if (!rule.shape.empty()) describing_->json = rule.shape;
      if (!rule.standard.empty()) describing_->standard = rule.standard;
    }
    describing_ = &here;
  }
  // Notes what is asked for; always false.
  bool described(std::string json, std::string standard = {});

  bool integer64(const Node& value, std::string_view key, std::int64_t least, std::int64_t greatest, std::int64_t& out);

  const Environment& env_;
  std::string directory_;
  std::string subject_;
  std::span<const std::string> parts_;
  EnvFiles* env_files_ = nullptr;
  Expansions* expansions_ = nullptr;
  Described* describing_ = nullptr;
  std::vector<Diagnostic> problems_;
};

// "\"a\", \"b\" or \"c\""
std::string alternatives(std::span<const std::string_view> words);

}  // namespace hearth::config
