// The rules of the house, applied to this repository.
#include <fstream>
#include <iostream>
#include <iterator>

#include <gtest/gtest.h>

#include "places.h"
#include "tidy/rules.h"

namespace hearth::tidy {
namespace {

SourceTree here() {
  return SourceTree::load(HEARTH_SOURCE_DIR);
}

TEST(Tree, is_found_and_has_rooms) {
  EXPECT_NE(here().find("src/base/result.h"), nullptr);
}

TEST(Tree, every_include_and_every_room_dependency_is_an_edge_of_the_design) {
  EXPECT_EQ(to_string(check_layering(here())), "");
}

TEST(Tree, pure_rooms_touch_no_kernel_no_thread_and_no_clock) {
  EXPECT_EQ(to_string(check_purity(here())), "");
}

TEST(Tree, files_stay_readable_in_one_sitting) {
  std::ifstream in(HEARTH_SOURCE_DIR "/tests/tidy/size_exceptions.txt");
  ASSERT_TRUE(in.is_open());
  const std::string exceptions{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const SizeReport report = check_sizes(here(), exceptions);
  if (!report.warnings.empty()) std::cout << "warning:\n" << to_string(report.warnings);
  EXPECT_EQ(to_string(report.failures), "");
}

TEST(Tree, no_test_sleeps) {
  EXPECT_EQ(to_string(check_no_sleep(here())), "");
}

TEST(Tree, every_room_has_a_readme_that_names_its_face) {
  EXPECT_EQ(to_string(check_room_readmes(here())), "");
}

TEST(Tree, no_co_await_stands_where_gcc_12_miscompiles_it) {
  EXPECT_EQ(to_string(check_coroutines(here())), "");
}

TEST(Tree, every_format_and_decision_page_is_in_its_index) {
  EXPECT_EQ(to_string(check_doc_index(here())), "");
}

TEST(Tree, every_test_that_a_guarantee_or_a_defence_rests_on_exists) {
  EXPECT_EQ(to_string(check_proofs(here())), "");
}

TEST(Tree, source_files_are_named_in_snake_case) {
  EXPECT_EQ(to_string(check_names(here())), "");
}

}  // namespace
}  // namespace hearth::tidy
