#include "os/upgrade_words.h"

#include <cerrno>
#include <csignal>
#include <set>

#include <gmock/gmock.h>

#include "wire/hand_over.h"

namespace hearth::os {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using wire::HandOverProblem;
using wire::KeeperRefusalCause;

std::string words(KeeperRefusalCause cause, int detail = 0) {
  return keeper_refusal_words({1, cause, static_cast<std::uint8_t>(detail), 0});
}
std::string words(HandOverProblem problem) {
  return words(KeeperRefusalCause::refused, static_cast<int>(problem));
}

TEST(KeeperRefusalWords, NobodyWasRefused) {
  EXPECT_EQ(words(KeeperRefusalCause::none), "");
}

TEST(KeeperRefusalWords, EachCauseHasItsOwn) {
  std::set<std::string> all;
  constexpr int causes = static_cast<int>(KeeperRefusalCause::came_back);
  for (int cause = 1; cause <= causes; ++cause) all.insert(words(static_cast<KeeperRefusalCause>(cause), 1));
  EXPECT_EQ(all.size(), static_cast<std::size_t>(causes));
  for (const std::string& each : all) EXPECT_THAT(each, Not(HasSubstr("does not know")));
}

TEST(KeeperRefusalWords, EachProblemHasItsOwn) {
  std::set<std::string> all;
  constexpr int end = static_cast<int>(HandOverProblem::count_);
  for (int problem = 1; problem < end; ++problem) all.insert(words(static_cast<HandOverProblem>(problem)));
  EXPECT_EQ(all.size(), static_cast<std::size_t>(end - 1));
  for (const std::string& each : all) EXPECT_THAT(each, Not(HasSubstr("which this version")));
}

TEST(KeeperRefusalWords, ADryRunEndedWithACodeOrASignal) {
  EXPECT_THAT(words(KeeperRefusalCause::died, 0), HasSubstr("exited with code 0"));
  EXPECT_THAT(words(KeeperRefusalCause::died, 127), HasSubstr("exited with code 127"));
  EXPECT_THAT(words(KeeperRefusalCause::died, 128 + SIGSEGV), HasSubstr("killed by signal 11"));
  EXPECT_THAT(words(KeeperRefusalCause::died, 255), HasSubstr("exited with code 255")) << "there is no signal 127";
}

TEST(KeeperRefusalWords, AnErrnoIsTold) {
  EXPECT_THAT(words(KeeperRefusalCause::cannot_execute, ENOEXEC), HasSubstr("Exec format error"));
  EXPECT_THAT(words(KeeperRefusalCause::cannot_execute, 0), HasSubstr("cannot execute the program: is it"));
  EXPECT_THAT(words(KeeperRefusalCause::no_memory, ENOMEM), HasSubstr("Cannot allocate memory"));
}

TEST(KeeperRefusalWords, WhatAKeeperOfALaterTimeSaysIsToldByItsNumber) {
  EXPECT_THAT(words(static_cast<KeeperRefusalCause>(99)), HasSubstr("for reason 99"));
  EXPECT_THAT(words(static_cast<HandOverProblem>(77)), HasSubstr("for reason 77"));
}

}  // namespace
}  // namespace hearth::os
