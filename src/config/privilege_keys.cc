// What it may do: `no_new_privs`, `capabilities`, `capability_bounding_set`. What they mean together: os/privileges.h
#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include <fmt/core.h>

#include "base/nearest.h"
#include "config/service_keys.h"
#include "config/text.h"
#include "model/capabilities.h"

namespace hearth::config {
namespace {

// As systemd and others write it: blanks or commas between them, a '~' or '!' before what is not wanted.
std::string as_array(std::string_view text) {
  const bool inverted = text.starts_with('~') || text.starts_with('!');
  if (inverted) text.remove_prefix(1);
  std::string items = inverted ? "\"all\"" : "";
  while (!text.empty()) {
    const std::size_t begin = text.find_first_not_of(" ,\t");
    if (begin == text.npos) break;
    text.remove_prefix(begin);
    const std::string_view word = text.substr(0, text.find_first_of(" ,\t"));
    items += (items.empty() ? "" : ", ") + quote((inverted ? "-" : "") + plain_capability(word));
    text.remove_prefix(word.size());
  }
  return items;
}

std::string_view the_one_that_begins_with(std::string_view part, std::span<const std::string_view> words) {
  std::string_view only;
  for (const std::string_view word : words) {
    if (part.size() < 3 || !word.starts_with(part)) continue;
    if (!only.empty()) return {};
    only = word;
  }
  return only;
}

std::string remedy_for(std::string_view text) {
  if (text.starts_with('~') || text.starts_with('!') || text.find_first_of(" ,\t") != text.npos) {
    return fmt::format("each is an item of its own: {}", as_array(text));
  }
  const bool away = text.starts_with('-');
  std::vector<std::string_view> words(capability_names().begin(), capability_names().end());
  words.emplace_back("all");
  const std::string plain = plain_capability(text.substr(away ? 1 : 0));
  // "net_bind" is no slip of the finger: whoever writes it has forgotten how the name goes on.
  std::string_view near = the_one_that_begins_with(plain, words);
  if (near.empty()) near = nearest(plain, words);
  if (near.empty()) return "capabilities(7) has their names";
  return fmt::format("did you mean \"{}{}\"?", away ? "-" : "", near);
}

void read_set(Reader& r, const Node& value, std::string_view key, std::optional<CapabilitySet>& out) {
  if (value.kind != Node::Kind::array) {
    const bool text = value.kind == Node::Kind::string;
    return r.wrong_type(value, key, "an array of capabilities",
                        fmt::format("write {} = [{}]", key, text ? as_array(value.text) : "\"net_bind_service\""));
  }
  CapabilitySet set = 0;
  bool good = true;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    const Node& item = value.items[i];
    const std::string name = fmt::format("{}[{}]", key, i);
    std::string text;
    if (!r.text(item, name, text)) {
      good = false;
    } else if (!add_capability(text, set)) {
      good = false;
      if (text.starts_with('-') && capabilities_of(std::string_view(text).substr(1))) {
        r.problem(item.at, fmt::format("{} is {}, which is not among those before it", name, quote(text)),
                  fmt::format("write {} = [\"all\", {}]", key, quote("-" + plain_capability(text.substr(1)))));
      } else {
        r.problem(item.at, fmt::format("{} is {}, not a capability", name, quote(text)), remedy_for(text));
      }
    }
  }
  if (good) out = set;
}

void finish_privileges(Reader& r, ServiceDraft& draft) {
  const ProcessSettings& process = *draft.spec.process;
  if (!process.capabilities || !process.capability_bounding_set) return;
  const CapabilitySet beyond = *process.capabilities & ~*process.capability_bounding_set;
  if (beyond == 0) return;
  const Entry* entry = draft.table->find("capabilities");
  r.problem(entry != nullptr ? entry->value.at : draft.at,
            fmt::format("capabilities has {}, and capability_bounding_set has not", capability_list(beyond)),
            "what it has it must be able to have: add it there, or leave one of the keys out");
}

constexpr std::array rules = {
    ServiceRule{"no_new_privs",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.flag(v, k, d.spec.process.edit().no_new_privs);
                },
                "Neither it nor what it starts gets more privileges by a program: setuid bits have no effect."},
    ServiceRule{"capabilities",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_set(r, v, k, d.spec.process.edit().capabilities);
                },
                "The capabilities it has, and no others: [\"net_bind_service\"], [] or [\"all\", \"-sys_admin\"].",
                R"("type":"array","items":{"type":"string"})"},
    ServiceRule{"capability_bounding_set",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  read_set(r, v, k, d.spec.process.edit().capability_bounding_set);
                },
                "The capabilities that it and what it starts can have at most; as `capabilities` unless it is said.",
                R"("type":"array","items":{"type":"string"})"},
};

}  // namespace

KeyGroup privilege_keys() {
  return {rules, finish_privileges};
}

}  // namespace hearth::config
