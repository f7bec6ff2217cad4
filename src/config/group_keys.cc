// How many of it there are, and with whom it is ordered about: `replicas`, `autostart`, `tags`.
#include <algorithm>
#include <array>

#include <fmt/core.h>

#include "config/limits.h"
#include "config/service_keys.h"
#include "config/text.h"

namespace hearth::config {
namespace {

constexpr std::size_t max_tags = 32;

void read_tags(Reader& r, const Node& value, std::string_view key, ServiceDraft& draft) {
  if (value.kind != Node::Kind::array) {
    return r.wrong_type(value, key, "an array of names",
                        value.kind == Node::Kind::string ? fmt::format("write tags = [{}]", quote(value.text)) : "");
  }
  if (value.items.size() > max_tags) {
    return r.problem(value.at, fmt::format("{} has {} names, more than {}", key, value.items.size(), max_tags), {});
  }
  std::vector<std::string> tags;
  for (std::size_t i = 0; i < value.items.size(); ++i) {
    std::string tag;
    if (!r.text(value.items[i], fmt::format("{}[{}]", key, i), tag)) continue;
    if (!valid_name(tag)) {
      const bool with_sign = tag.starts_with('@') && valid_name(std::string_view(tag).substr(1));
      r.problem(value.items[i].at,
                fmt::format("{}[{}] is {}, not a name of 1 to 48 letters, digits, '_' and '-'", key, i, quote(tag)),
                with_sign ? fmt::format("the @ is for the command line only: {}", quote(tag.substr(1))) : "");
      continue;
    }
    if (std::ranges::find(tags, tag) == tags.end()) tags.push_back(std::move(tag));
  }
  draft.spec.tags = std::move(tags);
}

constexpr std::array rules = {
    ServiceRule{"replicas",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  std::uint32_t count = 1;
                  if (r.integer(v, k, 1, static_cast<std::uint32_t>(max_services), count)) d.spec.replicas = count;
                },
                "How many of it run; {index} in its texts is the number of each, from 0."},
    ServiceRule{"autostart",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { r.flag(v, k, d.spec.autostart); },
                "Whether `hearth up` starts it; otherwise it makes it known and leaves it stopped."},
    ServiceRule{"tags", read_tags, "Names of groups that it is in: @NAME on the command line.",
                R"("type":"array","maxItems":32,"items":{"type":"string","pattern":"^[A-Za-z0-9_-]{1,48}$"})"},
};

}  // namespace

KeyGroup group_keys() {
  return {rules};
}

}  // namespace hearth::config
