// What is not a program: [supervisord], [group:x], [unix_http_server].
#include <algorithm>

#include "importers/supervisord_importer.h"
#include "importers/words.h"

namespace hearth::importers {

void SupervisordImporter::supervisord_section(const Section& each) {
  for (const IniEntry& entry : each.section.entries) {
    const Place place{*each.source, entry.line};
    if (entry.key == "environment") {
      const auto all = environment_of(text_of(place, entry.value, names_for(each, ""), "supervisord", true));
      if (all)
        shared_environment_ = *all;
      else
        wanting(place, "supervisord: environment cannot be read", "write env into the services");
    } else if (entry.key == "user") {
      wanting(place, "supervisord: user: hearth runs as whoever starts it", "start `hearth up` as " + entry.value);
    } else if (entry.key == "directory") {
      const IniEntry* stays = each.section.find("nodaemon");
      if (stays != nullptr && boolean_of(stays->value) == true)
        wanting(place, "supervisord: directory does nothing with nodaemon = true, and is left out",
                "write cwd into the services that shall run there");
      else
        shared_directory_ = text_of(place, entry.value, names_for(each, ""), "supervisord", true);
    } else if (entry.key == "strip_ansi" && boolean_of(entry.value) == true) {
      wanting(place, "supervisord: strip_ansi: colours and other escape sequences stay in the output",
              "most programs write none when NO_COLOR=1 is in their env");
    } else if (entry.key == "umask") {
      shared_umask_ = umask_text(entry.value);
    } else if (entry.key == "minfds" || entry.key == "minprocs") {
      wanting(place, "supervisord: " + entry.key + " is not carried over",
              "hearth needs none; for a service: limits = { " +
                  std::string(entry.key == "minfds" ? "nofile" : "nproc") + " = ... }");
    }
  }
}

void SupervisordImporter::group(const Section& each) {
  const std::string name = each.section.name.substr(6);
  const IniEntry* programs = each.section.find("programs");
  if (programs == nullptr) return;
  for (const std::string& program : split_list(programs->value, ",\n")) {
    const Place place{*each.source, programs->line};
    std::vector<std::string>& groups = groups_of_[program];
    if (!is_program(program))
      wanting(place, "group " + name + ": there is no [program:" + program + "]", "");
    else if (!groups.empty())
      wanting(
          place,
          "program " + program + " runs once in each of its groups in supervisord, and here once, with the tags of all",
          "write a second service if there shall be two");
    groups.push_back(name);
  }
  const IniEntry* priority = each.section.find("priority");
  if (priority != nullptr && priority->value != usual_priority)
    group_priorities_[name] = {each.source, priority->line, priority->value};
}

// `own`: its processes are services of their own, and its name means all of them.
std::vector<std::string> SupervisordImporter::tags_of(const std::string& program, bool own) const {
  std::vector<std::string> tags;
  if (const auto groups = groups_of_.find(program); groups != groups_of_.end())
    for (const std::string& group : groups->second) tags.push_back(name_of(group));
  if (own) tags.push_back(name_of(program));
  return tags;
}

bool SupervisordImporter::is_program(const std::string& name) const {
  return std::any_of(sections_.begin(), sections_.end(), [&](const Section& each) {
    return each.section.name == "program:" + name || each.section.name == "fcgi-program:" + name;
  });
}

void SupervisordImporter::control_socket(const Section& each) {
  for (const IniEntry& entry : each.section.entries) {
    const bool same = entry.key == "file" || (entry.key == "chmod" && number_of(entry.value) == 700);
    if (same) continue;
    wanting({*each.source, entry.line}, "[unix_http_server] " + entry.key + " is not carried over",
            "only who runs hearth, and root, get in");
  }
}

}  // namespace hearth::importers
