#include "cli/tags.h"

#include "cli/answers.h"
#include "cli/client.h"
#include "os/clock.h"

namespace hearth::cli {

Result<std::vector<std::string>> without_tags(const Context& context, const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    if (!name.starts_with('@')) {
      all.push_back(name);
      continue;
    }
    Client client(context.socket_path());
    const auto answer = client.ask({.target = "/v1/status?names=" + escaped(name)}, after(os::read_mono(), seconds(2)));
    if (!answer)
      return failure(Remedy::not_found, "find those with the tag", name,
                     "hearth does not answer, and only it knows tags", "name the services");
    const Result<std::vector<SlotNews>> services = services_news(*answer);
    if (!services) return failure(services.error());
    for (const SlotNews& slot : *services) all.push_back(full_name(slot));
  }
  return all;
}

}  // namespace hearth::cli
