// The repository as the tidy rules see it: files with their text, once as written and twice with
// parts blanked, so that a rule about code is not fooled by a comment that mentions it.
//
// Blanking keeps every newline and the length of each line: an offset or line number means the
// same place in all three texts.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::tidy {

struct SourceFile {
  std::string path;           // relative to the root, with '/'
  std::string text;           // as written
  std::string without_notes;  // comments blanked, strings kept: for #include lines
  std::string code;           // comments and the contents of string and character literals blanked

  [[nodiscard]] std::string extension() const;  // with the dot; empty when there is none
  [[nodiscard]] std::string name() const;       // the last part of the path
  [[nodiscard]] bool is_cpp() const;            // .cc, .h or .c
  [[nodiscard]] int line_count() const;
};

// Number of the line (from 1) that holds the offset.
[[nodiscard]] int line_of(std::string_view text, std::size_t offset);

struct SourceTree {
  std::filesystem::path root;
  std::vector<SourceFile> files;  // sorted by path

  // Everything under the named top directories. Hidden entries, build/ and node_modules/ are
  // skipped; files above 2 MiB are data and left out.
  [[nodiscard]] static SourceTree load(const std::filesystem::path& root);

  [[nodiscard]] const SourceFile* find(std::string_view path) const;
};

// The two blanked texts of a C++ source. Understands //, /* */, "", '', raw strings and digit
// separators; does not expand macros or join continued lines.
[[nodiscard]] std::string blank_comments(std::string_view text);
[[nodiscard]] std::string blank_comments_and_literals(std::string_view text);

}  // namespace hearth::tidy
