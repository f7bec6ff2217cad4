// Each format has a kept sample of the number that it has now, nobody has changed a sample, and this version reads in each
// what was written.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <regex>
#include <set>
#include <unistd.h>

#include <boost/json.hpp>
#include <gmock/gmock.h>

#include "config/document_json.h"
#include "integration/logger/keeper_stand_in.h"
#include "places.h"
#include "sample_pieces.h"
#include "samples.h"
#include "store/run_list.h"
#include "supervisor/head.h"
#include "wire/decision_page.h"
#include "wire/log_index.h"
#include "wire/log_page.h"
#include "wire/spawn_plan.h"

namespace hearth::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using ::testing::HasSubstr;

constexpr const char* record_command = "HEARTH_RECORD_FORMATS=1 build/release/tests/system_formats_record_test";

// The first file whose path ends so; a sample names files after services and numbers.
std::string file_that_ends(const std::string& place, const std::string& end) {
  for (const std::string& name : files_below(place))
    if (name.ends_with(end)) return read_sample(place, name);
  ADD_FAILURE() << place << " has no file *" << end;
  return "";
}
std::uint32_t json_format(const std::string& text) {
  // Of runs.json only the head is an object of its own.
  static const std::regex format("\"format\":([0-9]+)");
  std::smatch found;
  return std::regex_search(text, found, format) ? static_cast<std::uint32_t>(std::stoul(found[1])) : 0;
}

// How the number of a sample is found in it. Magic and version come first in all that is binary.
struct Format {
  std::string constant;  // as it is called in the code, without its room
  std::uint32_t now;
  std::function<std::uint32_t(const std::string& place)> kept;
};
std::vector<Format> formats() {
  const auto second = [](const std::string& name) {
    return [name](const std::string& place) { return number_at(read_sample(place, name), 4); };
  };
  return {
      {"slot_table_version", wire::slot_table_version, second("instance/state/slot-table")},
      {"decision_page_version", wire::decision_page_version, second("instance/state/decision-page")},
      {"decision_record_version", wire::decision_record_version,
       [](const std::string& place) {
         return number_at(read_sample(place, "instance/state/decision-page"),
                          offsetof(wire::DecisionPage, record_version));
       }},
      {"log_page_version", wire::log_page_version, second("log-page")},
      {"log_index_version", wire::log_index_version,
       [](const std::string& place) { return number_at(file_that_ends(place, ".idx"), 4); }},
      {"plan_version", wire::plan_version, second("spawn-plan")},
      // The first message is hello, whose record begins with it.
      {"message_version", wire::message_version,
       [](const std::string& place) {
         return number_at(unpack(read_sample(place, "messages")).at(0).bytes, sizeof(wire::MessageHeader));
       }},
      {"hand_over_version", wire::hand_over_version, second("hand-over")},
      {"document_format", config::document_format,
       [](const std::string& place) { return json_format(file_that_ends(place, "1.json")); }},
      {"run_list_format", ports::run_list_format,
       [](const std::string& place) { return json_format(read_sample(place, "instance/runs.json")); }},
  };
}

TEST(KeptFormats, have_a_sample_of_the_number_that_each_has_now) {
  ASSERT_FALSE(kept_versions().empty());
  for (const Format& format : formats()) {
    std::string seen;
    bool kept = false;
    for (const std::string& version : kept_versions()) {
      const std::uint32_t number = format.kept(place_of(version));
      kept |= number == format.now;
      seen += " " + version + " has " + std::to_string(number) + ",";
    }
    EXPECT_TRUE(kept)
        << format.constant << " is " << format.now << " now, and no sample in tests/formats is of that number:" << seen
        << "\n  Who raises a number keeps a sample: " << record_command
        << "\n  (the directory of this version goes first, if it is not released yet). Samples of released "
        << "versions stay, and are read, converted or refused in words: tests/formats/README.md";
  }
}

// A new format, or a new room that has one, comes to the list above by this.
TEST(KeptFormats, are_all_that_have_a_number_in_the_code) {
  std::set<std::string> known;
  for (const Format& format : formats()) known.insert(format.constant);
  const std::set<std::string> none = {
      "record_version",   // is decision_record_version
      "ask_for_version",  // of Landlock, in the kernel
  };
  const std::regex constant("constexpr (?:std::)?(?:uint32_t|uint64_t|int|unsigned) (\\w+_(?:version|format)) =");
  std::set<std::string> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(HEARTH_SOURCE_DIR "/src")) {
    if (entry.path().extension() != ".h" && entry.path().extension() != ".cc") continue;
    std::ifstream in(entry.path());
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    for (std::sregex_iterator it(text.begin(), text.end(), constant), end; it != end; ++it)
      if (!none.contains((*it)[1].str())) found.insert((*it)[1].str());
  }
  EXPECT_EQ(known, found) << "a format without a sample, or a sample without a format: the list in " << __FILE__;
}

TEST(KeptFormats, stand_in_the_table_of_their_numbers) {
  const std::string page = os::read_file(HEARTH_SOURCE_DIR "/docs/formats/README.md").value_or("");
  for (const std::string& version : kept_versions()) {
    std::string row = "\n| " + version + " |";
    for (const Format& format : formats()) {
      // The records stand in the column of their page.
      if (format.constant == "decision_record_version") row.replace(row.size() - 2, 2, ",");
      row += " " + std::to_string(format.kept(place_of(version))) + " |";
    }
    EXPECT_THAT(page, HasSubstr(row + "\n")) << "docs/formats/README.md";
  }
}

struct KeptSample : ::testing::TestWithParam<std::string> {
  std::string place = place_of(GetParam());
  std::string sample(const std::string& name) const { return read_sample(place, name); }
};

TEST_P(KeptSample, is_as_it_was_recorded) {
  const std::string sums = sample("SHA256SUMS");
  std::set<std::string> summed, there;
  for (std::size_t at = 0; at < sums.size(); at = sums.find('\n', at) + 1)
    summed.insert(sums.substr(at, sums.find('\n', at) - at).substr(64 + 2 + 2));  // the sum, two blanks, "./"
  for (const std::string& name : files_below(place))
    if (name != "SHA256SUMS") there.insert(name);
  EXPECT_EQ(summed, there);
  const std::string check = "cd '" + place + "' && sha256sum --check --strict --quiet SHA256SUMS >&2";
  EXPECT_EQ(0, std::system(check.c_str())) << place << ": what a version has written is never changed";
}

// Of what a later version has learnt, an older sample says nothing; but nothing of it may be lost.
bool holds_all_of(const json::value& now, const json::value& then, std::string& missing) {
  if (then.is_object()) {
    if (!now.is_object()) return false;
    for (const auto& [key, value] : then.get_object()) {
      const json::value* own = now.get_object().if_contains(key);
      if (own != nullptr && holds_all_of(*own, value, missing)) continue;
      if (missing.empty()) missing = std::string(key) + ": " + json::serialize(value);
      return false;
    }
    return true;
  }
  if (then.is_array()) {
    if (!now.is_array() || now.get_array().size() != then.get_array().size()) return false;
    for (std::size_t i = 0; i < then.get_array().size(); ++i)
      if (!holds_all_of(now.get_array()[i], then.get_array()[i], missing)) return false;
    return true;
  }
  return now == then;
}

TEST_P(KeptSample, of_a_document_is_understood_whole) {
  const Filling filling{{{placeholder::bin, "/usr/bin"}, {placeholder::base, "/srv/shop"}}, {}, {}};
  const std::string text = fill_text(sample("instance/spec/1.json"), filling);
  const Result<Document> document = config::document_from_json(text);
  ASSERT_TRUE(document) << document.error().text();
  EXPECT_EQ("shop", document->project);
  EXPECT_EQ(1u, document->version);
  ASSERT_EQ(6u, document->services.size());
  const ServiceSpec* full = nullptr;
  for (const ServiceSpec& spec : document->services)
    if (spec.name == full_service) full = &spec;
  ASSERT_NE(nullptr, full);
  EXPECT_EQ(5, full->process->nice);
  EXPECT_EQ(milliseconds(250), full->backoff.initial);
  EXPECT_EQ(204, full->ready->expect_status);
  std::string missing;
  EXPECT_TRUE(holds_all_of(json::parse(config::document_to_json(*document)), json::parse(text), missing)) << missing;
  EXPECT_EQ(sample("instance/state/document-1"), sample("instance/spec/1.json"));
}

TEST_P(KeptSample, of_the_list_of_runs_is_understood) {
  const Result<store::RunList> list = store::parse_run_list(sample("instance/runs.json"));
  ASSERT_TRUE(list) << list.error().text();
  EXPECT_EQ(placeholder::boot_id, list->boot_id);
  EXPECT_EQ(placeholder::pid_namespace, list->pid_namespace);
  EXPECT_THAT(list->instance, HasSubstr(placeholder::base));
  std::map<std::string, ports::RunNote> notes;
  for (const ports::RunNote& note : list->runs) notes[note.label] = note;
  ASSERT_EQ(6u, notes.size());
  EXPECT_TRUE(notes["shop.web.0"].want_up && notes["shop.web.0"].was_ready);
  EXPECT_GT(notes["shop.web.0"].pid, static_cast<std::int32_t>(placeholder::pid));
  EXPECT_GT(notes["shop.web.0"].start_ticks, placeholder::ticks);
  EXPECT_LT(notes["shop.web.0"].run, list->next_run);
  EXPECT_TRUE(notes["shop.db.0"].want_up);
  EXPECT_FALSE(notes["shop.off.0"].want_up);
  EXPECT_EQ(0, notes["shop.off.0"].pid);
}

// By the records themselves, where they are ours.
TEST_P(KeptSample, of_the_decision_page_says_what_was_decided) {
  const std::string bytes = sample("instance/state/decision-page");
  if (number_at(bytes, 4) != wire::decision_page_version) GTEST_SKIP() << "it is of another version";
  ASSERT_EQ(sizeof(wire::DecisionPage), bytes.size());
  const auto page = std::make_unique<wire::DecisionPage>();
  std::memcpy(static_cast<void*>(page.get()), bytes.data(), bytes.size());
  if (page->record_version != wire::decision_record_version) GTEST_SKIP() << "its records are of another version";
  ASSERT_EQ(supervisor::PageProblem::none, supervisor::problem_of(*page));
  const supervisor::Head head = supervisor::head_of(*page);
  const Result<store::RunList> list = store::parse_run_list(sample("instance/runs.json"));
  EXPECT_EQ(list->next_run, head.last_run + 1);
  EXPECT_EQ(1u, head.last_document);
  EXPECT_FALSE(head.shutting_down);
  EXPECT_EQ(placeholder::journal_end, head.journal_end);
  const std::string events = sample("instance/state/events-1");
  EXPECT_EQ(events, sample("instance/events.jsonl"));
  EXPECT_THAT(events, HasSubstr("\n{\"id\":" + std::to_string(head.last_event) + ","));
  EXPECT_EQ(static_cast<std::uint64_t>(std::count(events.begin(), events.end(), '\n')), head.last_event);
  std::map<std::uint32_t, SlotState> of_service;
  for (SlotIndex slot = 0; slot < head.slots_used; ++slot) {
    SlotState state;
    ASSERT_TRUE(wire::read_slot(*page, slot, &state, sizeof state));
    EXPECT_TRUE(supervisor::makes_sense(state, slot, head.slots_used));
    if (state.used) of_service[state.service] = state;
  }
  ASSERT_EQ(6u, of_service.size());  // in the order of the file
  enum { web, db, crash, task, off, full };
  EXPECT_EQ(Phase::running, of_service[web].life.phase);
  EXPECT_EQ(Phase::running, of_service[db].life.phase);
  EXPECT_EQ(1u, of_service[db].life.restarts);
  EXPECT_EQ(9, of_service[db].last_exit.status);
  EXPECT_STREQ("1,200 customers", of_service[db].health.status);
  EXPECT_EQ(Phase::failed, of_service[crash].life.phase);
  EXPECT_EQ(Reason::crash_loop, of_service[crash].life.reason);
  EXPECT_EQ(7, of_service[crash].last_exit.status);
  EXPECT_EQ(Phase::completed, of_service[task].life.phase);
  EXPECT_EQ(Phase::stopped, of_service[off].life.phase);
  EXPECT_EQ(15, of_service[off].last_exit.status);
  EXPECT_EQ(Phase::stopped, of_service[full].life.phase);
  EXPECT_FALSE(of_service[full].life.want_up);
  const auto accepted = std::count_if(std::begin(page->operation), std::end(page->operation),
                                      [](const wire::OperationRecord& record) { return record.stamp != 0; });
  EXPECT_GE(accepted, 2) << "up and stop";
}

TEST_P(KeptSample, of_the_slot_table_says_what_ran) {
  const std::string bytes = sample("instance/state/slot-table");
  if (number_at(bytes, 4) != wire::slot_table_version) GTEST_SKIP() << "it is of another version";
  ASSERT_EQ(sizeof(wire::SlotTable), bytes.size());
  const auto table = std::make_unique<wire::SlotTable>();
  std::memcpy(static_cast<void*>(table.get()), bytes.data(), bytes.size());
  ASSERT_TRUE(wire::slot_table_valid(*table, bytes.size()));
  EXPECT_EQ(GetParam(), table->supervisor_version);
  EXPECT_EQ(placeholder::state_id, table->state_id);
  EXPECT_STREQ(placeholder::boot_id, table->identity.boot_id);
  const Result<store::RunList> list = store::parse_run_list(sample("instance/runs.json"));
  for (const ports::RunNote& note : list->runs) {
    if (note.pid == 0) continue;
    const auto entry = std::find_if(std::begin(table->entry), std::end(table->entry),
                                    [&](const wire::RunEntry& each) { return each.run == note.run; });
    ASSERT_NE(std::end(table->entry), entry) << note.label;
    EXPECT_EQ(note.pid, entry->pid);
    EXPECT_EQ(note.start_ticks, entry->start_ticks);
    EXPECT_EQ(wire::EntryPhase::watched, wire::phase_of(*entry));
    EXPECT_EQ(15u, entry->stop_signal);
  }
}

// The real logger goes on where the one of that version was: nothing is lost, nothing is there twice.
TEST_P(KeptSample, of_the_log_page_is_gone_on_with) {
  const std::string bytes = sample("log-page");
  if (number_at(bytes, 4) != wire::log_page_version) GTEST_SKIP() << "it is of another version";
  ASSERT_EQ(sizeof(wire::LogPage), bytes.size());
  logger::test::TemporaryDirectory logs;
  logger::test::KeeperStandIn keeper(HEARTH_BIN_DIR "/hearth-logger", logs.path());
  std::memcpy(static_cast<void*>(&keeper.page()), bytes.data(), bytes.size());
  ASSERT_TRUE(wire::log_page_valid(keeper.page(), bytes.size()));
  SlotIndex web = no_slot;
  for (SlotIndex slot = 0; slot < 16; ++slot)
    if (std::string(keeper.stream(slot).directory).find(".web.") != std::string::npos) web = slot;
  ASSERT_NE(no_slot, web);
  EXPECT_EQ(2u, keeper.stream(web).file) << "it was asked for the next file once";
  EXPECT_EQ(1u, keeper.page().policy[web].compress);
  const std::string stream = keeper.stream(web).directory;
  fs::create_directory(logs.path() + "/" + stream);
  std::string before;
  for (const std::string& name : files_below(place + "/instance/logs/" + stream)) {
    fs::copy_file(place + "/instance/logs/" + stream + "/" + name, logs.path() + "/" + stream + "/" + name);
    if (name == "00000002.log") before = sample("instance/logs/" + stream + "/" + name);
  }
  EXPECT_EQ(before.size(), keeper.stream(web).offset);
  os::Fd out = keeper.add_run(1000, web);
  keeper.start();
  ASSERT_TRUE(keeper.wait_acknowledged());
  ASSERT_EQ(9, ::write(out.get(), "and then\n", 9));
  out.reset();
  keeper.end_run(1000, web);
  EXPECT_TRUE(keeper.wait_drained(1000, web));
  EXPECT_EQ(before.size() + 9, keeper.stream(web).offset);
  EXPECT_EQ(before + "and then\n", os::read_file(logs.path() + "/" + stream + "/00000002.log").value_or(""));
}

INSTANTIATE_TEST_SUITE_P(Of, KeptSample, ::testing::ValuesIn(kept_versions()),
                         [](const ::testing::TestParamInfo<std::string>& version) {
                           return test_name_of(version.param);
                         });

}  // namespace
}  // namespace hearth::test
