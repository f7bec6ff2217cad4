// This version reads what each released one has sent from process to process: plans, messages, hand-over records.
#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "keeper/message.h"
#include "os/messages.h"
#include "sample_pieces.h"
#include "wire/spawn_plan.h"

namespace hearth::test {
namespace {

struct KeptPiece : ::testing::TestWithParam<std::string> {
  std::string sample(const std::string& name) const { return read_sample(place_of(GetParam()), name); }
};

std::vector<std::string> strings(const std::string& plan, wire::PlanTable table) {
  std::vector<std::string> out;
  for (std::uint32_t i = 0; i < table.count; ++i)
    out.emplace_back(plan.data() + number_at(plan, table.offset + i * sizeof(std::uint32_t)));
  return out;
}

TEST_P(KeptPiece, of_a_plan_is_read_by_a_spawner) {
  using ::testing::Contains;
  using ::testing::ElementsAre;
  const std::string plan = sample("spawn-plan");
  if (number_at(plan, 4) != wire::plan_version) {
    EXPECT_NE(nullptr, wire::plan_problem(plan.data(), plan.size(), plan_descriptors)) << "it is of another version";
    return;
  }
  ASSERT_STREQ(nullptr, wire::plan_problem(plan.data(), plan.size(), plan_descriptors));
  wire::PlanHeader header;
  std::memcpy(&header, plan.data(), sizeof header);
  EXPECT_EQ(plan_entry, header.entry);
  EXPECT_EQ(plan_run, header.run);
  EXPECT_THAT(strings(plan, header.argv), ElementsAre("cat", "--number", "3"));
  EXPECT_THAT(strings(plan, header.paths), ElementsAre("/usr/local/bin/cat", "/usr/bin/cat", "/bin/cat"));
  const std::vector<std::string> env = strings(plan, header.env);
  for (const char* line : {"GREETING=\"Grüße\" an alle", "EMPTY=", "HEARTH_RUN=77", "HEARTH_SLOT=shop.full.0",
                           "NOTIFY_SOCKET=/run/hearth/main/n/77", "LISTEN_FDNAMES=http", "WATCHDOG_USEC=20000000",
                           "LD_LIBRARY_PATH=/opt/shop/lib", "LANG=C.UTF-8"})
    EXPECT_THAT(env, Contains(line));
  EXPECT_EQ(2u, header.pid_patches.count) << "LISTEN_PID and WATCHDOG_PID";
  EXPECT_STREQ("/srv/shop/p", plan.data() + header.cwd);
  EXPECT_STREQ("/dev/null", plan.data() + header.input);
  EXPECT_EQ(027, header.umask);
  EXPECT_EQ(5, header.nice);
  EXPECT_EQ(300, header.oom_score_adj);
  EXPECT_EQ(2 << 13 | 6, header.io_priority);
  EXPECT_EQ(1u, header.cpus.count);
  EXPECT_EQ(wire::plan_no_new_privs | wire::plan_bounds | wire::plan_capabilities, header.flags);
  EXPECT_EQ(0u, header.capabilities);
  EXPECT_GT(header.filter.count, 10u);
  EXPECT_EQ(3, header.cgroup);
  EXPECT_EQ(4, header.ruleset);
}

// As a keeper or a spawner takes one from its socket, and as the others do.
struct Taken {
  explicit Taken(const SampledMessage& message) {
    int ends[2];
    EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
    const os::Fd sender(ends[0]), receiver(ends[1]);
    const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_TRUE(send(sender.get(), message, null.get()) && send(sender.get(), message, null.get()));
    by_keeper = std::make_unique<keeper::Received>();
    well = keeper::receive(receiver.get(), *by_keeper) &&
           os::receive_message(receiver.get(), by_others, 0) == os::Received::message &&
           by_keeper->header.type == by_others.type && by_keeper->header.count == by_others.count &&
           by_keeper->descriptors == message.descriptors && by_others.descriptors.size() == message.descriptors;
  }
  static bool send(int socket, const SampledMessage& message, int fd) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * wire::descriptors_per_message_max)] = {};
    iovec part{const_cast<char*>(message.bytes.data()), message.bytes.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (message.descriptors > 0) {
      header.msg_control = control;
      header.msg_controllen = CMSG_SPACE(sizeof(int) * message.descriptors);
      cmsghdr* at = CMSG_FIRSTHDR(&header);
      at->cmsg_level = SOL_SOCKET;
      at->cmsg_type = SCM_RIGHTS;
      at->cmsg_len = CMSG_LEN(sizeof(int) * message.descriptors);
      for (std::uint32_t i = 0; i < message.descriptors; ++i)
        std::memcpy(CMSG_DATA(at) + i * sizeof fd, &fd, sizeof fd);
    }
    return ::sendmsg(socket, &header, 0) == static_cast<ssize_t>(message.bytes.size());
  }
  template <typename Record>
  bool is(const std::vector<Record>& records) const {
    const std::size_t bytes = records.size() * sizeof(Record);
    return well && by_keeper->header.count == records.size() && by_others.records.size() >= bytes &&
           std::memcmp(by_keeper->records, records.data(), bytes) == 0 &&
           std::memcmp(by_others.records.data(), records.data(), bytes) == 0;
  }
  std::unique_ptr<keeper::Received> by_keeper;
  os::Message by_others;
  bool well = false;
};

TEST_P(KeptPiece, of_each_message_is_taken_with_all_its_fields) {
  const std::vector<SampledMessage> messages = unpack(sample("messages"));
  ASSERT_FALSE(messages.empty());
  if (number_at(messages[0].bytes, sizeof(wire::MessageHeader)) != wire::message_version)
    GTEST_SKIP() << "they are of another version: a keeper and a supervisor that differ refuse each other";
  ASSERT_EQ(19u, messages.size());
  std::vector<Taken> taken;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    taken.emplace_back(messages[i]);
    EXPECT_TRUE(taken[i].well) << "type " << i + 1;
    EXPECT_EQ(static_cast<wire::MessageType>(i + 1), taken[i].by_others.type);
  }
  EXPECT_TRUE(taken[0].is<wire::HelloRecord>({values::hello}));
  EXPECT_TRUE(taken[1].is<wire::SpawnerRecord>({values::spawner}));
  EXPECT_TRUE(taken[2].is<wire::ParkRecord>({values::parked, values::output}));
  EXPECT_TRUE(taken[5].is<wire::SignalRecord>({values::signal}));
  EXPECT_TRUE(taken[6].is<wire::RunRecord>({values::run}));
  EXPECT_TRUE(taken[7].is<wire::ParkRecord>({values::parked, values::output}));
  EXPECT_TRUE(taken[8].is<wire::ParkRecord>({values::parked}));
  EXPECT_TRUE(taken[9].is<wire::RunRecord>({values::run}));
  EXPECT_TRUE(taken[10].is<wire::SpawnerRecord>({values::spawner}));
  EXPECT_TRUE(taken[11].is<wire::FinishRecord>({values::finish}));
  EXPECT_TRUE(taken[12].is<wire::RunRecord>({values::run}));
  EXPECT_TRUE(taken[13].is<wire::RunRecord>({values::run}));
  const keeper::Received& plan = *taken[13].by_keeper;
  EXPECT_EQ(values::short_plan,
            std::string(reinterpret_cast<const char*>(plan.records) + sizeof(wire::RunRecord), plan.rest));
  EXPECT_TRUE(taken[14].is<wire::FollowRecord>({values::follow}));
  EXPECT_TRUE(taken[15].is<wire::ProgramRecord>({std::begin(values::programs), std::end(values::programs)}));
}

// What a keeper of that version hands over when it executes this one.
TEST_P(KeptPiece, of_a_hand_over_record_brings_all_that_it_holds) {
  const std::string bytes = sample("hand-over");
  const os::Fd fd(::memfd_create("record", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  ASSERT_EQ(static_cast<ssize_t>(bytes.size()), ::write(fd.get(), bytes.data(), bytes.size()));
  ASSERT_EQ(0, ::fcntl(fd.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW));
  keeper::HandOver record{};
  const wire::HandOverProblem problem = keeper::open_hand_over(fd.get(), record);
  wire::HandOverHeader header{};
  std::memcpy(&header, bytes.data(), std::min(bytes.size(), sizeof header));
  if (header.version != wire::hand_over_version || header.slot_table_version != wire::slot_table_version ||
      header.message_version != wire::message_version) {
    EXPECT_NE(wire::HandOverProblem::none, problem) << "a keeper that goes on with those says so here";
    EXPECT_NE(wire::HandOverProblem::damaged, problem) << "it is whole";
    return;
  }
  ASSERT_EQ(wire::HandOverProblem::none, problem);
  SampledKeeper next;
  keeper::load_hand_over(*next.keeper, record);
  keeper::close_hand_over(record);
  EXPECT_EQ(26, next.keeper->fd[6]);
  EXPECT_EQ(1'000'000u, next.keeper->nofile_now);
  EXPECT_EQ(200u, next.keeper->member[keeper::role_logger].delay_ms);
  EXPECT_EQ(keeper::Trial::begun, next.keeper->programs.of[keeper::role_logger].trial);
  EXPECT_EQ(64, next.keeper->programs.of[keeper::role_logger].older.fd);
  EXPECT_EQ(keeper::RunKind::foreign, next.keeper->run[4].kind);
  EXPECT_EQ(202, next.keeper->run[9].pid);
  EXPECT_EQ(72, next.keeper->parked.item[0].fd);
  // And all the rest: handed over once more, it is the same record.
  wire::raise_entries_end(*next.table, 10);
  next.keeper->exec.own = header.giver;
  EXPECT_EQ(bytes, hand_over_of(*next.keeper));
}

INSTANTIATE_TEST_SUITE_P(Of, KeptPiece, ::testing::ValuesIn(kept_versions()),
                         [](const ::testing::TestParamInfo<std::string>& version) {
                           return test_name_of(version.param);
                         });

}  // namespace
}  // namespace hearth::test
