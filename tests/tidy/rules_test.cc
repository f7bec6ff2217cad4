// Each rule on a small planted tree: the violation must be found, and its innocent neighbour not.
#include "tidy/rules.h"

#include <filesystem>
#include <fstream>
#include <stdlib.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace hearth::tidy {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// A directory that exists as long as the test does.
class PlantedTree : public ::testing::Test {
 protected:
  PlantedTree() {
    std::string path = (std::filesystem::temp_directory_path() / "hearth-tidy-XXXXXX").string();
    root_ = ::mkdtemp(path.data()) != nullptr ? path : std::string();
  }
  ~PlantedTree() override {
    std::error_code ignored;
    if (!root_.empty()) std::filesystem::remove_all(root_, ignored);
  }
  void SetUp() override { ASSERT_FALSE(root_.empty()); }

  void plant(const std::string& path, const std::string& text) {
    const std::filesystem::path whole = root_ / path;
    std::filesystem::create_directories(whole.parent_path());
    std::ofstream(whole) << text;
  }
  SourceTree tree() const { return SourceTree::load(root_); }

 private:
  std::filesystem::path root_;
};

class Layering : public PlantedTree {};

TEST_F(Layering, an_edge_of_the_design_is_allowed) {
  plant("src/os/fd.cc", "#include \"os/fd.h\"\n#include \"wire/slot_table.h\"\n#include <vector>\n");
  plant("src/keeper/reap.cc", "#include \"wire/slot_table.h\"\n#include \"base/ids.h\"\n");
  EXPECT_EQ(to_string(check_layering(tree())), "");
}

TEST_F(Layering, a_pure_room_that_includes_the_os_is_found_with_its_line) {
  plant("src/supervisor/turn.cc", "#include <vector>\n#include \"os/fd.h\"\n");
  EXPECT_THAT(to_string(check_layering(tree())),
              StartsWith("src/supervisor/turn.cc:2: supervisor may not include \"os/fd.h\""));
}

TEST_F(Layering, siblings_do_not_include_each_other) {
  plant("src/health/health.h", "#include \"lifecycle/lifecycle.h\"\n");
  EXPECT_THAT(to_string(check_layering(tree())), HasSubstr("no edge of the design"));
}

TEST_F(Layering, wire_and_keeper_see_only_the_ids_of_base) {
  plant("src/wire/a.h", "#include \"base/ids.h\"\n#include \"base/result.h\"\n");
  plant("src/keeper/b.cc", "#include \"base/result.h\"\n");
  const std::string found = to_string(check_layering(tree()));
  EXPECT_THAT(found, AllOf(HasSubstr("src/wire/a.h:2:"), HasSubstr("src/keeper/b.cc:1:")));
  EXPECT_EQ(found.find("src/wire/a.h:1:"), std::string::npos);
}

TEST_F(Layering, an_include_in_a_comment_is_no_include) {
  plant("src/base/a.h", "// #include \"os/fd.h\"\n/*\n#include \"os/fd.h\"\n*/\n");
  EXPECT_EQ(to_string(check_layering(tree())), "");
}

TEST_F(Layering, an_include_without_a_room_or_of_an_unknown_room_is_found) {
  plant("src/os/a.cc", "#include \"a.h\"\n#include \"../base/ids.h\"\n#include \"attic/x.h\"\n");
  const std::string found = to_string(check_layering(tree()));
  EXPECT_THAT(found, AllOf(HasSubstr("a.cc:1: \"a.h\" names no room"), HasSubstr("a.cc:2:"),
                           HasSubstr("there is no room \"attic\"")));
}

TEST_F(Layering, a_room_missing_from_the_table_is_found) {
  plant("src/attic/x.h", "");
  EXPECT_THAT(to_string(check_layering(tree())), HasSubstr("no room \"attic\""));
}

TEST_F(Layering, a_forbidden_link_in_cmake_is_found) {
  plant("src/model/CMakeLists.txt", "hearth_room(model\n  DEPS base os\n  LIBS hearth_fmt)\n");
  plant("src/wire/CMakeLists.txt", "hearth_room(wire DEPS base)\n");
  plant("src/base/CMakeLists.txt", "hearth_room(base)\n");
  EXPECT_EQ(to_string(check_layering(tree())), "src/model/CMakeLists.txt:1: model may not depend on os\n");
}

TEST_F(Layering, a_link_to_a_room_that_does_not_exist_is_found) {
  plant("src/model/CMakeLists.txt", "hearth_room(model DEPS base)\n");
  EXPECT_EQ(to_string(check_layering(tree())),
            "src/model/CMakeLists.txt:1: model depends on base, which does not exist\n");
}

TEST_F(Layering, public_headers_are_for_sdk_and_apps) {
  plant("src/sdk/sdk.cc", "#include \"hearth/hearth.h\"\n");
  plant("src/os/fd.cc", "#include \"hearth/hearth.h\"\n");
  EXPECT_THAT(to_string(check_layering(tree())), StartsWith("src/os/fd.cc:1:"));
}

class Purity : public PlantedTree {};

TEST_F(Purity, a_kernel_header_in_a_pure_room_is_found) {
  for (const std::string header : {"sys/stat.h", "unistd.h", "fcntl.h", "signal.h", "thread"}) {
    plant("src/lifecycle/a.cc", "#include <" + header + ">\n");
    EXPECT_THAT(to_string(check_purity(tree())), HasSubstr("<" + header + "> in the pure room"));
  }
}

TEST_F(Purity, a_kernel_header_in_the_os_room_is_allowed) {
  plant("src/os/a.cc", "#include <sys/stat.h>\n#include <fmt/format.h>\n");
  EXPECT_EQ(to_string(check_purity(tree())), "");
}

TEST_F(Purity, a_clock_in_a_pure_room_is_found_and_a_comment_about_one_is_not) {
  plant("src/health/a.cc", "// no steady_clock here\nauto t = std::chrono::steady_clock::now();\n");
  EXPECT_THAT(to_string(check_purity(tree())), StartsWith("src/health/a.cc:2: a clock"));
}

TEST_F(Purity, fmt_in_the_keeper_is_found) {
  plant("src/keeper/a.cc", "#include <unistd.h>\n#include <fmt/format.h>\n");
  EXPECT_EQ(to_string(check_purity(tree())), "src/keeper/a.cc:2: fmt in keeper, which does without it\n");
}

class Sizes : public PlantedTree {
 protected:
  static std::string lines(int count) { return std::string(static_cast<std::size_t>(count), '\n'); }
};

TEST_F(Sizes, more_than_500_lines_warn_and_more_than_800_fail) {
  plant("src/os/small.cc", lines(500));
  plant("src/os/big.cc", lines(501));
  plant("src/os/huge.h", lines(801));
  const SizeReport report = check_sizes(tree(), "");
  EXPECT_THAT(to_string(report.warnings), StartsWith("src/os/big.cc: has 501 lines"));
  EXPECT_THAT(to_string(report.failures), StartsWith("src/os/huge.h: has 801 lines"));
  EXPECT_EQ(report.warnings.size(), 1u);
  EXPECT_EQ(report.failures.size(), 1u);
}

TEST_F(Sizes, an_exception_holds_up_to_its_own_limit) {
  plant("src/os/huge.cc", lines(900));
  EXPECT_THAT(check_sizes(tree(), "# why\nsrc/os/huge.cc 900\n").failures, IsEmpty());
  EXPECT_THAT(to_string(check_sizes(tree(), "src/os/huge.cc 850\n").failures), HasSubstr("more than 850"));
}

TEST_F(Sizes, the_list_of_exceptions_only_shrinks) {
  plant("src/os/now_small.cc", lines(700));
  plant("src/os/huge.cc", lines(900));
  const std::string found =
      to_string(check_sizes(tree(), "src/os/now_small.cc 900\nsrc/os/huge.cc 950\nsrc/gone.cc 900\n").failures);
  EXPECT_THAT(found, AllOf(HasSubstr("now_small.cc needs no exception"), HasSubstr("gone.cc needs no exception"),
                           HasSubstr("huge.cc has shrunk: lower its limit to 900")));
}

class NoSleep : public PlantedTree {
 protected:
  const std::string mark_ = "// " + std::string(kServiceMarker) + "\n";
};

TEST_F(NoSleep, each_way_to_sleep_is_found) {
  for (const std::string call :
       {"sleep(1)", "::usleep(5)", "std::this_thread::sleep_for(x)", "nanosleep(&t, nullptr)", "sleep_until (x)"}) {
    plant("tests/unit/a_test.cc", "void f() {\n  " + call + ";\n}\n");
    EXPECT_THAT(to_string(check_no_sleep(tree())), StartsWith("tests/unit/a_test.cc:2:")) << call;
  }
}

TEST_F(NoSleep, a_word_in_a_string_a_comment_or_a_longer_name_is_no_sleep) {
  plant("tests/unit/a_test.cc",
        "// never sleep(1)\nauto s = \"time.sleep(9)\";\nbool asleep(int);\nint sleep_count;\n"
        "auto r = R\"(sleep(3))\";\n");
  EXPECT_EQ(to_string(check_no_sleep(tree())), "");
}

TEST_F(NoSleep, a_marked_program_that_plays_a_service_may_sleep) {
  plant("tests/integration/slow_service.cc", mark_ + "int main() { sleep(1); }\n");
  EXPECT_EQ(to_string(check_no_sleep(tree())), "");
}

TEST_F(NoSleep, an_unmarked_program_may_not) {
  plant("tests/integration/slow_service.cc", "int main() { sleep(1); }\n");
  EXPECT_THAT(check_no_sleep(tree()), ::testing::SizeIs(1));
}

TEST_F(NoSleep, the_mark_is_void_in_a_test_and_in_a_helper_without_main) {
  plant("tests/unit/a_test.cc", mark_ + "TEST(A, b) { sleep(1); }\nint main() {}\n");
  plant("tests/unit/helper.cc", mark_ + "void wait() { sleep(1); }\n");
  EXPECT_THAT(check_no_sleep(tree()), ::testing::SizeIs(2));
}

TEST_F(NoSleep, scripts_are_judged_too) {
  plant("tests/integration/a.py", "import time\n# time.sleep(1)\ntime.sleep(1)\n");
  plant("tests/integration/b.sh", "#!/bin/sh\necho a; sleep 1\n");
  plant("tests/integration/service.py", "# " + std::string(kServiceMarker) + "\ntime.sleep(1)\n");
  const std::string found = to_string(check_no_sleep(tree()));
  EXPECT_THAT(found, AllOf(HasSubstr("a.py:3:"), HasSubstr("b.sh:2:")));
  EXPECT_EQ(found.find("service.py"), std::string::npos);
  EXPECT_EQ(found.find("a.py:2:"), std::string::npos);
}

class RoomReadmes : public PlantedTree {};

TEST_F(RoomReadmes, a_missing_readme_and_one_without_a_face_are_found) {
  plant("src/os/fd.h", "");
  plant("src/store/journal.h", "");
  plant("src/store/README.md", "# store\nKeeps things.\n");
  plant("src/model/event.h", "");
  plant("src/model/README.md", "# model\nFace: `event.h`.\n");
  const std::string found = to_string(check_room_readmes(tree()));
  EXPECT_THAT(found, AllOf(HasSubstr("src/os/README.md: missing"), HasSubstr("src/store/README.md: names none")));
  EXPECT_EQ(found.find("model"), std::string::npos);
}

class Proofs : public PlantedTree {};

TEST_F(Proofs, a_test_and_a_planted_bug_that_are_not_there_are_found) {
  plant("docs/internals/guarantees.md",
        "`Death.of_all` and\n`Death.of_one`; plants `a-bug`, `no-bug`, and `ready.cc`\n");
  plant("docs/internals/threat-model.md", "`Death.of_all`, no-thing `no-thing`\n");
  plant("tests/a_test.cc", "TEST_F(Death, of_all) {}\n// TEST(Death, of_one)\n");
  plant("tests/sim/plants.cc", "name = \"a-bug\";\n");
  const std::string found = to_string(check_proofs(tree()));
  EXPECT_THAT(found, AllOf(HasSubstr("guarantees.md:2: names Death.of_one"), HasSubstr("names no-bug")));
  EXPECT_EQ(found.find("of_all"), std::string::npos);
  EXPECT_EQ(found.find("a-bug"), std::string::npos);
  EXPECT_EQ(found.find("no-thing"), std::string::npos) << "planted bugs are the guarantees' alone";
}

TEST_F(Proofs, of_the_threat_model_are_looked_for_as_well) {
  plant("docs/internals/guarantees.md", "");
  plant("docs/internals/threat-model.md",
        "`Hostile.links`,\n`Hostile.gone`, `.shortened`; `Hostile`, `NoSuite`, `F_SETOWN`\n");
  plant("tests/a_test.cc", "TEST_F(Hostile, links) {}\n");
  const std::string found = to_string(check_proofs(tree()));
  EXPECT_THAT(found, AllOf(HasSubstr("threat-model.md:2: names Hostile.gone"), HasSubstr("names .shortened"),
                           HasSubstr("names NoSuite")));
  EXPECT_EQ(found.find("Hostile.links"), std::string::npos);
  EXPECT_EQ(found.find("names Hostile,"), std::string::npos);
  EXPECT_EQ(found.find("F_SETOWN"), std::string::npos);
  plant("docs/internals/threat-model.md", "");
  EXPECT_EQ(to_string(check_proofs(tree())), "");
}

TEST_F(Proofs, a_page_that_is_missing_is_found) {
  plant("docs/internals/guarantees.md", "");
  EXPECT_THAT(to_string(check_proofs(tree())), HasSubstr("threat-model.md: missing"));
}

class Coroutines : public PlantedTree {
 protected:
  std::string found_in(const std::string& body) {
    plant("src/api/a.cc", "awaitable<int> f() {\n" + body + "\n}\n");
    return to_string(check_coroutines(tree()));
  }
};

TEST_F(Coroutines, co_await_inside_braces_is_found) {
  for (const std::string body : {"auto p = Pair{co_await a(), 1};", "g({co_await a()});",
                                 "std::vector<int> v{co_await a()};", "co_return Reply{.text = h(co_await a())};",
                                 "x = {{co_await a()}, {2}};", "if (ok) { auto p = Pair{\n  1, co_await a()}; }"}) {
    EXPECT_THAT(found_in(body), HasSubstr("inside an initializer's braces")) << body;
  }
}

TEST_F(Coroutines, co_await_inside_a_conditional_is_found) {
  for (const std::string body :
       {"auto x = ok ? co_await a() : 1;", "auto x = ok ? 1 : co_await a();", "auto x = co_await a() ? 1 : 2;",
        "g(1, ok ? h(co_await a()) : 2);", "co_return ok ? (co_await a()).value() : 0;"}) {
    EXPECT_THAT(found_in(body), HasSubstr("inside ?:")) << body;
  }
}

TEST_F(Coroutines, ordinary_uses_are_left_alone) {
  for (const std::string body :
       {"co_await a();", "auto x = co_await a(y ? 1 : 2);", "g(co_await a(), y ? 1 : 2);",
        "if (co_await a()) { x = y ? 1 : 2; }", "for (auto& e : co_await a()) { use(e); }",
        "Pair p{1, 2}; co_await a();", "auto x = y ? 1 : 2; co_await a();",
        "while (true) { if (co_await a()) { break; } }", "try { co_await a(); } catch (...) {}",
        "auto f = [&]() -> awaitable<void> { co_await a(); };",
        "Handlers h{[&]() -> awaitable<int> { co_return co_await a(); }};",
        "// Pair{co_await a()}\nauto s = \"{co_await a()}\";"}) {
    EXPECT_EQ(found_in(body), "") << body;
  }
}

class DocIndex : public PlantedTree {};

TEST_F(DocIndex, a_page_without_a_link_and_a_link_without_a_page_are_found) {
  plant("docs/formats/README.md", "- [slots](slot_table.md)\n- [gone](gone.md#top)\n");
  plant("docs/formats/slot_table.md", "");
  plant("docs/formats/journal.md", "");
  EXPECT_EQ(to_string(check_doc_index(tree())),
            "docs/formats/README.md:2: links to gone.md, which does not exist\n"
            "docs/formats/journal.md: is not linked from docs/formats/README.md\n");
}

TEST_F(DocIndex, a_directory_without_an_index_is_found) {
  plant("docs/decisions/0001-x.md", "");
  EXPECT_THAT(to_string(check_doc_index(tree())), HasSubstr("docs/decisions/README.md: missing"));
}

class SnakeCase : public PlantedTree {};

TEST_F(SnakeCase, a_camel_case_file_a_dash_and_a_bad_directory_are_found) {
  plant("src/os/PidFd.cc", "");
  plant("tests/unit/some-test.cc", "");
  plant("src/Os/a.h", "");
  plant("src/os/pid_fd.h", "");
  plant("src/os/README.md", "");
  plant("docs/decisions/0001-with-dashes.md", "");
  EXPECT_THAT(check_names(tree()), ::testing::SizeIs(3));
}

TEST(Blanking, keeps_every_line_and_offset) {
  const std::string text = "int a = 1'000; // it's\nchar c = '\"'; /* \"x\n*/ auto s = \"a//b\";\n";
  const std::string code = blank_comments_and_literals(text);
  EXPECT_EQ(code.size(), text.size());
  EXPECT_EQ(code, "int a = 1'000;        \nchar c = ' ';      \n   auto s = \"    \";\n");
  EXPECT_THAT(blank_comments(text), HasSubstr("\"a//b\""));
}

}  // namespace
}  // namespace hearth::tidy
