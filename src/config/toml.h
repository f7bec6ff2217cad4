// A hearth.toml becomes a Document, or everything that is wrong with it.
//
//   texts --toml++--> Node trees --layers.h, templates.h--> one tree --keys, types, ranges--> ServiceSpec per service
//         --names, cycles--> Document
//
// Nothing is read here: the caller opens the file, says where it is, hands over the environment that `${NAME}` and `~`
// look at, and gets at the files that the project file names. All problems are found, in the order of their places, so
// that a user mends them in one go; a syntax error is alone, because what follows it is guesswork.
// docs/reference/configuration.md has the keys.
//
// Thread-safe: no shared state.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/diagnostic.h"
#include "config/environment.h"
#include "config/source.h"
#include "model/service_spec.h"

namespace hearth::config {

inline constexpr std::size_t max_diagnostics = 20;

// Where a service says what only its reader can hold against the machine.
struct ServicePlaces {
  Position header;
  Position user, group;
};

struct Parsed {
  std::optional<Document> document;     // exactly when there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // at most max_diagnostics, by file, line and column
  std::size_t more = 0;                 // problems beyond those
  std::vector<Source> sources;          // what was read, the project file first
  std::vector<ServicePlaces> places;    // as document->services

  // One line each, and "... and N more" where there are; empty when all is well.
  std::string text() const;
  // A problem that the caller has found; with the name of its file.
  Diagnostic diagnostic(Position at, std::string message, std::string remedy) const;
  // The line that it is about (Diagnostic::excerpt).
  std::string excerpt(const Diagnostic& diagnostic) const;
};

// All views outlive the call.
struct ProjectInput {
  std::string_view text;
  std::string_view path;   // canonical and absolute: Document::path, and the base of relative directories
  std::string_view shown;  // how messages call it, usually as the user wrote it; empty means `path`
  const Environment& env;
  Files* files = nullptr;                      // nullptr: what names other files is refused, and there are no drop-ins
  std::span<const std::string> settings = {};  // KEY=VALUE, over everything: "service.web.nice=5"
};

// Document::environment is env.captured(); version, uid, gid and groups are left for who applies the document.
Parsed parse_project(const ProjectInput& input);
Parsed parse_project(std::string_view text, std::string_view path, const Environment& env, std::string_view shown = {});

}  // namespace hearth::config
