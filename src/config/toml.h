// A hearth.toml becomes a Document, or everything that is wrong with it.
//
//   text --toml++--> Node tree --keys, types, ranges--> ServiceSpec per service --names, cycles--> Document
//
// Nothing is read but the text: the caller opens the file, says where it is, and hands over the environment that
// `${NAME}` and `~` look at. All problems of a file are found, in the order of their places, so that a user mends
// it in one go; a syntax error is alone, because what follows it is guesswork. docs/reference/configuration.md has
// the keys.
//
// Thread-safe: no shared state.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/environment.h"
#include "model/service_spec.h"

namespace hearth::config {

inline constexpr std::size_t max_diagnostics = 20;

struct Parsed {
  std::optional<Document> document;     // exactly when there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // at most max_diagnostics, by line and column
  std::size_t more = 0;                 // problems beyond those

  // One line each, and "... and N more" where there are; empty when all is well.
  std::string text() const;
};

// `path` is the canonical absolute path of the file: Document::path, and the base of relative directories.
// `shown` is how messages call it, usually as the user wrote it; empty means `path`. Document::environment is
// env.captured(); version, uid, gid and groups are left for who applies the document.
Parsed parse_project(std::string_view text, std::string_view path, const Environment& env, std::string_view shown = {});

}  // namespace hearth::config
