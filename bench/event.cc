// bench-event [EVENTS]: what it costs that nothing is lost of an event: a service has crashed and is started again. What is
// committed, told and ordered then is what the real supervisor has decided (event_record.h). Each part is done EVENTS times
// (2,000) on the real thing, beside the bare work of the same size:
//
//   commit   the turns' records and head into a decision page of 1,000 slots; bare: copied, and one release store a turn
//   outbox   what the slot's cells order: the spawn plan, made and sent to a spawner, and REAP, sent to the keeper; bare: two
//            sendmsg(2) with the same bytes and descriptors. `plan_ns` is what the making of the plan has of it
//   journal  the events, made into lines and appended; bare: one pwrite(2) of the same lines a turn
//
// All slots take their turn, so that neither finds its bytes in the nearest cache. A line of JSON for each of nine rounds:
// nanoseconds per event. What the peer does with a message is not counted: it is taken out of the socket between the
// measurements.
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include "event_record.h"
#include "os/clock.h"
#include "os/fd.h"
#include "os/messages.h"
#include "os/plan_builder.h"
#include "store/event_line.h"
#include "store/journal.h"
#include "wire/decision_page.h"

namespace {

using namespace hearth;
using bench::Turn;
using Turns = std::vector<Turn>;

constexpr SlotIndex up = 1000;
constexpr int at_once = 8;  // messages that lie in a socket

[[noreturn]] void give_up(const char* what) {
  std::fprintf(stderr, "bench-event: %s\n", what);
  std::exit(1);
}

// ---- commit ----------------------------------------------------------------------------------------------------------

double through_the_page(wire::DecisionPage& page, const Turns& turns, int events) {
  wire::PageWriter writer(page);
  const std::uint64_t before = page.commit.load();
  const MonoNs begin = os::read_mono();
  for (int event = 0; event < events; ++event) {
    const SlotIndex slot = static_cast<SlotIndex>(event) % up;
    for (const Turn& turn : turns) {
      for (const SlotState& record : turn.records) writer.set_slot(slot, &record, sizeof record);
      if (turn.head) writer.set_head(&*turn.head, sizeof *turn.head);
      writer.publish();
    }
  }
  const auto spent = static_cast<double>(os::read_mono() - begin);
  // A record that holds already would not be written.
  if (page.commit.load() - before != static_cast<std::uint64_t>(events) * turns.size())
    give_up("a turn was not committed");
  return spent / events;
}

double copied(const Turns& turns, int events) {
  std::vector<SlotState> slots(std::size_t{up} * 2);
  std::array<supervisor::Head, 2> heads;
  std::atomic<std::uint64_t> word = 0;
  std::uint64_t commit = 0;
  const MonoNs begin = os::read_mono();
  for (int event = 0; event < events; ++event) {
    const std::size_t slot = static_cast<std::size_t>(event) % up;
    for (const Turn& turn : turns) {
      ++commit;
      for (const SlotState& record : turn.records)
        std::memcpy(static_cast<void*>(&slots[slot * 2 + commit % 2]), &record, wire::slot_front_bytes);
      if (turn.head) heads[commit % 2] = *turn.head;
      word.store(commit, std::memory_order_release);
    }
  }
  return static_cast<double>(os::read_mono() - begin) / events;
}

// ---- outbox ----------------------------------------------------------------------------------------------------------

struct Pair {
  explicit Pair(int (&ends)[2]) : near(ends[0]), far(ends[1]) {}
  os::Fd near, far;
};

Pair socket_pair() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0) give_up("a pair of sockets could not be made");
  return Pair(ends);
}

// To keeper and spawner, and what a run is given: its input and its output.
struct Lines {
  void drain() const {
    os::Message message;
    for (const Pair* pair : {&keeper, &spawner})
      while (os::receive_message(pair->far.get(), message, 0) == os::Received::message) {
      }
  }
  std::vector<int> passed() const { return {input.get(), output.get()}; }

  Pair keeper = socket_pair(), spawner = socket_pair();
  os::Fd input{::open("/dev/null", O_RDONLY | O_CLOEXEC)}, output{::open("/dev/null", O_RDWR | O_CLOEXEC)};
};

std::string plan_of(const ports::SpawnOrder& order) {
  os::PlanContext context;
  context.instance_directory = "/run/hearth/bench";
  context.notify_path = context.instance_directory + "/n/" + std::to_string(order.run);
  const Result<std::string> plan = os::build_plan(order, context);
  if (!plan || plan->size() > wire::short_plan_max) give_up("no short plan could be made of the order");
  return *plan;
}

template <typename Send>
double sent(const Lines& lines, int events, Send send) {
  MonoNs spent = 0;
  for (int done = 0; done < events; done += at_once) {
    const MonoNs begin = os::read_mono();
    for (int i = 0; i < at_once; ++i)
      if (!send()) give_up("a message could not be sent");
    spent += os::read_mono() - begin;
    lines.drain();
  }
  return static_cast<double>(spent) / ((events + at_once - 1) / at_once * at_once);
}

double through_the_outbox(const Lines& lines, const Turns& turns, int events) {
  const std::vector<int> passed = lines.passed();
  return sent(lines, events, [&] {
    bool all = true;
    for (const Turn& turn : turns) {
      for (const ports::SpawnOrder& order : turn.spawns)
        all &= os::send_short_plan(lines.spawner.near.get(), {order.entry, 0, order.run}, plan_of(order), passed) ==
               os::Sent::yes;
      if (!turn.reaps.empty())
        all &= os::send_records<wire::RunRecord>(lines.keeper.near.get(), wire::MessageType::reap, turn.reaps) ==
               os::Sent::yes;
    }
    return all;
  });
}

double planned(const Turns& turns, int events) {
  std::size_t bytes = 0;
  const MonoNs begin = os::read_mono();
  for (int event = 0; event < events; ++event)
    for (const Turn& turn : turns)
      for (const ports::SpawnOrder& order : turn.spawns) bytes += plan_of(order).size();
  const auto spent = static_cast<double>(os::read_mono() - begin);
  if (bytes == 0) give_up("no plan was made");
  return spent / events;
}

// One message as it is: nothing of it is made when it is sent.
struct Raw {
  Raw(int to, std::size_t bytes, std::vector<int> passed)
      : socket(to), text(bytes, 'x'), control(CMSG_SPACE(passed.size() * sizeof(int))) {
    if (passed.empty()) control.clear();
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    part = {text.data(), text.size()};
    if (passed.empty()) return;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(passed.size() * sizeof(int));
    std::memcpy(CMSG_DATA(c), passed.data(), passed.size() * sizeof(int));
  }
  Raw(const Raw&) = delete;
  Raw& operator=(const Raw&) = delete;
  bool send() const { return ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0; }

  int socket;
  std::string text;
  std::vector<char> control;
  iovec part{};
  msghdr header{};
};

double sent_bare(const Lines& lines, const Turns& turns, int events) {
  std::vector<std::unique_ptr<Raw>> messages;
  constexpr std::size_t head = sizeof(wire::MessageHeader), record = sizeof(wire::RunRecord);
  for (const Turn& turn : turns) {
    for (const ports::SpawnOrder& order : turn.spawns)
      messages.push_back(
          std::make_unique<Raw>(lines.spawner.near.get(), head + record + plan_of(order).size(), lines.passed()));
    if (!turn.reaps.empty())
      messages.push_back(
          std::make_unique<Raw>(lines.keeper.near.get(), head + turn.reaps.size() * record, std::vector<int>{}));
  }
  return sent(lines, events,
              [&] { return std::ranges::all_of(messages, [](const auto& one) { return one->send(); }); });
}

// ---- journal ---------------------------------------------------------------------------------------------------------

double through_the_journal(store::Journal& journal, Turns turns, int events) {
  EventId last = journal.last();
  const MonoNs begin = os::read_mono();
  for (int event = 0; event < events; ++event) {
    for (Turn& turn : turns) {
      if (turn.events.empty()) continue;
      for (EventRecord& one : turn.events) one.id = ++last;
      const Result<std::uint64_t> end = journal.append(turn.events);
      if (!end) give_up("the journal took no more");
      journal.committed({last, *end});
    }
  }
  return static_cast<double>(os::read_mono() - begin) / events;
}

// As the journal, a file has an end, and another one follows.
double written(const Turns& turns, int events) {
  std::vector<std::string> texts;
  for (const Turn& turn : turns) {
    std::string lines;
    for (const EventRecord& one : turn.events) store::append_event_line(lines, one);
    if (!lines.empty()) texts.push_back(std::move(lines));
  }
  os::Fd file;
  std::uint64_t at = store::segment_bytes;
  const MonoNs begin = os::read_mono();
  for (int event = 0; event < events; ++event) {
    for (const std::string& text : texts) {
      if (at >= store::segment_bytes) {
        Result<os::Fd> made = os::make_memfd("bench-event", 0);
        if (!made) give_up("no memfd");
        file = std::move(*made);
        at = 0;
      }
      const ssize_t n = ::pwrite(file.get(), text.data(), text.size(), static_cast<off_t>(at));
      if (n != static_cast<ssize_t>(text.size())) give_up("a write was short");
      at += text.size();
    }
  }
  return static_cast<double>(os::read_mono() - begin) / events;
}

// Ours, but no more of it than a plan has that goes in one message.
std::vector<std::string> environment() {
  std::size_t room = wire::short_plan_max / 4;
  std::vector<std::string> some;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::size_t size = std::strlen(*one) + 1;
    if (size > room) continue;
    room -= size;
    some.emplace_back(*one);
  }
  std::ranges::sort(some);
  return some;
}

}  // namespace

int main(int argc, char** argv) {
  const int events = argc == 2 ? std::atoi(argv[1]) : 2000;
  if (argc > 2 || events < 1) {
    std::fprintf(stderr, "bench-event [EVENTS]: at least 1\n");
    return 2;
  }
  const bench::Recording recording(environment());
  if (!recording.is_whole()) give_up("the simulated service has not crashed and come back as it was to");
  const Turns& turns = recording.turns();
  const auto page = std::make_unique<wire::DecisionPage>();
  wire::decision_page_init(*page, wire::decision_record_version);
  store::Journal journal(-1);
  const Lines lines;
  for (int round = 0; round < 9; ++round) {
    const double commit = through_the_page(*page, turns, events), copy = copied(turns, events);
    const double outbox = through_the_outbox(lines, turns, events), send = sent_bare(lines, turns, events);
    const double plan = planned(turns, events);
    const double told = through_the_journal(journal, turns, events), write = written(turns, events);
    std::printf(
        "{\"commit_ns\":%.0f,\"bare_commit_ns\":%.0f,\"outbox_ns\":%.0f,\"bare_outbox_ns\":%.0f,"
        "\"plan_ns\":%.0f,\"journal_ns\":%.0f,\"bare_journal_ns\":%.0f}\n",
        commit, copy, outbox, send, plan, told, write);
  }
}
