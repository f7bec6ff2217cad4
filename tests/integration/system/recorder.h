// Records a sample of every format as this version writes it: a real hearth lives through a small story, and then dies as a
// whole. What it leaves is the sample, with placeholders (samples.h).
#pragma once

#include <map>
#include <string>

#include "instance.h"
#include "samples.h"

namespace hearth::test {

class Recorder : public Machine {
 protected:
  // Into this directory, which is made. Everything that a sample has, and SHA256SUMS.
  void record(const std::string& place);

 private:
  Output clean(const std::vector<std::string>& words);
  Actor& actor(const std::string& label);
  void forget(const std::string& label) { actors_.erase(label); }
  void write_project();
  void play();
  void rotate_and_compress();
  void wait_for_the_disk();
  void open_log_page();
  void keep(const std::string& name, const std::string& bytes);
  void keep_page(const std::string& name, const std::string& bytes);
  void keep_directory();
  void keep_state();
  void keep_log_page();
  void keep_pieces();
  std::string without_places(std::string text);
  std::uint32_t name_of_pid(std::uint32_t pid);
  std::uint64_t name_of_ticks(std::uint64_t ticks);
  void name_processes_of_table(std::string& bytes);
  void name_processes_of_page(std::string& bytes);
  void name_journal_of_page(std::string& bytes);

  std::string place_;
  std::map<std::string, Actor> actors_;
  std::map<std::uint32_t, std::uint32_t> pids_;
  std::map<std::uint64_t, std::uint64_t> ticks_;
  os::Fd log_page_;
};

}  // namespace hearth::test
