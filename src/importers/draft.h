// Services on their way to a hearth.toml: keys in their order with values that are TOML already.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "importers/importers.h"

namespace hearth::importers {

// Text of somebody else's, before anything of ours is added to it: what are signs in a text that goes through quoted() is
// shown as '?' there.
std::string foreign(std::string text);

// ${NAME} for hearth to replace at `hearth up`, in a text that goes through quoted().
std::string variable(std::string_view name);
// {index+more}, for the number of the replica and so many more, in a text that goes through quoted().
std::string index_number(std::uint64_t more);
// The text with that in it, as hearth shall see it: {index} that stood there by itself is meant literally.
std::string with_braces(std::string_view text);
// A TOML basic string. What stands in the text as ${NAME} or {index} is written so that hearth leaves it as it is.
std::string quoted(std::string_view text);
std::string quoted_list(const std::vector<std::string>& texts);
// Other characters than a name may have become '-'; at most 48.
std::string name_of(std::string_view text);
// A whole number as TOML has it ("007" is 7). Anything else becomes a text, which hearth refuses in its own words: what
// others wrote must not become TOML.
std::string integer(std::string_view text);
std::string seconds_text(std::string_view number);  // "10" -> "10s", quoted

class Service {
 public:
  explicit Service(std::string called) : name(std::move(called)) {}

  // In the place of an earlier one.
  void set(std::string_view key, std::string value);
  // Of an inline table: log, backoff, env, limits, depends_on.
  void set_in(std::string_view table, std::string_view key, std::string value);
  bool has(std::string_view key) const;
  void remove(std::string_view key);  // a table, too
  // What is set from now on was made of that line. The first one is that of the service as a whole.
  void made_of(const std::string& path, std::size_t line);
  // A comment beside it.
  void note(std::string text) { notes_.push_back(std::move(text)); }

  std::string name;

 private:
  friend class Draft;
  struct Value {
    std::string key, value;
    Origin from;
  };

  void put(std::vector<Value>& values, std::string_view key, std::string value) const;
  Origin origin_of(const std::vector<Value>& members) const;

  std::vector<Value> keys_;
  std::vector<std::pair<std::string, std::vector<Value>>> tables_;
  std::vector<std::string> notes_;
  std::optional<Origin> whole_;
  Origin now_;
};

class Draft {
 public:
  // A file is read: the order of findings is that of these.
  void reads(const std::string& path) { files_.push_back(path); }
  // A name that is taken already gets a number. What is found wanting from now on is about it.
  Service& add(std::string_view wanted);
  // ... or about that one, or about none.
  void about(const Service* service) { about_ = service; }
  Service* find(std::string_view name);
  std::deque<Service>& services() { return services_; }

  // Findings of now are not taken down.
  void mute(bool muted) { muted_ = muted; }
  void find_wanting(const Source& source, std::size_t line, std::string what, std::string remedy);
  void find_wanting(Finding finding);
  // `from`: "supervisord.conf", for the first line.
  Imported finish(const std::string& from);

 private:
  std::deque<Service> services_;    // references to them stay
  const Service* about_ = nullptr;  // of services_
  std::vector<Finding> findings_;
  std::vector<std::string> files_;
  bool muted_ = false;
};

}  // namespace hearth::importers
