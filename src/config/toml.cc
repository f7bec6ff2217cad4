#include "config/toml.h"

#include <algorithm>
#include <tuple>

#include <fmt/core.h>

#include "config/layers.h"
#include "config/project.h"

namespace hearth::config {

std::string Parsed::text() const {
  std::string out;
  for (const Diagnostic& diagnostic : diagnostics) out += diagnostic.text() + "\n";
  if (more > 0) out += fmt::format("... and {} more\n", more);
  return out;
}

Diagnostic Parsed::diagnostic(Position at, std::string message, std::string remedy) const {
  return {sources.at(at.source).shown, at, std::move(message), std::move(remedy)};
}

std::string Parsed::excerpt(const Diagnostic& diagnostic) const {
  return diagnostic.excerpt(sources.at(diagnostic.at.source).text);
}

void finish_parsed(Parsed& parsed, std::vector<Diagnostic> problems, std::vector<Source> sources) {
  parsed.sources = std::move(sources);
  parsed.diagnostics = std::move(problems);
  std::sort(parsed.diagnostics.begin(), parsed.diagnostics.end(), [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.at.source, a.at.line, a.at.column, a.message) <
           std::tie(b.at.source, b.at.line, b.at.column, b.message);
  });
  if (parsed.diagnostics.size() > max_diagnostics) {
    parsed.more = parsed.diagnostics.size() - max_diagnostics;
    parsed.diagnostics.resize(max_diagnostics);
  }
  for (Diagnostic& diagnostic : parsed.diagnostics) diagnostic.file = parsed.sources[diagnostic.at.source].shown;
}

Parsed parse_project(const ProjectInput& input) {
  Parsed parsed;
  Layers layers = merge_layers({input.text, input.path, input.shown, input.env, input.files, input.settings});
  std::vector<Diagnostic> problems = std::move(layers.problems);
  if (problems.empty()) {
    Project project(layers, input.path, input.env, input.files);
    project.read();
    problems = project.take_problems();
    if (problems.empty()) {
      parsed.document = project.take_document();
      parsed.document->environment = input.env.captured();
      parsed.places = project.take_places();
    }
  }
  finish_parsed(parsed, std::move(problems), std::move(layers.sources));
  return parsed;
}

Parsed parse_project(std::string_view text, std::string_view path, const Environment& env, std::string_view shown) {
  return parse_project(ProjectInput{text, path, shown, env});
}

}  // namespace hearth::config
