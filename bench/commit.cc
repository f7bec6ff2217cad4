// bench-commit SLOTS: what it takes to commit SLOTS changed slots of 1,000 into a decision page, beside the bare copy of the
// same bytes and one release store. A line of JSON for each of nine rounds: nanoseconds per slot. All slots take their
// turn, so that neither finds its bytes in the nearest cache.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <time.h>
#include <vector>

#include "wire/decision_page.h"

namespace {

using namespace hearth;

constexpr SlotIndex up = 1000;
constexpr int commits = 20000;

double now_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

struct Record {
  unsigned char bytes[wire::slot_record_bytes];
};

// A record whose texts are empty, as most are.
void change(Record& record, int commit) {
  std::memcpy(record.bytes + 16, &commit, sizeof commit);
}

double through_the_page(wire::DecisionPage& page, std::vector<Record>& records, SlotIndex slots) {
  wire::PageWriter writer(page);
  SlotIndex next = 0;
  const double begin = now_ns();
  for (int commit = 1; commit <= commits; ++commit) {
    for (SlotIndex i = 0; i < slots; ++i, next = (next + 1) % up) {
      change(records[next], commit);
      writer.set_slot(next, &records[next], sizeof(Record));
    }
    writer.publish();
  }
  return (now_ns() - begin) / commits / slots;
}

double bare(std::vector<Record>& records, SlotIndex slots) {
  std::vector<Record> copies(std::size_t{up} * 2);
  std::atomic<std::uint64_t> word = 0;
  SlotIndex next = 0;
  const double begin = now_ns();
  for (int commit = 1; commit <= commits; ++commit) {
    for (SlotIndex i = 0; i < slots; ++i, next = (next + 1) % up) {
      change(records[next], commit);
      std::memcpy(&copies[std::size_t{next} * 2 + static_cast<unsigned>(commit % 2)], &records[next],
                  wire::slot_front_bytes);
    }
    word.store(static_cast<std::uint64_t>(commit), std::memory_order_release);
  }
  return (now_ns() - begin) / commits / slots;
}

}  // namespace

int main(int argc, char** argv) {
  const int slots = argc == 2 ? std::atoi(argv[1]) : 0;
  if (slots < 1 || slots > static_cast<int>(up)) {
    std::fprintf(stderr, "bench-commit SLOTS: 1 to %u\n", up);
    return 2;
  }
  const auto page = std::make_unique<wire::DecisionPage>();
  wire::decision_page_init(*page, wire::decision_record_version);
  std::vector<Record> records(up);
  for (int round = 0; round < 9; ++round) {
    const double commit = through_the_page(*page, records, static_cast<SlotIndex>(slots));
    const double copy = bare(records, static_cast<SlotIndex>(slots));
    std::printf("{\"commit_ns\":%.1f,\"bare_ns\":%.1f}\n", commit, copy);
  }
}
