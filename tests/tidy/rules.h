// The rules of the house as functions: a tree in, findings out. An empty list means the rule holds.
//
// A rule finds by reading text, not by parsing C++, so it errs on the side of what people write
// here. Where it is wrong, make the rule better; there are no per-line exceptions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tidy/source_tree.h"

namespace hearth::tidy {

struct Finding {
  std::string path;
  int line = 0;  // 0: about the whole file
  std::string what;

  [[nodiscard]] std::string to_string() const;
};
using Findings = std::vector<Finding>;

// One finding per line; empty when there are none. For EXPECT_EQ with "".
[[nodiscard]] std::string to_string(const Findings& findings);

// Every #include "room/header.h" under src/ and every DEPS in a room's CMakeLists.txt is an edge
// of the design (docs: the table in rules.cc).
[[nodiscard]] Findings check_layering(const SourceTree& tree);

// A pure room includes no header of the kernel or of threads and names no clock; base, wire, model
// and keeper do without fmt.
[[nodiscard]] Findings check_purity(const SourceTree& tree);

// .cc and .h under src/ have at most 800 lines. `exceptions` is the text of a list of
// "path lines": such a file may have that many. An entry that is not needed any more is a finding,
// so the list only shrinks.
struct SizeReport {
  Findings failures;
  Findings warnings;  // more than 500 lines
};
[[nodiscard]] SizeReport check_sizes(const SourceTree& tree, std::string_view exceptions);

// No test sleeps. A program under tests/ that plays a service may: it has a main() of its own (or is
// a script) and says so with the words of kServiceMarker.
inline constexpr std::string_view kServiceMarker = "tidy: a service under test, it may sleep";
[[nodiscard]] Findings check_no_sleep(const SourceTree& tree);

// Every directory of src/ has a README.md that names one of its headers, the face.
[[nodiscard]] Findings check_room_readmes(const SourceTree& tree);

// No co_await inside an initializer's braces or a ?: expression: GCC 12 compiles both wrongly and
// says nothing. Await into a named local first.
[[nodiscard]] Findings check_coroutines(const SourceTree& tree);

// Every page of docs/formats and docs/decisions is linked from the README.md beside it, and every
// such link has its page.
[[nodiscard]] Findings check_doc_index(const SourceTree& tree);

// Each test that docs/internals/guarantees.md and threat-model.md name exists, `Suite.name` or a whole `Suite`, and each
// planted bug of the former, `a-name`.
[[nodiscard]] Findings check_proofs(const SourceTree& tree);

// Source files and the directories that hold them are snake_case.
[[nodiscard]] Findings check_names(const SourceTree& tree);

}  // namespace hearth::tidy
