// The table against files of golden text. HEARTH_UPDATE_GOLDEN=1 writes them anew; then read the difference.
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "api/status_table.h"
#include "api/text.h"
#include "places.h"
#include "unit/api/fakes.h"

namespace hearth::api {
namespace {

constexpr WallNs now = seconds(1'700'000'000);

InstanceStatus stack() {
  InstanceStatus status;
  SlotStatus db = slot("blog", "db", Phase::running);
  db.has_readiness = db.ready = true;
  db.pid = 4242;
  db.since = now - seconds(7800);
  db.reason = Reason::ordered;
  SlotStatus stt0 = slot("blog", "stt", Phase::starting);
  stt0.has_readiness = true;
  stt0.pid = 51234;
  stt0.restarts = 2;
  stt0.since = now - seconds(38);
  stt0.status_text = "loading the model: 61 %";
  SlotStatus stt1 = stt0;
  stt1.index = 1;
  stt1.phase = Phase::waiting;
  stt1.pid = 0;
  stt1.reason = Reason::dependency_missing;
  stt1.reason_text = "waits for audio-capture to be ready";
  stt1.status_text.clear();
  SlotStatus web = slot("blog", "web-frontend-with-a-long-name", Phase::backoff);
  web.restarts = 14;
  web.failures = 4;
  web.since = now - seconds(3);
  web.reason = Reason::exited;
  web.reason_text = "exited with code 1 after 0.4 s";
  web.next_retry = now + milliseconds(7500);
  SlotStatus lost = slot("blog", "api", Phase::running);
  lost.has_readiness = true;
  lost.pid = 999;
  lost.since = now - seconds(400'000);
  lost.reason_text = "readiness probe: connection refused";
  SlotStatus off = slot("blog", "off", Phase::stopped);
  off.reason = Reason::ordered;
  off.reason_text = "stopped by order";
  off.since = now - seconds(60);
  status.services = {db, stt0, stt1, web, lost, off};
  status.notes = {{0, "the supervisor was replaced once"}, {now - seconds(65), "the keeper was replaced"}};
  return status;
}

std::vector<std::size_t> all_of(const InstanceStatus& status) {
  std::vector<std::size_t> all(status.services.size());
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
  return all;
}

std::string rendered(std::size_t columns, bool color = false) {
  const InstanceStatus status = stack();
  return status_table(status, all_of(status), {color, columns}, now);
}

void expect_golden(const std::string& name, const std::string& text) {
  const std::string path = std::string(HEARTH_SOURCE_DIR) + "/tests/unit/api/golden/" + name;
  if (std::getenv("HEARTH_UPDATE_GOLDEN") != nullptr) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream golden;
  golden << file.rdbuf();
  EXPECT_EQ(text, golden.str()) << path;
}

void expect_lines_within(const std::string& text, std::size_t columns) {
  std::istringstream lines(text);
  std::string line;
  while (std::getline(lines, line)) {
    EXPECT_TRUE(display_width(line) <= columns || line.starts_with("note:")) << line;
  }
}

TEST(StatusTable, at_40_columns_keeps_names_and_states_and_puts_details_below) {
  expect_golden("table_40.txt", rendered(40));
  expect_lines_within(rendered(40), 40);
}

TEST(StatusTable, at_80_columns_is_read_without_wrapping) {
  expect_golden("table_80.txt", rendered(80));
  expect_lines_within(rendered(80), 80);
}

TEST(StatusTable, at_200_columns_shows_everything_on_one_line_each) {
  expect_golden("table_200.txt", rendered(200));
  expect_lines_within(rendered(200), 200);
}

TEST(StatusTable, says_that_output_waits_or_was_lost_before_what_the_service_says_of_itself) {
  InstanceStatus status;
  status.services = {slot("blog", "db", Phase::running)};
  SlotStatus& db = status.services[0];
  const auto text = [&] { return status_table(status, {0}, {false, 0}, now); };
  db.status_text = "well";
  db.log.written = 4'000'000;
  EXPECT_EQ(text().find("log"), std::string::npos);
  db.log.waiting = "No space left on device";
  EXPECT_NE(text().find("  its log waits: No space left on device; well\n"), std::string::npos) << text();
  db.log.discarded = 4096;
  EXPECT_NE(text().find("  its log waits: No space left on device, and 4096 bytes of its output are lost; well\n"),
            std::string::npos)
      << text();
  db.log.waiting.clear();
  EXPECT_NE(text().find("  4096 bytes of its output are lost; well\n"), std::string::npos) << text();
  db.log = {.dropped = 3, .dropped_reason = "Connection refused", .untidied = "Read-only file system"};
  EXPECT_NE(
      text().find("  old files of its log are not compressed or removed: Read-only file system, and 3 lines did not "
                  "reach its log sink, last because of: Connection refused: `hearth logs db` has them; well\n"),
      std::string::npos)
      << text();
}

TEST(StatusTable, the_next_try_is_told_in_tenths_below_ten_seconds_and_never_too_early) {
  InstanceStatus status;
  status.services = {slot("app", "db", Phase::backoff)};
  const auto text = [&](SpanNs left) {
    status.services[0].next_retry = now + left;
    return status_table(status, {0}, {}, now);
  };
  for (const auto& [left, said] : {std::pair(milliseconds(300), "0.3s"),
                                   {milliseconds(201), "0.3s"},
                                   {SpanNs{1}, "0.1s"},
                                   {milliseconds(950), "1s"},
                                   {milliseconds(7500), "7.5s"},
                                   {seconds(8), "8s"},
                                   {milliseconds(9901), "10s"},
                                   {milliseconds(10'001), "11s"},
                                   {seconds(90), "1m 30s"}})
    EXPECT_NE(text(left).find(std::string("next try in ") + said + "\n"), std::string::npos) << text(left);
}

TEST(StatusTable, bad_tries_of_liveness_are_told_before_they_are_enough_for_a_restart) {
  InstanceStatus status;
  status.services = {slot("app", "db", Phase::running)};
  status.services[0].ailing = "1 of 2 bad tries of its liveness: it used 4.2 GiB";
  status.services[0].status_text = "well";
  const std::string table = status_table(status, {0}, {}, now);
  EXPECT_NE(table.find("  1 of 2 bad tries of its liveness: it used 4.2 GiB; well\n"), std::string::npos) << table;
}

// The names of the first column, in their order.
std::string names_in(const InstanceStatus& status) {
  std::istringstream lines(status_table(status, all_of(status), {}, now));
  std::string line, names;
  while (std::getline(lines, line)) names += line.substr(0, line.find(' ')) + " ";
  return names;
}

TEST(StatusTable, services_of_a_project_stand_together_and_runs_of_hearth_itself_last) {
  InstanceStatus status;
  status.services = {slot("_hearth", "upgrade", Phase::completed), slot("shop", "web", Phase::running),
                     slot("blog", "web", Phase::running), slot("shop", "db", Phase::running)};
  EXPECT_EQ(names_in(status), "SERVICE shop.web shop.db blog.web _hearth.upgrade ");
}

TEST(StatusTable, runs_of_hearth_itself_leave_the_names_of_services_alone) {
  InstanceStatus status;
  status.services = {slot("shop", "web", Phase::running), slot("_hearth", "upgrade", Phase::completed)};
  EXPECT_EQ(names_in(status), "SERVICE web _hearth.upgrade ");
}

TEST(StatusTable, piped_has_no_limit_and_nothing_is_cut) {
  const std::string text = rendered(0);
  EXPECT_EQ(text.find("\xe2\x80\xa6"), text.npos);
  EXPECT_EQ(text.find('\x1b'), text.npos);
}

TEST(StatusTable, colors_change_nothing_but_colors) {
  std::string text = rendered(80, true);
  EXPECT_NE(text.find("\x1b[32mready"), text.npos);
  std::string bare;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      i = text.find('m', i);
    } else {
      bare += text[i];
    }
  }
  // Paint ends behind the blanks of a cell, which a bare line does not have at its end.
  EXPECT_EQ(bare, rendered(80));
}

TEST(StatusTable, of_any_width_fits_it) {
  for (std::size_t columns = 20; columns < 160; ++columns) expect_lines_within(rendered(columns), columns);
}

TEST(StatusTable, names_the_project_only_when_there_are_several) {
  InstanceStatus status = stack();
  status.services.resize(2);
  EXPECT_EQ(status_table(status, {0, 1}, {}, now).find("blog."), std::string::npos);
  status.services[1].project = "other";
  EXPECT_NE(status_table(status, {0, 1}, {}, now).find("blog.db"), std::string::npos);
}

TEST(StatusTable, replicas_that_came_later_stand_with_the_others_by_their_own_names) {
  InstanceStatus status;
  status.services = {slot("app", "web", Phase::running), slot("app", "db", Phase::running),
                     slot("app", "web", Phase::running)};
  status.services[2].index = 1;
  status.services[0].replicas = status.services[2].replicas = 2;
  const std::string table = status_table(status, {0, 1, 2}, {}, now);
  const std::size_t first = table.find("web.0 "), second = table.find("web.1 "), other = table.find("db ");
  EXPECT_TRUE(first < second && second < other && other != table.npos) << table;
  EXPECT_NE(status_table(status, {0}, {}, now).find("web.0 "), std::string::npos) << "also alone";
}

TEST(StatusTable, without_services_says_what_to_do) {
  EXPECT_NE(status_table({}, {}, {}, now).find("hearth up"), std::string::npos);
}

TEST(StatusTable, says_what_is_in_the_way_of_an_end_that_was_asked_for) {
  InstanceStatus status;
  status.services = {slot("blog", "stt", Phase::stopping)};
  status.services[0].reason = Reason::ordered;
  status.services[0].reason_text = "KILL was sent, and PID 77 has not ended yet";
  const std::string text = status_table(status, {0}, {}, now);
  EXPECT_NE(text.find("KILL was sent, and PID 77 has not ended yet"), std::string::npos) << text;
}

TEST(StatusTable, commands_are_named_as_the_asker_calls_hearth) {
  InstanceStatus status;
  status.services = {slot("app", "web", Phase::waiting)};
  status.services[0].reason_text = "waits for db, which is stopped: `hearth start db`";
  status.notes = {{0, "`hearth up` brings it back"}};
  TableOptions options;
  EXPECT_NE(status_table(status, {0}, options, now).find("stopped: `hearth start db`\n"), std::string::npos);
  options.place = "--dir /x ";
  const std::string table = status_table(status, {0}, options, now);
  EXPECT_NE(table.find("stopped: `hearth --dir /x start db`\n"), std::string::npos) << table;
  EXPECT_NE(table.find("note: `hearth --dir /x up` brings it back\n"), std::string::npos) << table;
  EXPECT_NE(status_table({}, {}, options, now).find("`hearth --dir /x up` starts"), std::string::npos);
}

TEST(StatusTable, says_what_a_service_does_and_else_what_it_has_cost_to_load) {
  InstanceStatus status;
  status.services = {slot("blog", "stt", Phase::running)};
  SlotStatus& stt = status.services[0];
  const auto text = [&] { return status_table(status, {0}, {false, 0}, now); };
  stt.load = seconds(38);
  EXPECT_NE(text().find("  loaded in 38s\n"), std::string::npos) << text();
  stt.work = Work::busy;
  EXPECT_NE(text().find("  busy\n"), std::string::npos) << text();
  stt.work_item = "call 7";
  stt.work_done = 7;
  stt.work_total = 9;
  stt.status_text = "well";
  EXPECT_NE(text().find("  busy: call 7 (7 of 9); well\n"), std::string::npos) << text();
  stt.work = Work::idle;
  stt.work_item.clear();
  stt.work_total = 0;
  EXPECT_NE(text().find("  idle (7 done); well\n"), std::string::npos) << text();
}

}  // namespace
}  // namespace hearth::api
