// The hand-over record: what was written is what is read, and nothing else is believed.

#include <fcntl.h>
#include <functional>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "keeper/state.h"

namespace hearth::keeper {
namespace {

using wire::HandOverProblem;

class HandOverRecord : public testing::Test {
 protected:
  HandOverRecord() : table_(std::make_unique<wire::SlotTable>()), k(empty()) {
    k->log_directory = k->epoll = k->signals = k->exec.own = 20;
    for (int& fd : k->fd) fd = 21;
    k->nofile_now = 1'000'000;
  }
  ~HandOverRecord() override { close_hand_over(record); }
  std::unique_ptr<Keeper> empty() {
    auto keeper = std::make_unique<Keeper>();
    keeper->table = table_.get();
    for (MemberState& member : keeper->member) member.socket = member.peer = -1;
    return keeper;
  }
  void watch(EntryIndex entry, RunKind kind, pid_t pid, int pidfd) {
    wire::raise_entries_end(*table_, entry + 1);
    k->run[entry] = {pidfd + 1, pid, 0, kind, false};
    if (kind == RunKind::child) remember_pid(*k, entry);
    if (pidfd >= 0) ++k->pidfds;
  }
  std::vector<unsigned char> written() {
    const int fd = write_hand_over(*k);
    std::vector<unsigned char> bytes(static_cast<size_t>(lseek(fd, 0, SEEK_END)));
    EXPECT_EQ(pread(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    close(fd);
    return bytes;
  }
  HandOverProblem read(const std::vector<unsigned char>& bytes, bool sealed = true) {
    close_hand_over(record);
    const int fd = memfd_create("record", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    EXPECT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    if (sealed) {
      EXPECT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW), 0);
    }
    const HandOverProblem problem = open_hand_over(fd, record);
    close(fd);
    return problem;
  }
  HandOverProblem read_with(const std::function<void(wire::HandOverHeader&)>& change) {
    std::vector<unsigned char> bytes = written();
    change(*reinterpret_cast<wire::HandOverHeader*>(bytes.data()));
    return read(bytes);
  }

  std::unique_ptr<wire::SlotTable> table_;
  std::unique_ptr<Keeper> k;
  HandOver record = {};
};

TEST_F(HandOverRecord, BringsRunsAndTheIndexOfTheirPids) {
  watch(3, RunKind::child, 100, 30);
  watch(4, RunKind::foreign, 101, 31);
  watch(9, RunKind::child, 102, -1);
  ASSERT_EQ(read(written()), HandOverProblem::none);
  const auto next = empty();
  load_hand_over(*next, record);
  EXPECT_EQ(next->pidfds, 2u);
  for (EntryIndex i = 0; i < 12; ++i) {
    EXPECT_EQ(next->run[i].kind, k->run[i].kind) << i;
    EXPECT_EQ(next->run[i].pid, k->run[i].pid) << i;
    EXPECT_EQ(next->run[i].pidfd_plus_1, k->run[i].pidfd_plus_1) << i;
  }
  EXPECT_EQ(memcmp(next->pid_bucket, k->pid_bucket, sizeof k->pid_bucket), 0);
}

TEST_F(HandOverRecord, BringsMembersAndTheirProgramsAsTheyAre) {
  MemberState& logger = k->member[role_logger];
  logger.pid = 7;
  logger.socket = 40;
  logger.delay_ms = 200;
  logger.died_at[4] = 77;
  logger.hello_sent = logger.spoke = true;
  logger.unacked = 2;
  k->member[role_supervisor].cursor = 5;
  k->member[role_supervisor].announced[1] = 6;
  k->programs.of[role_logger] = {{41, true, 6}, {42, false, 5}, {-1, false, 0}, false, Trial::begun, 2};
  k->programs.probation[role_logger] = {99, 97, 96, true, false};
  k->programs.probation[role_supervisor] = {0, 0, 0, false, true};
  k->programs.upgrades = 6;
  k->at_work = 43;
  k->stop_wanted_at = 98;
  ASSERT_EQ(read(written()), HandOverProblem::none);
  const auto next = empty();
  load_hand_over(*next, record);
  const MemberState& read_back = next->member[role_logger];
  EXPECT_EQ(read_back.pid, 7);
  EXPECT_EQ(read_back.socket, 40);
  EXPECT_EQ(read_back.peer, -1);
  EXPECT_EQ(read_back.delay_ms, 200u);
  EXPECT_EQ(read_back.died_at[4], 77);
  EXPECT_TRUE(read_back.hello_sent && read_back.spoke && !read_back.ready_sent && !read_back.wants_room);
  EXPECT_EQ(read_back.unacked, 2u);
  EXPECT_EQ(next->member[role_supervisor].cursor, 5u);
  EXPECT_EQ(next->member[role_supervisor].announced[1], 6u);
  const ProgramState& program = next->programs.of[role_logger];
  EXPECT_EQ(program.now.fd, 41);
  EXPECT_TRUE(program.now.given && !program.before.given && !program.has_older);
  EXPECT_EQ(program.before.fd, 42);
  EXPECT_EQ(program.trial, Trial::begun);
  EXPECT_EQ(program.deaths, 2u);
  EXPECT_EQ(program.now.upgrade, 6u);
  EXPECT_EQ(program.before.upgrade, 5u);
  const Probation& probation = next->programs.probation[role_logger];
  EXPECT_EQ(probation.until, 99);
  EXPECT_EQ(probation.looked_at, 97);
  EXPECT_EQ(probation.ask_at, 96);
  EXPECT_TRUE(probation.ask && !probation.silent);
  EXPECT_TRUE(next->programs.probation[role_supervisor].silent);
  EXPECT_EQ(next->programs.upgrades, 6u);
  EXPECT_EQ(next->at_work, 43);
  EXPECT_EQ(next->stop_wanted_at, 98);
  EXPECT_EQ(next->nofile_now, 1'000'000u);
}

// What comes and goes leaves holes, names that are used again, and a queue for the logger.
TEST_F(HandOverRecord, BringsParkedDescriptorsToTheirPlaces) {
  k->member[role_logger].socket = 40;
  std::mt19937 random(1);
  const auto identity = [](std::uint32_t n) {
    wire::ParkRecord r{
        n % 2 != 0 ? wire::ParkClass::output : wire::ParkClass::store, n % 3 == 0 ? no_slot : n, n, 0, {}};
    if (n % 5 == 0) strcpy(r.name, ("name-" + std::to_string(n)).c_str());
    return r;
  };
  for (int i = 0; i < 3'000; ++i) {
    const wire::ParkRecord r = identity(random() % 300);
    if (random() % 3 == 0)
      unpark(*k, r);
    else
      park(*k, r, open("/dev/null", O_RDONLY | O_CLOEXEC), 1);
    if (random() % 4 == 0 && next_for_logger(*k) != nullptr) told_logger(*k);
  }
  ASSERT_EQ(read(written()), HandOverProblem::none);
  const auto next = empty();
  load_hand_over(*next, record);
  EXPECT_EQ(next->parked.count, k->parked.count);
  EXPECT_EQ(next->parked.end, k->parked.end);
  for (std::uint32_t i = 0; i < k->parked.end; ++i) {
    const Parked &a = k->parked.item[i], &b = next->parked.item[i];
    ASSERT_EQ(a.used, b.used) << i;
    if (!a.used) continue;
    wire::ParkRecord ours, theirs;
    fill_record(*k, a, ours);
    fill_record(*next, b, theirs);
    EXPECT_EQ(memcmp(&ours, &theirs, sizeof ours), 0) << i;
    EXPECT_EQ(a.fd, b.fd);
    EXPECT_EQ(a.dropped, b.dropped);
  }
  while (next_for_logger(*k) != nullptr) {
    ASSERT_NE(next_for_logger(*next), nullptr);
    EXPECT_EQ(next_for_logger(*k) - k->parked.item, next_for_logger(*next) - next->parked.item);
    told_logger(*k);
    told_logger(*next);
  }
  EXPECT_EQ(next_for_logger(*next), nullptr);
  // By identity, as before. The descriptors are the same ones, and are closed once.
  for (std::uint32_t n = 0; n < 300; ++n) unpark(*next, identity(n));
  EXPECT_EQ(next->parked.count, 0u);
}

TEST_F(HandOverRecord, OfAnotherVersionIsRefusedByName) {
  EXPECT_EQ(read_with([](auto& h) { ++h.version; }), HandOverProblem::version);
  EXPECT_EQ(read_with([](auto& h) { ++h.slot_table_version; }), HandOverProblem::slot_table);
  EXPECT_EQ(read_with([](auto& h) { ++h.message_version; }), HandOverProblem::messages);
  EXPECT_EQ(read_with([](auto&) {}), HandOverProblem::none);
}

TEST_F(HandOverRecord, ThatContradictsItselfIsNoRecord) {
  watch(3, RunKind::child, 100, 30);
  watch(4, RunKind::child, 101, 31);
  EXPECT_EQ(read_with([](auto& h) { h.magic = 0; }), HandOverProblem::damaged);
  EXPECT_EQ(read_with([](auto& h) { ++h.size; }), HandOverProblem::damaged);
  EXPECT_EQ(read_with([](auto& h) { ++h.runs; }), HandOverProblem::damaged);
  EXPECT_EQ(read_with([](auto& h) { h.runs = UINT32_MAX; }), HandOverProblem::damaged);
  EXPECT_EQ(read_with([](auto& h) { h.parked = UINT32_MAX; }), HandOverProblem::damaged);
  EXPECT_EQ(read_with([](auto& h) { h.queue_head = 1; }), HandOverProblem::damaged);
  EXPECT_EQ(read_with([](auto& h) { h.program[0].trial = 9; }), HandOverProblem::damaged);
  EXPECT_EQ(read_with([](auto& h) { reinterpret_cast<wire::HandOverRun*>(&h + 1)->entry = wire::max_entries; }),
            HandOverProblem::damaged);
  EXPECT_EQ(read_with([](auto& h) { reinterpret_cast<wire::HandOverRun*>(&h + 1)->entry = 4; }),
            HandOverProblem::damaged)
      << "one entry twice";
  std::vector<unsigned char> bytes = written();
  EXPECT_EQ(read(bytes, false), HandOverProblem::damaged) << "somebody could still write in it";
  const char* const plain = "hand-over-in-a-plain-file";
  const int file = open(plain, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  unlink(plain);
  ASSERT_EQ(write(file, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(open_hand_over(file, record), HandOverProblem::damaged) << "of no memfd, it has no seals";
  close(file);
  bytes.resize(bytes.size() - 1);
  EXPECT_EQ(read(bytes), HandOverProblem::damaged);
  bytes.resize(10);
  EXPECT_EQ(read(bytes), HandOverProblem::damaged);
}

}  // namespace
}  // namespace hearth::keeper
