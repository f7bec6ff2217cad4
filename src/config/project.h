// One tree to one document: the tables [project], [vars] and [service], and what must hold between services. Inside;
// toml.h is the face.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/env_file.h"
#include "config/layers.h"
#include "config/reader.h"
#include "config/toml.h"
#include "model/service_spec.h"

namespace hearth::config {

// Sorts the problems, cuts them to what is shown, and names their files.
void finish_parsed(Parsed& parsed, std::vector<Diagnostic> problems, std::vector<Source> sources);

// The name of a project that has none: that of its directory.
std::string project_name(std::string_view path);

class Project {
 public:
  // All of it outlives the project. `layers.sources` grows with each file of variables; `layers.root` becomes what is in
  // effect: templates are resolved in it.
  Project(Layers& layers, std::string_view path, const Environment& env, Files* files);

  // Each text in which something was replaced, by its node, from now on.
  void record_expansions(Expansions* expansions) { reader_.record_expansions(expansions); }
  void read();

  std::vector<Diagnostic> take_problems() { return reader_.take_problems(); }
  Document take_document() { return std::move(document_); }
  std::vector<ServicePlaces> take_places() { return std::move(places_); }
  // What Position::part names; valid as long as the project.
  const std::vector<std::string>& parts() const { return parts_; }

 private:
  void read_project(const Node& value);
  void read_vars(const Node& value);
  void read_services(const Entry& all);
  void read_one(const Entry& entry);
  void unknown_top_key(const Entry& entry);
  void check_dependencies();
  void check_listen();

  Node& root_;
  Environment env_;  // the caller's with the project's variables over it
  EnvFiles env_files_;
  Reader reader_;
  Document document_;
  std::vector<std::string> parts_;
  std::vector<ServicePlaces> places_;
  std::vector<std::vector<Position>> dependency_at_;  // as document_.services and their depends_on
  std::vector<std::vector<Position>> listen_at_;      // ... and their listen
  bool top_problem_ = false;
};

// The keys of [project].
std::span<const KeyRule<Document>> project_rules();

}  // namespace hearth::config
