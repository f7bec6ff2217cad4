// What kind of service it is, and the commands that belong to it: `type`, hooks, `stop_command`, `reload_command`,
// `on_give_up`, `retry_after`.
#include <array>

#include <fmt/core.h>

#include "config/scalars.h"
#include "config/service_keys.h"
#include "config/text.h"
#include "config/words.h"

namespace hearth::config {
namespace {

constexpr std::string_view example = "write [\"program\", \"argument\"]";

struct ActionDraft {
  Action action;
  const Node* command = nullptr;
  const Node* shell = nullptr;  // beside a command that is one text
  bool by_shell = false;
  GiveUp then = GiveUp::hold;
};

void read_command(Reader& r, const Node& value, std::string_view key, std::vector<std::string>& out) {
  if (value.kind == Node::Kind::string) return r.wrong_type(value, key, "an array of texts", std::string(example));
  std::vector<std::string> command;
  if (!r.expanded_list(value, key, command)) return;
  if (command.empty() || command[0].empty()) {
    return r.problem(value.at, fmt::format("{} has no program", key), std::string(example));
  }
  if (r.at_home(value.items[0], fmt::format("{}[0]", key), command[0])) out = std::move(command);
}

void read_shell_line(Reader& r, const Node& value, std::string_view key, std::vector<std::string>& out) {
  std::string line;
  if (value.kind == Node::Kind::array) {
    return r.problem(value.at, fmt::format("{} is an array, and with shell = true it is one text", key),
                     "remove shell = true, or write the command as one text");
  }
  if (!r.expanded(value, key, line)) return;
  if (line.find_first_not_of(" \t\n") == line.npos) {
    return r.problem(value.at, fmt::format("{} is empty", key), "write the command for the shell");
  }
  out = {"/bin/sh", "-c", std::move(line)};
}

using ActionRule = KeyRule<ActionDraft>;
constexpr ActionRule command_rule = {"command",
                                     [](Reader&, const Node& v, std::string_view, ActionDraft& d) { d.command = &v; },
                                     "The program and its arguments; with shell = true one text for /bin/sh -c."};
constexpr ActionRule shell_rule = {
    "shell", [](Reader& r, const Node& v, std::string_view k, ActionDraft& d) { r.flag(v, k, d.by_shell); },
    "Whether command is one text, run by /bin/sh -c."};
constexpr ActionRule timeout_rule = {"timeout",
                                     [](Reader& r, const Node& v, std::string_view k, ActionDraft& d) {
                                       r.span(v, k, {milliseconds(10), day}, d.action.timeout);
                                     },
                                     "How long it may take; then its tree is killed, and it has failed."};
constexpr ActionRule then_rule = {
    "then",
    [](Reader& r, const Node& v, std::string_view k, ActionDraft& d) { r.choice(v, k, give_up_words, {}, d.then); },
    "What comes of all of hearth when the service is given up."};
constexpr std::array action_rules = {command_rule, shell_rule, timeout_rule};
constexpr std::array give_up_rules = {command_rule, shell_rule, timeout_rule, then_rule};

// An array of texts, or a table with command, shell and timeout.
void read_action_table(Reader& r, const Node& value, std::string_view key, std::span<const ActionRule> rules,
                       ActionDraft& draft, bool needs_command) {
  if (!r.table<ActionDraft>(value, key, rules, Scope::action, draft)) return;
  const std::string its = Reader::full_key(key, "command");
  if (draft.command == nullptr) {
    if (needs_command || draft.by_shell || value.find("timeout") != nullptr)
      r.problem(value.at, fmt::format("{} has no command", key), "add command = [\"program\", \"argument\"]");
    return;
  }
  draft.by_shell ? read_shell_line(r, *draft.command, its, draft.action.command)
                 : read_command(r, *draft.command, its, draft.action.command);
}

void read_action(Reader& r, const Node& value, std::string_view key, ServiceDraft& service, Action Actions::* which) {
  ActionDraft draft;
  if (value.kind == Node::Kind::table) {
    read_action_table(r, value, key, action_rules, draft, true);
  } else if (value.kind == Node::Kind::array) {
    read_command(r, value, key, draft.action.command);
  } else {
    return r.wrong_type(value, key, "an array of texts or a table",
                        fmt::format("write {0} = [\"program\", \"argument\"], or {0} = {{ command = [...], timeout = "
                                    "\"30s\" }}",
                                    key));
  }
  if (!draft.action.command.empty()) service.spec.actions.edit().*which = std::move(draft.action);
}

template <Action Actions::* which>
void read_hook(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  read_action(r, value, key, draft, which);
}

constexpr std::array give_up_synonyms = {Synonym{"fail", "hold"},     Synonym{"none", "hold"},
                                         Synonym{"shutdown", "exit"}, Synonym{"exit_on_failure", "exit"},
                                         Synonym{"poweroff", "exit"}, Synonym{"reboot", "exit"},
                                         Synonym{"die", "exit"},      Synonym{"quit", "exit"},
                                         Synonym{"abort", "exit"},    Synonym{"stop", "hold"},
                                         Synonym{"ignore", "hold"},   Synonym{"nothing", "hold"},
                                         Synonym{"keep", "hold"}};

void read_give_up(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind == Node::Kind::string) {
    r.choice(value, key, give_up_words, give_up_synonyms, draft.spec.give_up);
  } else if (value.kind == Node::Kind::table) {
    ActionDraft action;
    read_action_table(r, value, key, give_up_rules, action, false);
    draft.spec.give_up = action.then;
    if (!action.action.command.empty()) draft.spec.actions.edit().on_give_up = std::move(action.action);
  } else if (value.kind == Node::Kind::array) {
    read_action(r, value, key, draft, &Actions::on_give_up);
  } else {
    r.wrong_type(value, key, "\"hold\", \"exit\" or a command",
                 "write on_give_up = \"exit\", or on_give_up = [\"program\", \"argument\"]");
  }
}

constexpr std::array type_synonyms = {Synonym{"simple", "service"},    Synonym{"exec", "service"},
                                      Synonym{"process", "service"},   Synonym{"daemon", "service"},
                                      Synonym{"bgprocess", "forking"}, Synonym{"fork", "forking"},
                                      Synonym{"oneshot", "task"},      Synonym{"one-shot", "task"},
                                      Synonym{"job", "task"},          Synonym{"scripted", "task"}};
void read_type(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind == Node::Kind::string && value.text == "notify") {
    return r.problem(value.at, fmt::format("{} is \"notify\", which hearth says of readiness", key),
                     "remove it, and write ready = \"notify\"");
  }
  r.choice(value, key, type_words, type_synonyms, draft.spec.type);
}

void finish_task(Reader& r, ServiceDraft& draft) {
  if (draft.spec.type != ServiceType::task) return;
  for (const std::string_view key : keys_not_of_tasks) {
    const Entry* entry = draft.table->find(key);
    if (entry == nullptr) continue;
    r.problem(entry->at, fmt::format("{} has no meaning with type = \"task\"", key),
              "remove it: a task is done when it has ended with success");
  }
  const Entry* restart = draft.table->find("restart");
  if (restart == nullptr) {
    draft.spec.restart = RestartPolicy::never;
  } else if (draft.spec.restart == RestartPolicy::always) {
    r.problem(restart->at, "restart is \"always\", and a task is to end",
              "write \"on-failure\" to have it tried again, or remove it");
  }
}

constexpr std::array rules = {
    ServiceRule{"type", read_type,
                "service: is to run for ever; task: runs to its end; forking: goes into the background by itself."},
    ServiceRule{"before_start", read_hook<&Actions::before_start>,
                "Run before each start; fails: the service is not started."},
    ServiceRule{"after_start", read_hook<&Actions::after_start>, "Run when it has become ready."},
    ServiceRule{"before_stop", read_hook<&Actions::before_stop>, "Run before it is asked to end."},
    ServiceRule{"stop_command", read_hook<&Actions::stop>, "Asks it to end; then the stop signal."},
    ServiceRule{"after_stop", read_hook<&Actions::after_stop>, "Run after each end, before the next start."},
    ServiceRule{"on_failure", read_hook<&Actions::on_failure>, "Run after each end that counts as a failure."},
    ServiceRule{"on_give_up", read_give_up,
                "When it is given up: \"hold\", \"exit\" of all of hearth, or a command, or both."},
    ServiceRule{"reload_command", read_hook<&Actions::reload>,
                "Run in the place of reload_signal to have it read its configuration again."},
    ServiceRule{"retry_after",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.span(v, k, {seconds(1), 30 * day, true}, d.spec.retry_after);
                },
                "What was given up is tried again after this long, for ever. 0: it is not."},
};

}  // namespace

KeyGroup action_keys() {
  return {rules, finish_task};
}

}  // namespace hearth::config
