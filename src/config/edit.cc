#include "config/edit.h"

#include <algorithm>
#include <optional>
#include <vector>

#include <fmt/core.h>

#include "config/layers.h"
#include "config/node_text.h"
#include "config/text.h"

namespace hearth::config {
namespace {

using Path = std::vector<std::string>;

bool begins_with(const Path& path, const Path& start) {
  return start.size() <= path.size() && std::equal(start.begin(), start.end(), path.begin());
}

std::string dotted(const Path& path, std::size_t from) {
  std::string out;
  for (std::size_t i = from; i < path.size(); ++i) out += (i > from ? "." : "") + key_text(path[i]);
  return out;
}

// NAME = VALUE somewhere in the text.
struct Pair {
  Path path;  // from the top
  std::size_t start = 0, value = 0, end = 0;
};

struct Section {
  Path path;
  bool of_array = false;
  std::size_t body = 0;     // behind the line of the header
  std::size_t last = 0;     // end of its last pair; body when it has none
  std::string indent = {};  // of its last pair
};

// Walks over text that toml++ has accepted. It knows where things begin and end, and nothing of what they mean.
class Walker {
 public:
  explicit Walker(std::string_view text, std::size_t at = 0) : text_(text), at_(at) {}

  std::size_t at() const { return at_; }
  char now() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool more() const { return at_ < text_.size(); }
  void go(std::size_t at) { at_ = at; }
  void step() { ++at_; }

  // Blanks, line ends and comments.
  void to_next() {
    while (more()) {
      if (now() == '#') {
        to_line_end();
      } else if (now() == ' ' || now() == '\t' || now() == '\r' || now() == '\n' ||
                 static_cast<unsigned char>(now()) == 0xEF) {
        at_ += static_cast<unsigned char>(now()) == 0xEF ? 3 : 1;  // the mark of UTF-8 at the beginning
      } else {
        return;
      }
    }
  }
  void blanks() {
    while (now() == ' ' || now() == '\t') step();
  }
  void to_line_end() {
    while (more() && now() != '\n') step();
  }

  // a . "b" . c
  Path key() {
    Path path;
    while (more()) {
      blanks();
      const std::size_t start = at_;
      if (now() == '"' || now() == '\'') {
        skip_string();
        path.push_back(unquoted(text_.substr(start, at_ - start)));
      } else {
        while (more() && std::string_view(" \t.=]\n\r").find(now()) == std::string_view::npos) step();
        path.emplace_back(text_.substr(start, at_ - start));
      }
      blanks();
      if (now() != '.') return path;
      step();
    }
    return path;
  }

  void skip_value() {
    if (now() == '"' || now() == '\'') return skip_string();
    if (now() == '[' || now() == '{') return skip_brackets();
    while (more() && std::string_view(",]}#\n\r").find(now()) == std::string_view::npos) step();
    while (at_ > 0 && (text_[at_ - 1] == ' ' || text_[at_ - 1] == '\t')) --at_;
  }

 private:
  void skip_string() {
    const char mark = now();
    const bool three = text_.substr(at_).starts_with(std::string(3, mark));
    const std::string closing(three ? 3 : 1, mark);
    at_ += closing.size();
    while (more() && !text_.substr(at_).starts_with(closing)) at_ += mark == '"' && now() == '\\' ? 2 : 1;
    at_ = std::min(at_ + closing.size(), text_.size());
    for (int i = 0; three && i < 2 && now() == mark; ++i) step();
  }

  void skip_brackets() {
    int depth = 0;
    do {
      if (now() == '"' || now() == '\'') {
        skip_string();
        continue;
      }
      if (now() == '#') {
        to_line_end();
        continue;
      }
      if (now() == '[' || now() == '{') ++depth;
      if (now() == ']' || now() == '}') --depth;
      step();
    } while (more() && depth > 0);
  }

  static std::string unquoted(std::string_view text) {
    const Node node = value_of_text(text);
    return node.text;
  }

  std::string_view text_;
  std::size_t at_;
};

// The pairs of an inline table that begins at `at`; their paths go on from `above`.
std::vector<Pair> pairs_inside(std::string_view text, std::size_t at, const Path& above) {
  std::vector<Pair> pairs;
  Walker walker(text, at + 1);
  while (true) {
    walker.to_next();
    while (walker.now() == ',') {
      walker.step();
      walker.to_next();
    }
    if (!walker.more() || walker.now() == '}') return pairs;
    Pair pair{.path = above, .start = walker.at()};
    for (std::string& part : walker.key()) pair.path.push_back(std::move(part));
    walker.step();  // =
    walker.blanks();
    pair.value = walker.at();
    walker.skip_value();
    pair.end = walker.at();
    pairs.push_back(std::move(pair));
  }
}

class Editor {
 public:
  Editor(std::string_view text, Path path, std::string value = {})
      : text_(text), path_(std::move(path)), value_(std::move(value)) {
    newline_ = text.find("\r\n") != text.npos ? "\r\n" : "\n";
    survey();
  }

  Result<std::string> edited() {
    for (const Pair& pair : pairs_) {
      if (begins_with(path_, pair.path)) return into(pair);
    }
    if (goes_deeper(pairs_) || goes_deeper(sections_)) return is_a_table("set");
    const Section* best = nullptr;
    for (const Section& section : sections_) {
      if (section.of_array || section.path.size() >= path_.size() || !begins_with(path_, section.path)) continue;
      if (best == nullptr || section.path.size() > best->path.size()) best = &section;
    }
    // The part before all sections is one, too: of plain keys.
    if (best != nullptr && (!best->path.empty() || path_.size() == 1)) return append(*best);
    return new_section();
  }

  Result<std::string> without() {
    for (const Pair& pair : pairs_) {
      if (pair.path.size() == path_.size() && pair.path == path_) return without_line(pair);
      if (begins_with(path_, pair.path)) return out_of(pair);
    }
    if (goes_deeper(pairs_) || goes_deeper(sections_)) return is_a_table("unset");
    return is_not_set();
  }

 private:
  // Written in several lines, or as sections: not one value to be replaced.
  bool goes_deeper(const auto& all) const {
    return std::ranges::any_of(all, [&](const auto& other) { return begins_with(other.path, path_); });
  }
  Result<std::string> is_a_table(const char* doing) const {
    return failure(Remedy::fix_input, doing, dotted(path_, 0), "it is written as a table with keys of its own",
                   fmt::format("{} the keys in it", doing));
  }
  Result<std::string> is_not_set() const {
    return failure(Remedy::not_found, "unset", dotted(path_, 0), "the file does not set it");
  }

  // Pairs of a section have lines of their own.
  std::string without_line(const Pair& pair) const {
    std::size_t start = pair.start, end = pair.end;
    while (start > 0 && (text_[start - 1] == ' ' || text_[start - 1] == '\t')) --start;
    while (end < text_.size() && text_[end] != '\n') ++end;
    return with(start, std::min(end + 1, text_.size()), "");
  }

  // `pair` has the wanted one inside.
  Result<std::string> out_of(const Pair& pair) const {
    if (text_[pair.value] == '[')
      return failure(Remedy::fix_input, "unset", dotted(path_, 0), dotted(pair.path, 0) + " is an array",
                     "set it as a whole");
    if (text_[pair.value] != '{') return is_not_set();
    const std::vector<Pair> inside = pairs_inside(text_, pair.value, pair.path);
    for (std::size_t i = 0; i < inside.size(); ++i) {
      if (inside[i].path.size() == path_.size() && inside[i].path == path_) {
        // With the comma behind it, or of the last one the comma before it.
        if (i + 1 < inside.size()) return with(inside[i].start, inside[i + 1].start, "");
        return i > 0 ? with(inside[i - 1].end, inside[i].end, "") : with(pair.value, pair.end, "{}");
      }
      if (begins_with(path_, inside[i].path)) return out_of(inside[i]);
    }
    return goes_deeper(inside) ? is_a_table("unset") : is_not_set();
  }

  void survey() {
    sections_.push_back({.path = {}});
    Walker walker(text_);
    while (true) {
      walker.to_next();
      if (!walker.more()) return;
      if (walker.now() == '[') {
        header(walker);
        continue;
      }
      Pair pair{.path = sections_.back().path, .start = walker.at()};
      for (std::string& part : walker.key()) pair.path.push_back(std::move(part));
      walker.step();  // =
      walker.blanks();
      pair.value = walker.at();
      walker.skip_value();
      pair.end = walker.at();
      Section& section = sections_.back();
      section.last = pair.end;
      section.indent = indent_at(pair.start);
      if (!section.of_array) pairs_.push_back(std::move(pair));
    }
  }

  void header(Walker& walker) {
    Section section;
    section.indent = indent_at(walker.at());
    walker.step();
    section.of_array = walker.now() == '[';
    if (section.of_array) walker.step();
    section.path = walker.key();
    walker.to_line_end();
    section.body = section.last = walker.at();
    sections_.push_back(std::move(section));
  }

  std::string indent_at(std::size_t at) const {
    std::size_t start = at;
    while (start > 0 && (text_[start - 1] == ' ' || text_[start - 1] == '\t')) --start;
    return std::string(text_.substr(start, at - start));
  }

  std::string with(std::size_t from, std::size_t to, std::string_view between) const {
    return std::string(text_.substr(0, from)) + std::string(between) + std::string(text_.substr(to));
  }

  // The value of `pair` is the one that is wanted, or has it inside.
  Result<std::string> into(const Pair& pair) {
    if (pair.path.size() == path_.size()) return with(pair.value, pair.end, value_);
    if (text_[pair.value] == '[' && pair.path.back() == "depends_on") return into_names(pair);
    if (text_[pair.value] != '{') {
      return failure(Remedy::fix_input, "set", dotted(path_, 0),
                     fmt::format("{} is no table", dotted(Path(pair.path), 0)), "set it as a whole");
    }
    const std::vector<Pair> inside = pairs_inside(text_, pair.value, pair.path);
    for (const Pair& inner : inside) {
      if (begins_with(path_, inner.path)) return into(inner);
    }
    if (goes_deeper(inside)) return is_a_table("set");
    const std::string added = fmt::format("{} = {}", dotted(path_, pair.path.size()), value_);
    if (inside.empty()) return with(pair.value, pair.end, "{ " + added + " }");
    return with(inside.back().end, inside.back().end, ", " + added);
  }

  // depends_on = ["db"] means depends_on = { db = {} }, and that can say more.
  Result<std::string> into_names(const Pair& pair) const {
    const std::string_view written = text_.substr(pair.value, pair.end - pair.value);
    const Tree tree = parse_tree("v = " + std::string(written));
    const std::vector<Node> names = tree.ok ? tree.root.entries[0].value.items : std::vector<Node>();
    std::string table = "{ ";
    for (const Node& name : names)
      if (name.text != path_[pair.path.size()]) table += fmt::format("{} = {{}}, ", key_text(name.text));
    table += fmt::format("{} = {} }}", dotted(path_, pair.path.size()), value_);
    if (written.find('#') != written.npos)
      return failure(Remedy::fix_input, "set", dotted(path_, 0),
                     fmt::format("{} is an array with comments in it, which would be lost", dotted(pair.path, 0)),
                     fmt::format("write the table that means the same: {} = {}", pair.path.back(), table));
    return with(pair.value, pair.end, table);
  }

  Result<std::string> append(const Section& section) {
    const std::string line = fmt::format("{}{} = {}", section.indent, dotted(path_, section.path.size()), value_);
    if (section.path.empty() && section.last == 0) {  // before everything, comments too
      return with(0, 0, line + newline_ + (text_.empty() ? "" : newline_));
    }
    // Behind the comment of the last line.
    std::size_t at = section.last;
    while (at < text_.size() && text_[at] != '\n') ++at;
    const bool ends = at < text_.size();
    return with(ends ? at + 1 : at, ends ? at + 1 : at, (ends ? "" : newline_) + line + newline_);
  }

  Result<std::string> new_section() {
    const bool named = path_[0] == "service" || path_[0] == "template";
    const std::size_t head = named ? 2 : 1;
    if (path_.size() <= head) {
      return failure(Remedy::fix_input, "set", dotted(path_, 0), "there is no such table, and it is no key",
                     named ? fmt::format("set a key of it: {}.{}.command", path_[0], "NAME") : "");
    }
    std::string out(text_);
    if (!out.empty() && out.back() != '\n') out += newline_;
    if (!out.empty()) out += newline_;
    out += fmt::format("[{}]{}", dotted(Path(path_.begin(), path_.begin() + static_cast<std::ptrdiff_t>(head)), 0),
                       newline_);
    out += fmt::format("{} = {}{}", dotted(path_, head), value_, newline_);
    return out;
  }

  std::string_view text_;
  Path path_;
  std::string value_;
  std::string newline_;
  std::vector<Pair> pairs_;
  std::vector<Section> sections_;
};

Result<Path> wanted_path(std::string_view key, const char* doing) {
  Path path = path_of_key(key);
  if (path.empty())
    return failure(Remedy::fix_input, doing, std::string(key), "it is no key", "write for example service.web.nice");
  return path;
}

}  // namespace

Result<std::string> unset_key(std::string_view text, std::string_view key) {
  Result<Path> path = wanted_path(key, "unset");
  if (!path) return failure(path.error());
  return Editor(text, std::move(*path)).without();
}

Result<std::string> set_key(std::string_view text, std::string_view key, std::string_view value) {
  Result<Path> path = wanted_path(key, "set");
  if (!path) return failure(path.error());
  // Integers in the author's own way: 0x1F, 1_000.
  const Node node = value_of_text(value);
  const bool as_text = node.kind == Node::Kind::string && node.text == value;
  std::string written = as_text ? quoted(value) : toml_text(node, nullptr);
  if (node.kind == Node::Kind::integer) {
    written = value.substr(0, value.find_first_of(" \t#", value.find_first_not_of(" \t")));
    written.erase(0, written.find_first_not_of(" \t"));
  }
  return Editor(text, std::move(*path), std::move(written)).edited();
}

}  // namespace hearth::config
