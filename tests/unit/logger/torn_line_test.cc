// A log in json of which all of hearth died in mid-line, at every byte: each line of it is an object.
#include "logger/torn_line.h"

#include <string>
#include <vector>

#include <boost/json.hpp>

#include "gtest/gtest.h"
#include "logger/line_format.h"
#include "logger/open_line.h"
#include "unit/logger/memory_sink.h"
#include "unit/logger/mover_world.h"

namespace hearth::logger::test {
namespace {

using wire::LogFormat;
namespace json = boost::json;

constexpr LineStamp stamp{4711, 1'700'000'000'123'456'789};

std::string objects(const std::string& text) {
  MemorySink sink;
  format_lines(LogFormat::json, stamp, {}, text.data(), text.size(), sink);
  return sink.all();
}

// All that the format can write in a text; the last one is long, so that its end is looked at alone.
std::vector<std::string> all_objects() {
  MemorySink lost, cut(300);
  format_note(LogFormat::json, stamp, "12345 bytes lost: no space", 12345, lost);
  const std::string longer(1000, 'x');
  format_lines(LogFormat::json, stamp, {}, longer.data(), longer.size(), cut);
  return {
      objects("plain text, and nothing else\n"),
      objects("\"quoted\" \\ and \\\\ \t \r \x01 \x1f \x7f .\n"),
      objects("\xc3\xa9 \xe2\x82\xac \xe0\xa4\x85 \xf0\x9f\x94\xa5 \xf4\x8f\xbf\xbd \xff \xc0\x80 \xf4\x8f\xba\x80 \n"),
      objects("\n"),
      objects("text that ends in an escape \\\n"),
      lost.all(),
      cut.files[0]};
}

void expect_object(const std::string& line, const std::string& about) {
  ASSERT_TRUE(line.ends_with('\n')) << about;
  EXPECT_EQ(line.find('\n'), line.size() - 1) << about;
  json::error_code error;
  const json::value value = json::parse(line, error);
  ASSERT_FALSE(error) << about << " made " << line;
  const json::object& object = value.as_object();
  EXPECT_EQ(object.at("ts").as_string().size(), 27u) << about;
  EXPECT_TRUE(object.at("run").is_number()) << about;
  EXPECT_TRUE(object.at("text").is_string()) << about;
}

TEST(TornLine, IsAnObjectWhereverItWasCut) {
  for (const std::string& whole : all_objects()) {
    for (std::size_t size = 1; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      for (const LineView view : {LineView::whole, LineView::unknown})
        expect_object(cut + std::string(end_of_torn_line(LogFormat::json, cut, view).view()), cut);
    }
  }
}

TEST(TornLine, OfWhichOnlyTheEndIsKnownIsAnObjectWhereverItWasCut) {
  const std::string begin = objects(std::string(500, 'x'));
  for (const std::string& whole : all_objects()) {
    const std::string text = begin + whole.substr(whole.find("text\":\"") + 7);
    for (std::size_t size = begin.size(); size < text.size(); ++size) {
      const std::string cut = text.substr(0, size);
      for (std::size_t from = begin.size() - 340; from + 256 < begin.size(); ++from)
        expect_object(cut + std::string(end_of_torn_line(LogFormat::json, cut.substr(from), LineView::middle).view()),
                      cut);
    }
  }
}

TEST(TornLine, WhoseEndWasTornAgainIsAnObject) {
  for (const std::string& whole : all_objects()) {
    for (std::size_t size = 1; size < whole.size(); ++size) {
      const std::string cut = whole.substr(0, size);
      const LineEnding first = end_of_torn_line(LogFormat::json, cut, LineView::whole);
      for (std::size_t part = 0; part < first.size; ++part) {
        const std::string again = cut + std::string(first.view().substr(0, part));
        expect_object(again + std::string(end_of_torn_line(LogFormat::json, again, LineView::whole).view()), again);
      }
    }
  }
}

TEST(TornLine, SaysThatItsTextWasTornAndKeepsAllThatIsThere) {
  const std::string whole = objects("as far as it came\n");
  const std::string cut = whole.substr(0, whole.find(" came"));
  EXPECT_EQ(cut + std::string(end_of_torn_line(LogFormat::json, cut, LineView::whole).view()),
            R"({"ts":"2023-11-14T22:13:20.123456Z","run":4711,"text":"as far as it","torn":true})"
            "\n");
  const std::string complete = whole.substr(0, whole.size() - 1);
  EXPECT_EQ(end_of_torn_line(LogFormat::json, complete, LineView::whole).view(), "\n")
      << "only the line end was missing";
}

TEST(TornLine, OfBackslashesAloneIsAnObjectThoughNobodyKnowsWhichIsWhich) {
  const std::string begin = R"({"ts":"2023-11-14T22:13:20.123456Z","run":1,"text":")";
  for (const std::size_t count : {300u, 301u}) {
    const std::string slashes(count, '\\');
    expect_object(begin + slashes + std::string(end_of_torn_line(LogFormat::json, slashes, LineView::middle).view()),
                  std::to_string(count));
  }
}

TEST(TornLine, OfAnotherFormatGetsALineEnd) {
  for (const LogFormat format : {LogFormat::raw, LogFormat::stamped})
    EXPECT_EQ(end_of_torn_line(format, R"({"ts":"20)", LineView::whole).view(), "\n");
  for (const char* line : {"2023-11-14T22:13:20.123456Z stamped", "raw", R"({"ts":7})", R"({"ts":"x)"})
    EXPECT_EQ(end_of_torn_line(LogFormat::json, line, LineView::whole).view(), "\n") << line;
}

// Through the files: a log in which one hearth after the other dies at the next byte.
class TornLog : public testing::Test {
 protected:
  // What an earlier hearth has left, in files 1, 2 ...; then a new one says "hello".
  std::string go_on_after(const std::vector<std::string>& left, LogFormat format = LogFormat::json) {
    World world;
    FaultySystem system;
    world.configure(0, "s", format, 0);
    std::filesystem::create_directory(world.path("s"));
    for (std::size_t i = 0; i < left.size(); ++i)
      std::ofstream(world.path("s/0000000" + std::to_string(i + 1) + ".log"), std::ios::binary) << left[i];
    Mover mover(system, world.parts());
    OpenFile file;
    world.feed(1, "hello\n");
    EXPECT_EQ(mover.move(0, file, 1, world.fifo(1)).what, Moved::bytes);
    EXPECT_EQ(world.files("s").size(), left.size());
    return world.all("s");
  }
  void expect_objects(const std::string& log, const std::string& left, const std::string& about) {
    ASSERT_TRUE(log.starts_with(left)) << "what a follower has read stays: " << about;
    std::size_t count = 0;
    for (std::size_t at = 0; at < log.size(); ++count) {
      const std::size_t end = log.find('\n', at);
      ASSERT_NE(end, log.npos) << about;
      expect_object(log.substr(at, end + 1 - at), about);
      at = end + 1;
    }
    EXPECT_EQ(count, left.size() > first.size() ? 3u : 2u) << about;
  }
  const std::string first = objects("a line before\n");
};

TEST_F(TornLog, HasAnObjectInEachLineWhereverItsHearthDied) {
  for (const std::string& whole : all_objects())
    for (std::size_t size = 0; size < whole.size(); ++size)
      expect_objects(go_on_after({first + whole.substr(0, size)}), first + whole.substr(0, size),
                     whole.substr(0, size));
}

TEST_F(TornLog, HasAnObjectInEachLineWhenTheLineBeganInAnEarlierFile) {
  const std::string whole = objects("\"quoted\" \\ \xe2\x82\xac and \xff\n");
  const std::size_t text = whole.find("text\":\"") + 7;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string left = whole.substr(0, size);
    // Rotated in mid-line, perhaps twice.
    for (const std::size_t where : {std::size_t{0}, std::size_t{20}, text, text + 2, size}) {
      if (where > size) continue;
      expect_objects(go_on_after({first + left.substr(0, where), left.substr(where)}), first + left, left);
      expect_objects(go_on_after({first + left.substr(0, where), "", left.substr(where)}), first + left, left);
    }
  }
}

TEST_F(TornLog, HasAnObjectInEachLineWhenTheTornOneIsLongerThanWhatIsLookedAt) {
  const std::string filler(open_line_most - 100, 'x');
  const std::string whole =
      objects(filler + "\"quoted\" \\ \xe2\x82\xac and \xff and so on, far enough for a whole window\n");
  for (std::size_t size = open_line_most - 100; size < whole.size(); ++size)
    expect_objects(go_on_after({first + whole.substr(0, size)}), first + whole.substr(0, size), std::to_string(size));
}

TEST_F(TornLog, OfAnotherFormatHasALineEnd) {
  EXPECT_TRUE(go_on_after({"cut sho"}, LogFormat::raw).starts_with("cut sho\nhello"));
  EXPECT_TRUE(go_on_after({"cut sho", ""}, LogFormat::stamped).starts_with("cut sho\n20"));
}

}  // namespace
}  // namespace hearth::logger::test
