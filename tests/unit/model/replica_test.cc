// {index} in texts: what is expanded, what is left alone.
#include "model/replica.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(WithIndex, TheNumberStandsForItsName) {
  EXPECT_EQ(with_index("worker-{index}", 3), "worker-3");
  EXPECT_EQ(with_index("{index}{index}", 12), "1212");
  EXPECT_EQ(with_index("", 1), "");
}

TEST(WithIndex, ANumberIsAdded) {
  EXPECT_EQ(with_index("127.0.0.1:{index+8001}", 0), "127.0.0.1:8001");
  EXPECT_EQ(with_index("127.0.0.1:{index+8001}", 4), "127.0.0.1:8005");
  EXPECT_EQ(with_index("{index+1000000000}", 4095), "1000004095");
}

TEST(WithIndex, DoubleBracesProtectIt) {
  EXPECT_EQ(with_index("{{index}}", 3), "{index}");
  EXPECT_EQ(with_index("a{{index+7}}b{index}", 3), "a{index+7}b3");
}

TEST(WithIndex, OtherBracesAreLeftAlone) {
  for (const char* text : {"{\"a\":{\"index\":1}}", "{fd:web}", "{ index }", "{index", "{index+}", "{index-1}",
                           "{index+x}", "{indexes}", "{{x}}", "{index+99999999999}", "{index+2000000000}", "{", "}{"})
    EXPECT_EQ(with_index(text, 3), text);
  EXPECT_EQ(with_index("{{index}", 3), "{3") << "only pairs protect";
}

TEST(WithoutIndex, WhateverATextSaysItIsKept) {
  for (const char* text : {"{index}", "{index+7}", "{{index}}", "{{{index+1}}}", "{{index}", "{index}}",
                           "{index}{index}", "{\"index\":1} $x {", "", "{in{index}dex}", "{index+}"})
    EXPECT_EQ(with_index(without_index(text), 3), text) << without_index(text);
  EXPECT_EQ(without_index("{x}"), "{x}") << "as it is, where that does no harm";
}

TEST(NamesIndex, IsTrueForWhatWouldBeAnother) {
  for (const char* text : {"{index}", "x{index+1}", "{{index}}"})
    EXPECT_TRUE(names_index(std::string_view(text))) << text;
  EXPECT_FALSE(names_index(std::string_view("{fd:web} {\"index\":0}")));
}

TEST(ReplicaOf, EveryTextOfTheSpecificationIsExpanded) {
  ServiceSpec spec;
  spec.name = "web";
  spec.command = {"serve", "--port", "{index+8001}"};
  spec.cwd = "/srv/{index}";
  spec.env = {{"SHARD", "{index}"}};
  spec.ready.edit().url = "http://127.0.0.1:{index+8001}/";
  spec.live.edit().command = {"check", "{index}"};
  spec.listen = {{"web", "unix:/run/web.{index}", 1}};
  spec.around.edit().ready_file = "/run/web.{index}.ready";
  spec.actions.edit().before_start.command = {"mkdir", "/srv/{index}"};
  ASSERT_TRUE(names_index(spec));
  const ServiceSpec second = replica_of(spec, 1);
  EXPECT_EQ(second.command[2], "8002");
  EXPECT_EQ(second.cwd, "/srv/1");
  EXPECT_EQ(second.env[0].second, "1");
  EXPECT_EQ(second.ready->url, "http://127.0.0.1:8002/");
  EXPECT_EQ(second.live->command[1], "1");
  EXPECT_EQ(second.listen[0].address, "unix:/run/web.1");
  EXPECT_EQ(second.around->ready_file, "/run/web.1.ready");
  EXPECT_EQ(second.actions->before_start.command[1], "/srv/1");
  EXPECT_FALSE(names_index(second));
}

TEST(ReplicaOf, WhatNamesNoIndexIsTheSame) {
  ServiceSpec spec;
  spec.name = "web";
  spec.command = {"serve", "{fd:web}"};
  EXPECT_FALSE(names_index(spec));
  EXPECT_EQ(replica_of(spec, 3), spec);
}

}  // namespace
}  // namespace hearth
