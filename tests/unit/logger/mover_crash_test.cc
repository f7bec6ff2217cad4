// Every point of death. A script of all that a mover does is run once in peace; then again for each point of
// it, dying there, with a successor that goes on; what is left must be the same to the byte: files, their
// division, counters. Then with a second death inside the recovery.
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "unit/logger/mover_world.h"
#include "wire/log_index.h"

namespace hearth::logger::test {
namespace {

constexpr SlotIndex slot = 3;
constexpr SlotIndex neighbour = 4;

// A logger's life between two deaths.
struct Life {
  explicit Life(World& world, FaultySystem& system) : mover(system, world.parts()) {}
  Mover mover;
  OpenFile file, neighbours_file;
};

using Step = std::function<void(World&, FaultySystem&, Life&)>;
struct ScriptStep {
  std::function<void(World&)> world;  // what others do; once
  Step logger;                        // until it is done; again after a death
};

void move_all(World& world, Life& life, RunId run) {
  while (life.mover.move(slot, life.file, run, world.fifo(run)).what == Moved::bytes) {
  }
}

std::string numbered(int from, int to, const char* filler) {
  std::string text;
  for (int i = from; i < to; ++i) text += std::to_string(i) + filler + "\n";
  return text;
}

ScriptStep feed_and_move(RunId run, std::string bytes) {
  return {[run, bytes](World& world) { world.feed(run, bytes); },
          [run](World& world, FaultySystem&, Life& life) { move_all(world, life, run); }};
}

std::vector<ScriptStep> script() {
  std::vector<ScriptStep> steps;
  steps.push_back(feed_and_move(1, "first\nsecond ends la"));
  steps.push_back(feed_and_move(1, "ter \xe2\x82"));  // a character in two batches
  steps.push_back(feed_and_move(1, "\xac and \xff is none\n"));
  steps.push_back(feed_and_move(1, numbered(0, 60, " over several files")));
  steps.push_back({[](World& world) { world.feed(1, "a neighbour's turn\n"); },
                   [](World& world, FaultySystem&, Life& life) {
                     while (life.mover.move(neighbour, life.neighbours_file, 1, world.fifo(1)).what == Moved::bytes) {
                     }
                   }});
  // The next file, because somebody asks: between lines here, in a line below.
  const Step rotate = [](World&, FaultySystem&, Life& life) { life.mover.rotate(slot, life.file); };
  steps.push_back({[](World&) {}, rotate});
  steps.push_back(feed_and_move(1, "run 1 stops in the mid"));
  steps.push_back({[](World&) {}, rotate});
  steps.push_back(feed_and_move(2, "run 2 begins\nand is cut\n"));
  // Full disk: what comes is counted, then told.
  steps.push_back({[](World& world) { world.feed(2, "these bytes are lost "); },
                   [](World& world, FaultySystem& system, Life& life) {
                     system.full = true;
                     while (life.mover.discard(slot, 2, world.fifo(2), ENOSPC).what == Moved::bytes) {
                     }
                     system.full = false;
                   }});
  steps.push_back(feed_and_move(2, "there is space again\n"));
  // Others meddle.
  steps.push_back({[](World& world) {
                     char name[64];
                     snprintf(name, sizeof name, "s/%08llu.log",
                              static_cast<unsigned long long>(world.stream(slot).file.load()));
                     std::filesystem::remove(world.path(name));
                     world.feed(2, "after a removal\n");
                   },
                   [](World& world, FaultySystem&, Life& life) { move_all(world, life, 2); }});
  steps.push_back({[](World& world) {
                     char name[64];
                     snprintf(name, sizeof name, "s/%08llu.log",
                              static_cast<unsigned long long>(world.stream(slot).file.load()));
                     std::filesystem::resize_file(world.path(name), 3);
                     world.feed(2, "after a cut, with an open end");
                   },
                   [](World& world, FaultySystem&, Life& life) { move_all(world, life, 2); }});
  steps.push_back(
      {[](World&) {}, [](World&, FaultySystem&, Life& life) { life.mover.close_line(slot, life.file, 2); }});
  return steps;
}

struct Outcome {
  std::map<std::string, std::string> files, neighbours_files;
  std::string current;
  std::string counters;
  std::uint64_t points = 0;
  int deaths = 0;

  bool operator==(const Outcome& other) const {
    return files == other.files && neighbours_files == other.neighbours_files && current == other.current &&
           counters == other.counters;
  }
};

std::string counters_of(wire::LogStream& s) {
  return "file " + std::to_string(s.file) + " offset " + std::to_string(s.offset) + " written " +
         std::to_string(s.written) + " discarded " + std::to_string(s.discarded) + " gaps " + std::to_string(s.gaps) +
         " gap_bytes " + std::to_string(s.gap_bytes) + " mid_line " + std::to_string(s.mid_line) + " error " +
         std::to_string(s.error);
}

// Whatever has happened, an index is one: its records speak of places in its file and of times that only grow.
void check_indices(const World& world, const std::string& directory) {
  for (const auto& [name, content] : world.files(directory)) {
    std::ifstream in(world.path(directory) + "/" + name.substr(0, name.size() - 3) + "idx", std::ios::binary);
    const std::string index{std::istreambuf_iterator<char>(in), {}};
    if (index.empty()) continue;  // died before it was made, and nothing came to this file since
    ASSERT_EQ(index.size() % sizeof(wire::LogIndexRecord), 0u) << name;
    wire::LogIndexHeader header{};
    memcpy(&header, index.data(), sizeof header);
    ASSERT_EQ(header.magic, wire::log_index_magic) << name;
    ASSERT_EQ(header.file, std::stoull(name)) << name;
    wire::LogIndexRecord before{1, 0};
    for (std::size_t at = sizeof header; at < index.size(); at += sizeof before) {
      wire::LogIndexRecord record{};
      memcpy(&record, index.data() + at, sizeof record);
      ASSERT_GE(record.wall_ns, before.wall_ns) << name;
      ASSERT_GE(record.offset, before.offset) << name;
      ASSERT_LE(record.offset, content.size()) << name;
      before = record;
    }
  }
}

// Dies at the `first`th point, and at the `second`th after that; 0 = does not.
Outcome play(wire::LogFormat format, std::uint64_t first, std::uint64_t second) {
  World world;
  world.configure(slot, "s", format, 300, 5);
  world.configure(neighbour, "n", format, 300);
  // What an earlier hearth has left is gone on with.
  std::filesystem::create_directory(world.path("s"));
  std::ofstream(world.path("s/00000001.log")) << "of an earlier hearth, cut sho";
  FaultySystem system;
  system.die_at = first;
  Outcome outcome;
  auto life = std::make_unique<Life>(world, system);
  for (const ScriptStep& step : script()) {
    step.world(world);
    system.wall += seconds(1);
    for (bool done = false, recovering = false; !done;) {
      try {
        if (recovering) life->mover.recover();
        step.logger(world, system, *life);
        done = true;
      } catch (const Died&) {
        ++outcome.deaths;
        system.full = false;
        system.die_at = second == 0 || outcome.deaths > 1 ? 0 : system.points + second;
        life = std::make_unique<Life>(world, system);
        recovering = true;
      }
    }
    EXPECT_EQ(system.pending(world.parts().pipe_read), 0);
  }
  outcome.files = world.files("s");
  check_indices(world, "s");
  outcome.neighbours_files = world.files("n");
  outcome.current = world.current("s");
  outcome.counters = counters_of(world.stream(slot)) + "; " + counters_of(world.stream(neighbour));
  outcome.points = system.points;
  return outcome;
}

class MoverKilled : public testing::TestWithParam<wire::LogFormat> {};

TEST_P(MoverKilled, AtEveryCallAndStoreLeavesTheSameFilesAsALifeInPeace) {
  Outcome peace = play(GetParam(), 0, 0);
  ASSERT_EQ(peace.deaths, 0);
  ASSERT_EQ(peace.files.size(), 4u) << "five are kept, and a step removes one";
  std::uint64_t visited = 0;
  for (std::uint64_t point = 1; point <= peace.points; ++point) {
    Outcome outcome = play(GetParam(), point, 0);
    visited += static_cast<std::uint64_t>(outcome.deaths);
    ASSERT_EQ(outcome.counters, peace.counters) << "died at point " << point;
    ASSERT_EQ(outcome.files, peace.files) << "died at point " << point;
    ASSERT_TRUE(outcome == peace) << "died at point " << point;
  }
  printf("%llu points of death visited of %llu\n", static_cast<unsigned long long>(visited),
         static_cast<unsigned long long>(peace.points));
  EXPECT_EQ(visited, peace.points);
}

TEST_P(MoverKilled, AgainWhileItRecoversStillLeavesTheSameFiles) {
  Outcome peace = play(GetParam(), 0, 0);
  std::uint64_t pairs = 0;
  // Strides that share no factor meet every kind of pair without taking all of them.
  for (std::uint64_t point = 1; point <= peace.points; point += 7) {
    for (std::uint64_t second = 1 + point % 11; second < 90; second += 11) {
      Outcome outcome = play(GetParam(), point, second);
      pairs += outcome.deaths == 2;
      ASSERT_EQ(outcome.files, peace.files) << "died at point " << point << " and " << second << " later";
      ASSERT_TRUE(outcome == peace) << "died at point " << point << " and " << second << " later";
    }
  }
  printf("%llu pairs of deaths\n", static_cast<unsigned long long>(pairs));
}

std::string format_name(const testing::TestParamInfo<wire::LogFormat>& info) {
  constexpr const char* names[] = {"Raw", "Stamped", "Json"};
  return names[static_cast<std::uint32_t>(info.param)];
}
INSTANTIATE_TEST_SUITE_P(Formats, MoverKilled,
                         testing::Values(wire::LogFormat::raw, wire::LogFormat::stamped, wire::LogFormat::json),
                         format_name);

}  // namespace
}  // namespace hearth::logger::test
