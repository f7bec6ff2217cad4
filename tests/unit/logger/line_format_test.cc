#include "logger/line_format.h"

#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "unit/logger/memory_sink.h"

namespace hearth::logger {
namespace {

using wire::LogFormat;

constexpr LineStamp stamp{7, 1'700'000'000'123'456'789};

std::string format_pieces(LogFormat format, const std::vector<std::string>& pieces, MemorySink& sink,
                          bool closed = false) {
  LineState state;
  for (const std::string& piece : pieces) {
    // Through the page, as between two batches.
    state = LineState::unpack(state.at_line_start, state.pack(format));
    state = format_lines(format, stamp, state, piece.data(), piece.size(), sink);
  }
  if (closed) close_line(format, state, sink);
  return sink.all();
}
std::string format_pieces(LogFormat format, const std::vector<std::string>& pieces, bool closed = false) {
  MemorySink sink;
  return format_pieces(format, pieces, sink, closed);
}

const std::string json_start = R"({"ts":"2023-11-14T22:13:20.123456Z","run":7,"text":")";

// What docs/formats/log-files.md tells a reader to do: undo the JSON escapes, then U+10FE80..U+10FEFF are bytes.
std::string decode_json_text(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    char kind = text[++i];
    if (kind == 'u') {
      auto code = static_cast<unsigned>(std::stoul(text.substr(i + 1, 4), nullptr, 16));
      i += 4;
      if (code == 0xdbff) {
        EXPECT_EQ(text.substr(i + 1, 2), "\\u");
        code = static_cast<unsigned>(std::stoul(text.substr(i + 3, 4), nullptr, 16));
        i += 6;
        EXPECT_EQ(code & 0xff80u, 0xde80u);
      }
      out += static_cast<char>(code & 0xff);
    } else {
      out += kind == 't' ? '\t' : kind == 'r' ? '\r' : kind;
    }
  }
  return out;
}

// The texts of all objects, joined as the format says: "cut" goes on in the next, otherwise a line end.
std::string decode_json(const std::string& log) {
  std::string out;
  for (size_t at = 0; at < log.size();) {
    size_t end = log.find('\n', at);
    EXPECT_NE(end, std::string::npos);
    std::string line = log.substr(at, end - at);
    at = end + 1;
    EXPECT_TRUE(line.starts_with(json_start)) << line;
    bool cut = line.ends_with(R"(","cut":true})");
    EXPECT_TRUE(cut || line.ends_with("\"}")) << line;
    out += decode_json_text(line.substr(json_start.size(), line.size() - json_start.size() - (cut ? 13 : 2)));
    if (!cut) out += '\n';
  }
  return out;
}

TEST(StampText, IsRfc3339InUtcWithMicroseconds) {
  EXPECT_STREQ(stamp_text(0).text, "1970-01-01T00:00:00.000000Z");
  EXPECT_STREQ(stamp_text(1'700'000'000'123'456'789).text, "2023-11-14T22:13:20.123456Z");
  EXPECT_STREQ(stamp_text(951'782'399'999'999'999).text, "2000-02-28T23:59:59.999999Z");
  EXPECT_STREQ(stamp_text(951'782'400'000'000'000).text, "2000-02-29T00:00:00.000000Z");
  EXPECT_STREQ(stamp_text(4'107'542'400'000'000'000).text, "2100-03-01T00:00:00.000000Z");
}

TEST(RawFormat, IsTheBytesAsTheyCame) {
  std::string bytes("a\n\0b\xff\r\nno end", 13);
  EXPECT_EQ(format_pieces(LogFormat::raw, {bytes}), bytes);
}

TEST(StampedFormat, StampsALineOnceAlsoWhenItComesInPieces) {
  EXPECT_EQ(format_pieces(LogFormat::stamped, {"one\n\ntw", "", "o\nth"}),
            "2023-11-14T22:13:20.123456Z one\n"
            "2023-11-14T22:13:20.123456Z \n"
            "2023-11-14T22:13:20.123456Z two\n"
            "2023-11-14T22:13:20.123456Z th");
}

TEST(JsonFormat, WritesOneObjectALineAndLeavesAnOpenLineOpen) {
  EXPECT_EQ(format_pieces(LogFormat::json, {"a \"b\" \\ \t\x01\n", "op"}),
            json_start + R"(a \"b\" \\ \t\u0001"})" + "\n" + json_start + "op");
  EXPECT_EQ(format_pieces(LogFormat::json, {"op", "en"}, true), json_start + "open\"}\n");
}

TEST(JsonFormat, KeepsCharactersThatComeInPieces) {
  EXPECT_EQ(format_pieces(LogFormat::json, {"\xe2", "\x82", "\xac\n"}), json_start + "\xe2\x82\xac\"}\n");
  EXPECT_EQ(format_pieces(LogFormat::json, {"\xf0\x9f\x94", "\xa5\n"}), json_start + "\xf0\x9f\x94\xa5\"}\n");
}

TEST(JsonFormat, EscapesEveryByteThatIsNotUtf8) {
  EXPECT_EQ(format_pieces(LogFormat::json, {"\xff\n"}), json_start + "\\udbff\\udeff\"}\n");
  EXPECT_EQ(format_pieces(LogFormat::json, {"\xe2\x82", "x\n"}), json_start + "\\udbff\\udee2\\udbff\\ude82x\"}\n");
  EXPECT_EQ(format_pieces(LogFormat::json, {"\xe2"}, true), json_start + "\\udbff\\udee2\"}\n");
  EXPECT_EQ(format_pieces(LogFormat::json, {"\xe2\n"}), json_start + "\\udbff\\udee2\"}\n");
}

TEST(JsonFormat, IsUndoneToTheSameBytesWhateverTheyAreAndHoweverTheyAreCut) {
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    while (bytes.size() < 600) {
      switch (random() % 6) {
        case 0: bytes += static_cast<char>(random()); break;
        case 1: bytes += "\xf4\x8f\xba\x80"; break;  // stands for a byte, so it must be escaped itself
        case 2: bytes += "\xe2\x82\xac"; break;
        case 3: bytes += "\xf0\x90\x80"; break;
        case 4: bytes += '\n'; break;
        default: bytes += "plain \"text\" ";
      }
    }
    bytes += '\n';
    std::vector<std::string> pieces;
    for (size_t at = 0; at < bytes.size();) {
      size_t size = 1 + random() % 9;
      pieces.push_back(bytes.substr(at, size));
      at += size;
    }
    MemorySink sink(500, 400);
    ASSERT_EQ(decode_json(format_pieces(LogFormat::json, pieces, sink)), bytes) << "round " << round;
    for (const std::string& file : sink.files) ASSERT_LE(file.size(), 900u);
  }
}

TEST(Rotation, ComesAtTheFirstLineEndAtOrBeyondTheSize) {
  MemorySink sink(10);
  format_pieces(LogFormat::raw, {"12345\n123\n", "456\n", "a long line of more\n", "x\n"}, sink);
  EXPECT_EQ(sink.files, (std::vector<std::string>{"12345\n123\n", "456\na long line of more\n", "x\n"}));
}

TEST(Rotation, CutsALineThatIsTooLongAndLosesNothing) {
  for (LogFormat format : {LogFormat::raw, LogFormat::stamped}) {
    MemorySink sink(50, 100);
    std::string line(1'000, 'x');
    std::string all = format_pieces(format, {line, "\nnext\n"}, sink);
    EXPECT_TRUE(all.find(line) != std::string::npos);
    for (const std::string& file : sink.files) EXPECT_LE(file.size(), 150u);
  }
}

TEST(Rotation, CutsAJsonLineIntoObjectsThatSaySo) {
  MemorySink sink(100, 200);
  std::string line(1'000, 'x');
  std::string all = format_pieces(LogFormat::json, {line, "\nnext\n"}, sink);
  EXPECT_EQ(decode_json(all), line + "\nnext\n");
  for (const std::string& file : sink.files) {
    EXPECT_LE(file.size(), 300u);
    EXPECT_EQ(file.back(), '\n');
  }
}

TEST(FormattedBound, HoldsForTheWorstThatCanCome) {
  for (LogFormat format : {LogFormat::raw, LogFormat::stamped, LogFormat::json}) {
    for (const std::string& worst : {std::string(1'000, '\n'), std::string(1'000, '\xff'), std::string(1'000, '"')}) {
      MemorySink sink;
      LineState state;
      LineStamp longest{UINT64_MAX, stamp.wall_ns};
      format_lines(format, longest, state, worst.data(), worst.size(), sink);
      EXPECT_LE(sink.all().size(), formatted_bound(format, worst.size()));
    }
  }
}

TEST(Note, IsALineOfTheFormat) {
  MemorySink raw, json;
  format_note(LogFormat::raw, stamp, "5 bytes lost: No space left on device", 5, raw);
  EXPECT_EQ(raw.all(), "[hearth: 5 bytes lost: No space left on device]\n");
  format_note(LogFormat::json, stamp, "5 bytes lost: x", 5, json);
  EXPECT_EQ(json.all(), json_start + "[hearth: 5 bytes lost: x]\",\"lost\":5}\n");
}

}  // namespace
}  // namespace hearth::logger
