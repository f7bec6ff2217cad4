// How it ends, and is told to read its configuration again: `stop_signal`, `stop_timeout`, `reload_signal`.
#include <array>

#include "config/service_keys.h"

namespace hearth::config {
namespace {

constexpr std::array rules = {
    ServiceRule{
        "stop_signal",
        [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { r.signal(v, k, d.spec.stop_signal); },
        "The signal that asks it to end, sent to the whole process group."},
    ServiceRule{"stop_timeout",
                [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) {
                  r.span(v, k, {milliseconds(500), hour}, d.spec.stop_timeout);
                },
                "How long it may take to end; then KILL."},
    ServiceRule{
        "reload_signal",
        [](Reader& r, const Node& v, std::string_view k, ServiceDraft& d) { r.signal(v, k, d.spec.reload_signal); },
        "The signal that has it read its own configuration again."},
};

}  // namespace

KeyGroup stop_keys() {
  return {rules};
}

}  // namespace hearth::config
