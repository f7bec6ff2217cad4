// Kinds of services and the commands that belong to them, as hearth.toml says them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/toml.h"

namespace hearth::config {
namespace {

using ::testing::ElementsAre;

ServiceSpec service_of(const std::string& lines) {
  const std::vector<std::string> variables = {"HOME=/home/ada", "PORT=8080"};
  const Parsed parsed =
      parse_project("[service.web]\ncommand = [\"x\"]\n" + lines, "/srv/shop/hearth.toml", Environment(variables));
  EXPECT_TRUE(parsed.document) << parsed.text();
  return parsed.document ? parsed.document->services.at(0) : ServiceSpec{};
}

TEST(Actions, are_an_array_or_a_table) {
  const Actions actions = *service_of(R"(
    before_start = ["~/bin/prepare", "${PORT}"]
    after_start = { command = ["announce"], timeout = "5s" }
    before_stop = { command = "drain | tee log", shell = true }
    stop_command = ["ask"]
    after_stop = ["clear"]
    on_failure = ["tell"]
    reload_command = ["again"]
  )")
                               .actions;
  EXPECT_THAT(actions.before_start.command, ElementsAre("/home/ada/bin/prepare", "8080"));
  EXPECT_EQ(actions.before_start.timeout, seconds(30));
  EXPECT_THAT(actions.after_start.command, ElementsAre("announce"));
  EXPECT_EQ(actions.after_start.timeout, seconds(5));
  EXPECT_THAT(actions.before_stop.command, ElementsAre("/bin/sh", "-c", "drain | tee log"));
  EXPECT_THAT(actions.stop.command, ElementsAre("ask"));
  EXPECT_THAT(actions.after_stop.command, ElementsAre("clear"));
  EXPECT_THAT(actions.on_failure.command, ElementsAre("tell"));
  EXPECT_THAT(actions.reload.command, ElementsAre("again"));
}

TEST(Actions, of_giving_up_are_a_word_or_a_command_or_both) {
  EXPECT_EQ(service_of("").give_up, GiveUp::hold);
  EXPECT_EQ(service_of("on_give_up = \"exit\"").give_up, GiveUp::exit);
  const ServiceSpec command = service_of("on_give_up = [\"page\", \"ada\"]");
  EXPECT_EQ(command.give_up, GiveUp::hold);
  EXPECT_THAT(command.actions->on_give_up.command, ElementsAre("page", "ada"));
  const ServiceSpec both = service_of("on_give_up = { command = [\"page\"], then = \"exit\" }");
  EXPECT_EQ(both.give_up, GiveUp::exit);
  EXPECT_THAT(both.actions->on_give_up.command, ElementsAre("page"));
  EXPECT_EQ(service_of("on_give_up = { then = \"exit\" }").give_up, GiveUp::exit);
  EXPECT_EQ(service_of("retry_after = \"10m\"").retry_after, seconds(600));
}

TEST(Type, a_task_is_not_tried_again_unless_that_is_said) {
  const ServiceSpec task = service_of("type = \"task\"");
  EXPECT_EQ(task.type, ServiceType::task);
  EXPECT_EQ(task.restart, RestartPolicy::never);
  EXPECT_EQ(service_of("type = \"task\"\nrestart = \"on-failure\"").restart, RestartPolicy::on_failure);
  EXPECT_EQ(service_of("type = \"service\"").restart, RestartPolicy::on_failure);
}

}  // namespace
}  // namespace hearth::config
