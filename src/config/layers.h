// From the project file to one tree: everything that has a say, later ones over earlier ones.
//
//   included files  <  the file that includes them  <  drop-ins, by name  <  environment (HEARTH__...)  <  --set
//
// Defaults and templates are services' business and come after this (templates.h). Files are included before the file
// that names them, because who includes something knows better than it. `include` takes paths and patterns, relative to
// the file in which it stands. Drop-ins are the files NAME.d/*.toml beside NAME.toml; they are merged like included
// files, and may include others.
//
// What cannot be read, includes itself, or is too much, is a problem at the place that asks for it. With any problem of
// this kind there is no tree: what follows would be guesswork.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/environment.h"
#include "config/node.h"
#include "config/source.h"

namespace hearth::config {

struct Layers {
  Node root;
  std::vector<Source> sources;  // what positions name; [0] is the project file
  std::vector<Diagnostic> problems;
  std::size_t bytes = 0;  // of all files
};

struct LayerInput {
  std::string_view text, path, shown;
  const Environment& env;
  Files* files = nullptr;  // nullptr: includes are refused, and there are no drop-ins
  std::span<const std::string> settings;
};

Layers merge_layers(const LayerInput& input);

// `text` as an array, a number and so on where it is one in TOML, else as text. Never a problem.
Node value_of_text(std::string_view text);

// The keys of `a.b."c d"`; empty when it is no key of TOML.
std::vector<std::string> path_of_key(std::string_view key);

// The single settings, each over `layers.root` (overrides.cc). Their sources and problems go to `layers`.
void apply_environment(const Environment& env, Layers& layers);
void apply_settings(std::span<const std::string> settings, Layers& layers);

}  // namespace hearth::config
