#include "model/replica.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace hearth {
namespace {

constexpr std::string_view word = "index";

struct Mention {
  std::size_t length = 0;  // of "{index+N}"
  std::uint32_t more = 0;  // N
};

// At the brace with which `text` begins.
std::optional<Mention> mention_at(std::string_view text) {
  if (!text.starts_with('{') || text.substr(1, word.size()) != word) return std::nullopt;
  std::size_t at = 1 + word.size();
  Mention mention;
  if (at < text.size() && text[at] == '+') {
    const std::string_view digits = text.substr(at + 1, 10);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), mention.more);
    if (error != std::errc() || mention.more > 1'000'000'000) return std::nullopt;
    at += 1 + static_cast<std::size_t>(end - digits.data());
  }
  if (at >= text.size() || text[at] != '}') return std::nullopt;
  mention.length = at + 1;
  return mention;
}

// Every text of a specification that may name the index, once.
template <typename Spec, typename Each>
void for_each_text(Spec& spec, const Each& each) {
  const auto all = [&](auto& texts) {
    for (auto& text : texts) each(text);
  };
  all(spec.command);
  each(spec.cwd);
  for (auto& variable : spec.env) each(variable.second);
  for (auto& socket : spec.listen) each(socket.address);
}

template <typename Tried, typename Each>
void for_each_text_of_probe(Tried& probe, const Each& each) {
  each(probe.url);
  each(probe.address);
  for (auto& text : probe.command) each(text);
  each(probe.target);
}

template <typename Around, typename Each>
void for_each_text_around(Around& around, const Each& each) {
  each(around.stdin_path);
  for (auto& credential : around.credentials) each(credential.second);
  for (auto* texts : {&around.library_path, &around.preload, &around.runtime_directories, &around.state_directories,
                      &around.cache_directories, &around.env_files})
    for (auto& text : *texts) each(text);
  each(around.ready_file);
  each(around.pid_file);
}

template <typename Box, typename Each>
void for_each_text_of_sandbox(Box& box, const Each& each) {
  for (auto* texts : {&box.read_paths, &box.write_paths, &box.exec_paths})
    for (auto& text : *texts) each(text);
}

template <typename All, typename Each>
void for_each_text_of_actions(All& actions, const Each& each) {
  for (auto* action : {&actions.before_start, &actions.after_start, &actions.before_stop, &actions.after_stop,
                       &actions.on_failure, &actions.on_give_up, &actions.stop, &actions.reload})
    for (auto& text : action->command) each(text);
}

}  // namespace

std::string with_index(std::string_view text, std::uint32_t index) {
  return with_index(text, [index](std::uint32_t more) { return std::to_string(std::uint64_t{index} + more); });
}

std::string with_index(std::string_view text, const IndexText& number) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t brace = std::min(text.find('{'), text.size());
    out += text.substr(0, brace);
    text.remove_prefix(brace);
    if (text.empty()) break;
    // Braces around it come off, and what they protected stands.
    const std::optional<Mention> inner = text.starts_with("{{") ? mention_at(text.substr(1)) : std::nullopt;
    if (inner && text.substr(1 + inner->length).starts_with('}')) {
      out += text.substr(1, inner->length);
      text.remove_prefix(inner->length + 2);
      continue;
    }
    const std::optional<Mention> mention = mention_at(text);
    out += mention ? number(mention->more) : std::string("{");
    text.remove_prefix(mention ? mention->length : 1);
  }
  return out;
}

bool names_index(std::string_view text) {
  for (std::size_t at = text.find('{'); at != text.npos; at = text.find('{', at + 1))
    if (mention_at(text.substr(at))) return true;
  return false;
}

std::string without_index(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::optional<Mention> mention = mention_at(text);
    const std::size_t length = mention ? mention->length : 1;
    if (mention) out += '{';
    out += text.substr(0, length);
    if (mention) out += '}';
    text.remove_prefix(length);
  }
  return out;
}

ServiceSpec replica_of(const ServiceSpec& spec, std::uint32_t index) {
  return replica_of(spec, [index](std::uint32_t more) { return std::to_string(std::uint64_t{index} + more); });
}

ServiceSpec replica_of(const ServiceSpec& spec, const IndexText& number) {
  ServiceSpec out = spec;
  const auto expand = [&number](std::string& text) {
    if (names_index(std::string_view(text))) text = with_index(text, number);
  };
  for_each_text(out, expand);
  if (!spec.around.is_usual()) for_each_text_around(out.around.edit(), expand);
  if (!spec.actions.is_usual()) for_each_text_of_actions(out.actions.edit(), expand);
  if (!spec.process->sandbox.is_usual()) for_each_text_of_sandbox(out.process.edit().sandbox.edit(), expand);
  for (Boxed<Probe>* probe : {&out.ready, &out.live})
    if (!probe->is_usual()) for_each_text_of_probe(probe->edit(), expand);
  return out;
}

bool names_index(const ServiceSpec& spec) {
  bool found = false;
  const auto look = [&found](const std::string& text) { found = found || names_index(std::string_view(text)); };
  for_each_text(spec, look);
  for_each_text_of_probe(*spec.ready, look);
  for_each_text_of_probe(*spec.live, look);
  for_each_text_around(*spec.around, look);
  for_each_text_of_actions(*spec.actions, look);
  for_each_text_of_sandbox(*spec.process->sandbox, look);
  return found;
}

}  // namespace hearth
