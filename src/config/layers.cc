#include "config/layers.h"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/limits.h"
#include "config/merge.h"
#include "config/text.h"

namespace hearth::config {
namespace {

bool is_pattern(std::string_view path) {
  return path.find_first_of("*?[") != path.npos;
}

std::string joined(std::string_view directory, const std::string& path) {
  return (std::filesystem::path(directory) / path).lexically_normal().string();
}

std::string directory_of(const std::string& path) {
  return std::filesystem::path(path).parent_path().string();
}

class Loader {
 public:
  Loader(const LayerInput& input, Layers& out) : input_(input), out_(out) {}

  Node load(std::string path, std::string shown, std::string text) {
    const auto source = static_cast<std::uint16_t>(out_.sources.size());
    out_.bytes += text.size();
    out_.sources.push_back({std::move(shown), std::move(path), std::move(text)});
    Tree tree = parse_tree(out_.sources[source].text, source);
    if (!tree.ok) {
      out_.problems.push_back(std::move(tree.syntax_error));
      return {};
    }
    open_.push_back(source);
    Node below = take_includes(tree.root, source);
    open_.pop_back();
    if (below.entries.empty()) return std::move(tree.root);
    merge_table(below, std::move(tree.root));
    return below;
  }

  // NAME.d/*.toml beside NAME.toml. They are asked for at no place in particular: the first of the file.
  void drop_ins(Node& root) {
    const std::filesystem::path file(out_.sources[0].path), shown(out_.sources[0].shown);
    const std::string name = (file.extension() == ".toml" ? file.stem() : file.filename()).string() + ".d";
    const Result<std::vector<std::string>> found = input_.files->match((file.parent_path() / name / "*.toml").string());
    if (!found) return problem({}, fmt::format("the drop-ins in {}: {}", name, found.error().reason), {});
    for (const std::string& path : *found) {
      const std::string called = (shown.parent_path() / name / std::filesystem::path(path).filename()).string();
      if (Result<Files::File> next = read(path, called, {})) {
        merge_table(root, load(std::move(next->path), called, std::move(next->text)));
      }
    }
  }

 private:
  void problem(Position at, std::string message, std::string remedy) {
    out_.problems.push_back({{}, at, std::move(message), std::move(remedy)});
  }

  // What the file includes, merged; its key is gone then.
  Node take_includes(Node& root, std::uint16_t source) {
    Node below;
    const Entry* include = root.find("include");
    if (include == nullptr) return below;
    const Node value = include->value;
    root.entries.erase(root.entries.begin() + (include - root.entries.data()));
    if (value.kind != Node::Kind::array) {
      problem(value.at, fmt::format("include is {}, not an array of paths", value.described()),
              value.kind == Node::Kind::string ? fmt::format("write include = [{}]", quote(value.text))
                                               : "write include = [\"other.toml\", \"services/*.toml\"]");
      return below;
    }
    if (open_.size() > max_include_depth) {
      problem(value.at, fmt::format("include goes deeper than {} files", max_include_depth), chain());
      return below;
    }
    for (std::size_t i = 0; i < value.items.size(); ++i) one_include(value.items[i], i, source, below);
    return below;
  }

  void one_include(const Node& item, std::size_t index, std::uint16_t source, Node& below) {
    const std::string key = fmt::format("include[{}]", index);
    if (item.kind != Node::Kind::string || item.text.empty()) {
      return problem(item.at, fmt::format("{} is {}, not a path", key, item.described()), {});
    }
    Result<std::string> wanted = expand_variables(item.text, input_.env);
    if (wanted) wanted = expand_home(*wanted, input_.env);
    if (!wanted) return problem(item.at, fmt::format("{}: {}", key, wanted.error().reason), wanted.error().hint);
    if (input_.files == nullptr)
      return problem(item.at, "include is not possible here", "put everything into one file");
    const std::string full = joined(directory_of(out_.sources[source].path), *wanted);
    const std::string called = joined(directory_of(out_.sources[source].shown), *wanted);
    if (!is_pattern(*wanted)) return include_file(full, called, item.at, below);
    const Result<std::vector<std::string>> found = input_.files->match(full);
    if (!found) return problem(item.at, fmt::format("{}: {}", key, found.error().reason), {});
    for (const std::string& path : *found) {
      const bool alongside = directory_of(path) == directory_of(full);
      const std::string name = std::filesystem::path(path).filename().string();
      include_file(path, alongside ? joined(directory_of(called), name) : path, item.at, below);
    }
  }

  void include_file(const std::string& path, const std::string& called, Position at, Node& below) {
    Result<Files::File> file = read(path, called, at);
    if (!file) return;
    for (const std::uint16_t open : open_) {
      if (out_.sources[open].path == file->path) {
        return problem(at, fmt::format("it includes {}, by which it is included", quote(called)), chain());
      }
    }
    merge_table(below, load(std::move(file->path), called, std::move(file->text)));
  }

  // Fails after it has noted why.
  Result<Files::File> read(const std::string& path, const std::string& called, Position at) {
    const auto refuse = [&](std::string message, std::string remedy) {
      problem(at, message, remedy);
      return failure(Remedy::fix_input, "read", called, std::move(message), std::move(remedy));
    };
    if (out_.sources.size() >= max_files) {
      return refuse(fmt::format("more than {} files", max_files), "put several of them into one");
    }
    Result<Files::File> file = input_.files->read(path);
    if (!file && file.error().remedy == Remedy::not_found) {
      return refuse(fmt::format("there is no file {}", quote(called)), "write it, or remove it here");
    }
    if (!file)
      return refuse(fmt::format("{} cannot be read: {}", quote(called), file.error().reason), file.error().hint);
    if (out_.bytes + file->text.size() > max_all_bytes) {
      return refuse(fmt::format("all files together have more than {} MiB", max_all_bytes >> 20),
                    "split them over several projects");
    }
    return file;
  }

  // "hearth.toml includes a.toml includes b.toml"
  std::string chain() const {
    std::vector<std::string_view> names;
    for (const std::uint16_t open : open_) names.push_back(out_.sources[open].shown);
    return fmt::format("so far: {}", fmt::join(names, " includes "));
  }

  const LayerInput& input_;
  Layers& out_;
  std::vector<std::uint16_t> open_;  // the files that are being included, outermost first
};

}  // namespace

Layers merge_layers(const LayerInput& input) {
  Layers layers;
  Loader loader(input, layers);
  const std::string_view shown = input.shown.empty() ? input.path : input.shown;
  layers.root = loader.load(std::string(input.path), std::string(shown), std::string(input.text));
  // A syntax error is alone, because what follows it is guesswork.
  if (!layers.problems.empty()) return layers;
  if (input.files != nullptr) loader.drop_ins(layers.root);
  if (!layers.problems.empty()) return layers;
  apply_environment(input.env, layers);
  apply_settings(input.settings, layers);
  return layers;
}

Node value_of_text(std::string_view text) {
  // One line and one value: whatever else a text may say in TOML is text here.
  if (text.find_first_of("\n\r") == text.npos) {
    Tree tree = parse_tree("v = " + std::string(text));
    if (tree.ok && tree.root.entries.size() == 1 && tree.root.entries[0].key == "v") {
      return std::move(tree.root.entries[0].value);
    }
  }
  Node node;
  node.kind = Node::Kind::string;
  node.text = text;
  return node;
}

}  // namespace hearth::config
