// [eventlistener:x] whose command is memmon of superlance: a process that uses more than so much memory is restarted.
#include <algorithm>
#include <map>

#include "importers/sizes.h"
#include "importers/supervisord_importer.h"
#include "importers/words.h"

namespace hearth::importers {
namespace {

bool is_memmon(const std::string& word) {
  const std::string base = word.substr(word.rfind('/') + 1);
  return base == "memmon" || base == "memmon.py";
}

// "-p", "--program"; all but help take a value.
char option_of(std::string_view word) {
  static const std::map<std::string_view, char> longer = {
      {"--program", 'p'}, {"--group", 'g'},           {"--any", 'a'}, {"--email", 'm'}, {"--uptime", 'u'},
      {"--name", 'n'},    {"--sendmail_program", 's'}};
  if (word.size() >= 2 && word[0] == '-' && word[1] != '-') return word[1];
  const auto found = longer.find(word.substr(0, word.find('=')));
  return found == longer.end() ? '\0' : found->second;
}

}  // namespace

bool SupervisordImporter::memmon(const Section& each) {
  const IniEntry* command = each.section.find("command");
  if (command == nullptr || command->value.find("memmon") == std::string::npos) return false;
  const Place place{*each.source, command->line};
  const std::string whose = "[" + each.section.name + "]";
  const auto words = split_words(text_of(place, command->value, names_for(each, ""), whose, false));
  if (!words) {
    wanting(place, whose + ": the quotes of its command do not match", "write max_memory into the services");
    return true;
  }
  auto word = std::find_if(words->begin(), words->end(), is_memmon);
  if (word == words->end()) return false;
  for (++word; word != words->end(); ++word) {
    const char option = option_of(*word);
    const bool is_long = word->starts_with("--");
    const std::size_t at = is_long ? word->find('=') : word->size() > 2 ? 1 : std::string::npos;
    std::string value;
    if (at != std::string::npos)
      value = word->substr(at + 1);
    else if (word + 1 != words->end())
      value = *++word;
    memmon_option(place, option, value);
  }
  for (const Made& made : made_)
    if (made.most_memory != 0) made.service->set("max_memory", quoted(size_of_bytes(made.most_memory)));
  return true;
}

// Of several that mean one process the least holds, as each of them restarts it.
void SupervisordImporter::memmon_option(Place place, char option, const std::string& value) {
  if (option == 's' || option == 'u' || option == 'n') return;  // of its mail
  if (option == 'm')
    return wanting(place, "memmon: no mail is sent to " + value, "`hearth events -f` says restarts for max_memory");
  const std::string whose = std::string("memmon -") + (option == '\0' ? '?' : option) + " " + value;
  if (option != 'p' && option != 'g' && option != 'a')
    return wanting(place, whose + " is not known", "write max_memory into the services");
  const std::size_t sign = option == 'a' ? std::string::npos : value.find('=');
  const std::string name = sign == std::string::npos ? "" : value.substr(0, sign);
  const std::optional<std::uint64_t> bytes =
      bytes_of(option == 'a' ? std::string_view(value)
                             : std::string_view(value).substr(std::min(name.size() + 1, value.size())));
  if (!bytes || *bytes < least_max_memory || (option != 'a' && name.empty()))
    return wanting(place, whose + " is not carried over: it has no size of 1 MiB or more",
                   "write " + max_memory_remedy(bytes) + " into the services");
  bool found = false;
  for (Made& made : made_) {
    const auto groups = groups_of_.find(made.program);
    const std::vector<std::string> of = groups == groups_of_.end() ? std::vector{made.program} : groups->second;
    const auto is_meant = [&](const std::string& process) {
      return process == name ||
             std::ranges::any_of(of, [&](const std::string& group) { return group + ":" + process == name; });
    };
    const bool by_process = option == 'p' && std::ranges::any_of(made.processes, is_meant);
    const bool by_group = option == 'g' && std::ranges::find(of, name) != of.end();
    if (!by_process && !by_group && option != 'a') continue;
    found = true;
    if (made.service->has("type")) {  // a task
      if (option != 'a') wanting(place, whose + ": a task has no max_memory", "");
      continue;
    }
    made.most_memory = made.most_memory == 0 ? *bytes : std::min(made.most_memory, *bytes);
    if (by_process && made.processes.size() > 2 && name != made.program)
      wanting(place, whose + " holds for all replicas of " + made.service->name, "they have one max_memory");
  }
  if (!found)
    wanting(place, whose + ": there is no such program", "write " + max_memory_remedy(bytes) + " into the service");
}

}  // namespace hearth::importers
