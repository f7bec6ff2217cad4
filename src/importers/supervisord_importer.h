// What supervisord.cc and supervisord_sections.cc share: one import, from its files to a draft.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "importers/draft.h"
#include "importers/ini.h"
#include "importers/percent.h"
#include "importers/supervisord_values.h"

namespace hearth::importers {

inline constexpr std::string_view usual_priority = "999";
inline constexpr const char* priority_remedy =
    "say whom it needs: depends_on = [\"...\"]; hearth then waits until that is ready";

class SupervisordImporter {
 public:
  SupervisordImporter(const Include& include, const Environment& environment, const std::string& host)
      : include_(include), environment_(environment), host_(host) {}

  Status read(const Source& source, int depth = 0);
  Result<Imported> finish(const std::string& from);

 private:
  struct Section {
    const Source* source;
    IniSection section;
  };

  struct Place {
    const Source& source;
    std::size_t line;
  };

  // Of one program, with numprocs.
  struct Processes {
    std::string program;
    long count = 1;
    long first = 0;  // the number of the first
  };

  struct Range {
    long least, most;
  };

  void supervisord_section(const Section& each);
  void program(const Section& each);
  bool as_replicas(const Section& each, const Processes& processes);
  void process(const Section& each, const std::string& name, const Names& names, bool report);
  void key(const Section& each, const IniEntry& entry, Service& service, const Names& names);
  void command(Place place, const std::string& value, Service& service, const Names& names);
  void environment(Place place, const std::string& value, Service& service);
  void patience(Place place, const std::string& value, Service& service);
  void log_key(const Section& each, Place place, const std::string& key, const std::string& value, Service& service);
  long number_in(const Section& each, std::string_view key, long otherwise, Range range, const Names& names);
  void retries(const Section& each, Service& service, long seconds, const Names& names);
  void group(const Section& each);
  // Is it that one of superlance? Then its options are max_memory of the programs.
  bool memmon(const Section& each);
  void memmon_option(Place place, char option, const std::string& value);
  void control_socket(const Section& each);
  bool is_program(const std::string& name) const;
  std::vector<std::string> tags_of(const std::string& program, bool own) const;
  Names names_for(const Section& each, const std::string& program) const;
  Names names_of(const Section& each, const Processes& processes, long i);
  std::string text_of(Place place, const std::string& value, const Names& names, const std::string& whose,
                      bool is_replaced);
  void wanting(Place place, const std::string& what, const std::string& remedy) {
    draft_.find_wanting(place.source, place.line, what, remedy);
  }

  const Include& include_;
  const Environment& environment_;
  const std::string& host_;
  std::deque<Source> sources_;
  std::vector<Section> sections_;
  Variables shared_environment_;
  std::optional<std::string> shared_directory_, shared_umask_;
  std::map<std::string, std::vector<std::string>> groups_of_;  // by program
  struct Made {
    std::string program;
    std::vector<std::string> processes;  // as supervisord calls them
    Service* service;                    // of draft_
    std::uint64_t most_memory;           // 0: nobody says
  };
  std::vector<Made> made_;
  Draft draft_;
};

}  // namespace hearth::importers
