#include "tidy/source_tree.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>

namespace hearth::tidy {
namespace {

constexpr std::string_view kTopDirectories[] = {"src", "include", "tests", "bench", "docs", "cmake", "examples"};
constexpr std::uintmax_t kMaxBytes = 2u << 20;

std::string read_all(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// One pass over a source; copies it with the unwanted parts turned into spaces.
class Blanker {
 public:
  Blanker(std::string_view in, bool blank_literals) : in_(in), out_(in), blank_literals_(blank_literals) {}

  std::string run() {
    while (at_ < in_.size()) {
      if (starts_with("//")) {
        skip_to("\n", 0, true);
      } else if (starts_with("/*")) {
        skip_to("*/", 2, true);
      } else if (is_raw_string()) {
        raw_string();
      } else if (in_[at_] == '"' || (in_[at_] == '\'' && !is_digit_separator())) {
        quoted(in_[at_]);
      } else {
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  bool starts_with(std::string_view what) const { return in_.substr(at_, what.size()) == what; }

  bool is_digit_separator() const {
    return at_ > 0 && at_ + 1 < in_.size() && std::isxdigit(static_cast<unsigned char>(in_[at_ - 1])) != 0 &&
           std::isxdigit(static_cast<unsigned char>(in_[at_ + 1])) != 0;
  }

  // R" begins a raw string unless the R ends a longer name; LR" and u8R" are not used here.
  bool is_raw_string() const { return starts_with("R\"") && (at_ == 0 || !is_word(in_[at_ - 1])); }

  void blank(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
      if (out_[i] != '\n') out_[i] = ' ';
    }
  }

  // Moves behind the next `end` (its first character excluded when `taken` is 0).
  void skip_to(std::string_view end, std::size_t taken, bool blank_it) {
    const std::size_t from = at_;
    const std::size_t found = in_.find(end, at_ + taken);
    at_ = found == std::string_view::npos ? in_.size() : found + taken;
    if (blank_it) blank(from, at_);
  }

  void raw_string() {
    const std::size_t open = in_.find('(', at_);
    if (open == std::string_view::npos) {
      ++at_;
      return;
    }
    const std::string end = ")" + std::string(in_.substr(at_ + 2, open - at_ - 2)) + "\"";
    const std::size_t close = in_.find(end, open);
    const std::size_t stop = close == std::string_view::npos ? in_.size() : close;
    if (blank_literals_) blank(open + 1, stop);
    at_ = std::min(in_.size(), stop + end.size());
  }

  void quoted(char quote) {
    std::size_t i = at_ + 1;
    while (i < in_.size() && in_[i] != quote && in_[i] != '\n') i += in_[i] == '\\' ? 2 : 1;
    i = std::min(i, in_.size());
    if (blank_literals_) blank(at_ + 1, i);
    at_ = std::min(in_.size(), i + 1);
  }

  std::string_view in_;
  std::string out_;
  bool blank_literals_;
  std::size_t at_ = 0;
};

bool is_skipped_directory(const std::string& name) {
  return name.starts_with('.') || name == "build" || name == "node_modules" || name == "__pycache__";
}

}  // namespace

std::string SourceFile::extension() const {
  return std::filesystem::path(path).extension();
}
std::string SourceFile::name() const {
  return std::filesystem::path(path).filename();
}
bool SourceFile::is_cpp() const {
  const std::string e = extension();
  return e == ".cc" || e == ".h" || e == ".c";
}
int SourceFile::line_count() const {
  return static_cast<int>(std::count(text.begin(), text.end(), '\n'));
}

int line_of(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  return 1 + static_cast<int>(std::count(before.begin(), before.end(), '\n'));
}

SourceTree SourceTree::load(const std::filesystem::path& root) {
  namespace fs = std::filesystem;
  SourceTree tree{root, {}};
  for (std::string_view top : kTopDirectories) {
    if (!fs::is_directory(root / top)) continue;
    for (auto it = fs::recursive_directory_iterator(root / top); it != fs::recursive_directory_iterator(); ++it) {
      const std::string name = it->path().filename();
      if (it->is_directory()) {
        if (is_skipped_directory(name)) it.disable_recursion_pending();
        continue;
      }
      if (!it->is_regular_file() || name.starts_with('.') || it->file_size() > kMaxBytes) continue;
      SourceFile file{.path = fs::relative(it->path(), root).generic_string(),
                      .text = read_all(it->path()),
                      .without_notes = {},
                      .code = {}};
      if (file.is_cpp()) {
        file.without_notes = blank_comments(file.text);
        file.code = blank_comments_and_literals(file.text);
      }
      tree.files.push_back(std::move(file));
    }
  }
  std::ranges::sort(tree.files, {}, &SourceFile::path);
  return tree;
}

const SourceFile* SourceTree::find(std::string_view path) const {
  for (const SourceFile& file : files) {
    if (file.path == path) return &file;
  }
  return nullptr;
}

std::string blank_comments(std::string_view text) {
  return Blanker(text, false).run();
}
std::string blank_comments_and_literals(std::string_view text) {
  return Blanker(text, true).run();
}

}  // namespace hearth::tidy
