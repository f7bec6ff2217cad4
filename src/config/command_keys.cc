// What runs: `command`, `shell`, `cwd`.
#include <algorithm>
#include <array>
#include <filesystem>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/service_keys.h"
#include "config/text.h"

namespace hearth::config {
namespace {

void read_cwd(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  std::string path;
  if (!r.expanded(value, key, path) || !r.at_home(value, key, path)) return;
  if (path.empty()) return r.problem(value.at, fmt::format("{} is empty", key), "remove it, or write a directory");
  std::filesystem::path full = (std::filesystem::path(r.directory()) / path).lexically_normal();
  if (!full.has_filename()) full = full.parent_path();  // "/srv/" and "/srv" are one directory
  draft.spec.cwd = full.string();
}

// The command as an array, for the remedy; "" when it takes a shell to understand it.
std::string as_array(std::string_view command) {
  if (command.find_first_of("|&;<>()$`\\\"'*?[]#~=%{}\n") != command.npos) return {};
  std::string out;
  while (!command.empty()) {
    const std::size_t start = command.find_first_not_of(" \t");
    if (start == command.npos) break;
    command.remove_prefix(start);
    const std::size_t end = std::min(command.find_first_of(" \t"), command.size());
    out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", command.substr(0, end));
    command.remove_prefix(end);
  }
  return out.empty() ? out : "[" + out + "]";
}

void finish_shell_command(Reader& r, ServiceDraft& draft) {
  std::string line;
  if (draft.command->kind == Node::Kind::array) {
    return r.problem(draft.command->at, "command is an array, and with shell = true it is one text",
                     "remove shell = true, or write the command as one text");
  }
  if (!r.expanded(*draft.command, "command", line)) return;
  if (line.find_first_not_of(" \t\n") == line.npos) {
    return r.problem(draft.command->at, "command is empty", "write the command for the shell");
  }
  draft.spec.command = {"/bin/sh", "-c", std::move(line)};
}

bool has_misspelt_command(const Node& table) {
  constexpr std::array<std::string_view, 1> ours = {"command"};
  return std::ranges::any_of(table.entries, [&](const Entry& entry) {
    const bool theirs = foreign_advice(Scope::service, entry.key).find("\"command\"") != std::string_view::npos;
    return theirs || plain_key(entry.key) == "command" || !nearest(entry.key, ours).empty();
  });
}

void finish_command(Reader& r, ServiceDraft& draft) {
  if (draft.spec.cwd.empty()) draft.spec.cwd = std::string(r.directory());
  if (draft.command == nullptr) {
    if (has_misspelt_command(*draft.table)) return;  // that one was told
    return r.problem(draft.at, "command is missing", "add command = [\"program\", \"argument\"]");
  }
  if (draft.shell) return finish_shell_command(r, draft);
  const Node& node = *draft.command;
  if (node.kind == Node::Kind::string) {
    const std::string array = as_array(node.text);
    return r.problem(node.at, fmt::format("command is {}, one text, and hearth does not split it", node.described()),
                     array.empty() ? "write [\"program\", \"argument\"], or add shell = true"
                                   : "write command = " + array + ", or add shell = true");
  }
  std::vector<std::string> command;
  if (!r.expanded_list(node, "command", command)) return;
  if (command.empty()) return r.problem(node.at, "command is empty", "write [\"program\", \"argument\"]");
  if (!r.at_home(node.items[0], "command[0]", command[0])) return;
  if (command[0].empty()) {
    return r.problem(node.items[0].at, "command[0] is empty", "the first item is the program");
  }
  draft.spec.command = std::move(command);
}

constexpr std::array rules = {
    ServiceRule{"command", [](Reader&, const Node& v, std::string_view, ServiceDraft& d) { d.command = &v; },
                "The program and its arguments; with shell = true one text for /bin/sh -c.",
                R"("type":["array","string"],"items":{"type":"string"},"minItems":1)"},
    ServiceRule{"shell", [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { r.flag(v, k, d.shell); },
                "Whether command is one text, run by /bin/sh -c."},
    ServiceRule{"cwd", read_cwd, "The directory it runs in, relative to that of the project file."},
};

}  // namespace

KeyGroup command_keys() {
  return {rules, finish_command};
}

}  // namespace hearth::config
