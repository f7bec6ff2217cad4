// Listening sockets of runs that an earlier hearth has left: taken back from who was given them.
#include <algorithm>
#include <sched.h>

#include "os/clock.h"
#include "os/listeners.h"
#include "os/proc_stat.h"
#include "unit/os/adoption_fixture.h"

namespace hearth::os {
namespace {

struct ListenerAdoptionTest : AdoptionTest {
  std::string address = "unix:" + keeper.instance().directory + "/web.sock";
  Fd listener = std::move(*listen_on({.name = "http", .address = address}, {}));
  void adopt(pid_t pid) {
    maker.spec().listen = {{.name = "http", .address = address}};
    listener.reset();  // of the dead
    EXPECT_TRUE(client->adopt(maker.order(0, 7), pid, start_ticks(pid)));
    keeper.handle();
  }
};

TEST_F(ListenerAdoptionTest, a_listening_socket_is_taken_back_from_the_service_that_lives) {
  Child service(listener.get());
  const std::uint64_t identity = file_identity(listener.get());
  // When it is there: the child closes and moves what it has.
  while (!*listener_of(open_process(service.pid).pidfd.get(), 3, address)) ::sched_yield();
  adopt(service.pid);
  const Parked* parked = keeper.parked().find(ParkClass::listen, 0, "http");
  ASSERT_NE(nullptr, parked);
  EXPECT_EQ(identity, file_identity(parked->fd));
  EXPECT_TRUE(client->take_notes().empty());
}

TEST_F(ListenerAdoptionTest, one_that_cannot_be_looked_for_now_is_taken_back_later_and_none_is_bound_beside_it) {
  HEARTH_SKIP_IF_SANITIZED();
  Child service(listener.get());
  const std::uint64_t identity = file_identity(listener.get());
  while (!*listener_of(open_process(service.pid).pidfd.get(), 3, address)) ::sched_yield();
  maker.spec().listen = {{.name = "http", .address = address}};
  listener.reset();
  const std::uint64_t ticks = start_ticks(service.pid);
  {
    const test::FewDescriptors none(0);
    EXPECT_TRUE(client->adopt(maker.order(0, 7), service.pid, ticks));
  }
  keeper.handle();
  EXPECT_EQ(nullptr, keeper.parked().find(ParkClass::listen, 0, "http"));
  const MonoNs until = after(read_mono(), seconds(30));
  while (keeper.parked().find(ParkClass::listen, 0, "http") == nullptr) {
    ASSERT_LT(read_mono(), until);
    settle();
  }
  EXPECT_EQ(identity, file_identity(keeper.parked().find(ParkClass::listen, 0, "http")->fd));
  EXPECT_TRUE(client->take_notes().empty());
}

TEST_F(ListenerAdoptionTest, a_service_that_has_moved_its_listening_socket_must_not_be_ended_for_it) {
  Child service;
  Fd moved(::fcntl(listener.get(), F_DUPFD_CLOEXEC, 200));  // held by somebody who cannot be asked
  adopt(service.pid);
  EXPECT_EQ(nullptr, keeper.parked().find(ParkClass::listen, 0, "http"));
  const std::vector<Note> notes = client->take_notes();
  ASSERT_EQ(1u, notes.size());
  EXPECT_NE(std::string::npos, notes[0].text.find("held by the running service only")) << notes[0].text;
  EXPECT_EQ(std::string::npos, notes[0].text.find("stop that")) << notes[0].text;
}

}  // namespace
}  // namespace hearth::os
