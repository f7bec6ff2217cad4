#include "sample_pieces.h"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "keeper/message.h"
#include "os/messages.h"
#include "os/plan_builder.h"

namespace hearth::test {
namespace {

using wire::MessageType;

constexpr CapabilitySet all_capabilities = (CapabilitySet{1} << 41) - 1;
constexpr std::size_t message_bytes_most = 64 * 1024;

// What comes out at the other end of a socket, with how many descriptors.
SampledMessage caught(const std::function<bool(int socket)>& send) {
  int ends[2];
  EXPECT_EQ(0, ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends));
  const os::Fd sender(ends[0]), receiver(ends[1]);
  EXPECT_TRUE(send(sender.get()));
  SampledMessage message;
  message.bytes.resize(message_bytes_most);
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * wire::descriptors_per_message_max)];
  iovec part{message.bytes.data(), message.bytes.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  const ssize_t got = os::receive_with_control(receiver.get(), header, control, 0);
  message.bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    message.descriptors = static_cast<std::uint32_t>((at->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (std::uint32_t i = 0; i < message.descriptors; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
      ::close(fd);
    }
  }
  return message;
}

std::vector<int> several(const os::Fd& fd, std::uint32_t count) {
  return std::vector<int>(count, fd.get());
}

template <typename Record>
SampledMessage from_keeper(MessageType type, const std::vector<Record>& records, const std::vector<int>& fds = {}) {
  return caught([&](int socket) {
    return keeper::send_message(socket, type, records.data(), static_cast<std::uint32_t>(records.size()), fds.data(),
                                static_cast<std::uint32_t>(fds.size())) == 0;
  });
}

template <typename Record>
SampledMessage from_others(MessageType type, const std::vector<Record>& records, const std::vector<int>& fds = {}) {
  return caught([&](int socket) { return os::send_records<Record>(socket, type, records, fds) == os::Sent::yes; });
}

SampledMessage without_records(MessageType type, const std::vector<int>& fds = {}) {
  return caught([&](int socket) { return os::send_message(socket, type, nullptr, 0, 0, fds) == os::Sent::yes; });
}

void watch(SampledKeeper& sampled, EntryIndex entry, keeper::RunKind kind, pid_t pid, int pidfd) {
  wire::raise_entries_end(*sampled.table, entry + 1);
  sampled.keeper->run[entry] = {pidfd + 1, pid, 0, kind, false};
  if (kind == keeper::RunKind::child) keeper::remember_pid(*sampled.keeper, entry);
  if (pidfd >= 0) ++sampled.keeper->pidfds;
}

}  // namespace

std::string plan_of(const Document& document) {
  const auto full = std::find_if(document.services.begin(), document.services.end(),
                                 [](const ServiceSpec& spec) { return spec.name == full_service; });
  if (full == document.services.end()) {
    ADD_FAILURE() << "the recorded project has no service " << full_service;
    return "";
  }
  ports::SpawnOrder order;
  order.slot = plan_entry / wire::entries_per_slot;
  order.entry = plan_entry;
  order.run = plan_run;
  order.label = "shop.full.0";
  order.document = &document;
  order.spec = &*full;
  order.command = &full->command;
  order.watchdog = full->watchdog;
  os::PlanContext context;
  context.instance_directory = "/run/hearth/main";
  context.notify_path = "/run/hearth/main/n/77";
  context.passed = {"http"};
  context.own = {{"RUNTIME_DIRECTORY", "/run/shop"}};
  context.leaf = context.ruleset = true;
  context.nofile = os::NofileLimit{1024, 4096};
  context.privileges = os::Privileges{.user = 0,
                                      .known = all_capabilities,
                                      .permitted = all_capabilities,
                                      .bounding = all_capabilities,
                                      .ambient = 0,
                                      .no_new_privs = false};
  const Result<std::string> plan = os::build_plan(order, context);
  EXPECT_TRUE(plan) << plan.error().text();
  return plan.value_or("");
}

std::vector<SampledMessage> all_messages() {
  const os::Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto fds = [&](std::uint32_t count) { return several(null, count); };
  std::vector<SampledMessage> all;
  all.push_back(from_keeper<wire::HelloRecord>(MessageType::hello, {values::hello},
                                               fds(static_cast<std::uint32_t>(wire::HelloDescriptor::count_))));
  all.push_back(from_keeper<wire::SpawnerRecord>(MessageType::spawner, {values::spawner}, fds(1)));
  all.push_back(from_keeper<wire::ParkRecord>(MessageType::parked, {values::parked, values::output}, fds(2)));
  all.push_back(from_keeper<wire::RunRecord>(MessageType::ready, {}));
  all.push_back(without_records(MessageType::ack));
  all.push_back(from_others<wire::SignalRecord>(MessageType::signal, {values::signal}));
  all.push_back(from_others<wire::RunRecord>(MessageType::reap, {values::run}));
  all.push_back(from_others<wire::ParkRecord>(MessageType::park, {values::parked, values::output}, fds(2)));
  all.push_back(from_others<wire::ParkRecord>(MessageType::unpark, {values::parked}));
  all.push_back(from_others<wire::RunRecord>(MessageType::adopt, {values::run}, fds(1)));
  all.push_back(from_others<wire::SpawnerRecord>(MessageType::replace_spawner, {values::spawner}));
  all.push_back(from_others<wire::FinishRecord>(MessageType::finish, {values::finish}));
  all.push_back(from_others<wire::RunRecord>(MessageType::plan, {values::run}, fds(1 + plan_descriptors)));
  all.push_back(caught([&](int socket) {
    return os::send_short_plan(socket, values::run, values::short_plan, fds(plan_descriptors)) == os::Sent::yes;
  }));
  all.push_back(from_others<wire::FollowRecord>(MessageType::follow, {values::follow}, fds(1)));
  all.push_back(from_others<wire::ProgramRecord>(MessageType::program,
                                                 {std::begin(values::programs), std::end(values::programs)}, fds(2)));
  all.push_back(without_records(MessageType::up));
  all.push_back(from_keeper<wire::RunRecord>(MessageType::ask, {}));
  all.push_back(without_records(MessageType::at_work, fds(1)));
  return all;
}

SampledKeeper::SampledKeeper() {
  keeper->table = table.get();
  for (keeper::MemberState& member : keeper->member) member.socket = member.peer = -1;
}

// The descriptors are numbers: nobody opens them.
void occupy(SampledKeeper& sampled) {
  keeper::Keeper& k = *sampled.keeper;
  int fd = 20;
  for (int& each : k.fd) each = fd++;
  k.exec.own = fd++;
  k.log_directory = fd++;
  k.epoll = fd++;
  k.signals = fd++;
  k.children = fd++;
  k.supervisor_pidfd = -1;
  k.at_work = fd++;
  k.old_logger = -1;
  k.nofile = {1024, 4096};
  k.nofile_now = 1'000'000;
  k.silent_deaths = 1;
  k.stop_wanted_at = 98;
  k.retry_at = 99;
  for (std::uint32_t role = 0; role < keeper::role_end; ++role) {
    k.member[role].pid = static_cast<pid_t>(100 + role);
    k.member[role].socket = fd++;
    k.member[role].hello_sent = k.member[role].spoke = true;
  }
  k.member[keeper::role_logger].delay_ms = 200;
  k.member[keeper::role_logger].died_at[4] = 77;
  k.member[keeper::role_supervisor].announced[1] = 6;
  k.programs.of[keeper::role_supervisor] = {{60, true, 2}, {61, false, 0}, {-1, false, 0}, false, keeper::Trial::up, 1};
  k.programs.of[keeper::role_logger] = {{62, true, 2}, {63, true, 1}, {64, false, 0}, true, keeper::Trial::begun, 0};
  k.programs.probation[keeper::role_logger] = {97, 96, 95, true, false};
  k.programs.next_logger = -1;
  k.programs.upgrades = 2;
  watch(sampled, 3, keeper::RunKind::child, 200, 70);
  watch(sampled, 4, keeper::RunKind::foreign, 201, 71);
  watch(sampled, 9, keeper::RunKind::child, 202, -1);
  keeper::park(k, values::parked, 72, 4);
  keeper::park(k, values::output, 73, 4);
}

std::string hand_over_of(const keeper::Keeper& keeper) {
  const os::Fd fd(keeper::write_hand_over(keeper));
  EXPECT_TRUE(fd);
  std::string bytes(static_cast<std::size_t>(std::max<off_t>(0, ::lseek(fd.get(), 0, SEEK_END))), '\0');
  EXPECT_EQ(static_cast<ssize_t>(bytes.size()), ::pread(fd.get(), bytes.data(), bytes.size(), 0));
  return bytes;
}

}  // namespace hearth::test
