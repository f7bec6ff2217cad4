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
class SupervisordImporter {
 public:
  SupervisordImporter(const Include& include, const Environment& environment, const std::string& host,
                      const std::string& logs)
      : include_(include), environment_(environment), host_(host), logs_(logs) {}

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
  void log_key(const Section& each, Place place, const std::string& key, const std::string& value, Service& service,
               const Names& names);
  void log_file(Place place, const std::string& value, const Service& service, const Names& names);
  long number_in(const Section& each, std::string_view key, long otherwise, Range range, const Names& names);
  void retries(const Section& each, Service& service, long seconds, const Names& names);
  void group(const Section& each);
  // supervisord_priorities.cc: of all programs, when all are made.
  struct Turn;
  void priority(Place place, const std::string& whose, const std::string& value, bool is_noted, bool is_proposed);
  std::vector<Turn> turns() const;
  static std::vector<const Turn*> just_before(const Turn& turn, const std::vector<Turn>& all);
  void priorities();
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
  const std::string& logs_;
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
  struct Priority {
    const Source* source;
    std::size_t line;
    std::string value;
  };
  std::map<std::string, Priority> program_priorities_, group_priorities_;  // those that are not as usual
  Draft draft_;
};

}  // namespace hearth::importers
