#include "cli/answers.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "cli/event_news.h"

namespace hearth::cli {
namespace {

TEST(Answers, an_order_is_read_with_all_that_progress_shows) {
  const Result<OrderNews> news =
      order_news({200, -1, R"({"order":3,"verb":"apply","settled":true,"seen":"00ff","slots":[
      {"outcome":"failed","project":"app","name":"web","index":2,"state":"backoff","ready":false,"has_readiness":true,
       "pid":null,"restarts":4,"reason_text":"exited with code 1","status":"x","log_directory":"/l"}],"new_field":{}})"});
  ASSERT_TRUE(news.has_value());
  EXPECT_TRUE(news->settled);
  EXPECT_EQ(news->seen, "00ff");
  ASSERT_EQ(news->slots.size(), 1u);
  EXPECT_EQ(news->slots[0].index, 2u);
  EXPECT_EQ(news->slots[0].pid, 0);
  EXPECT_EQ(news->slots[0].reason_text, "exited with code 1");
  EXPECT_EQ(news->slots[0].state_word(), "backoff");
}

// Beside the memory of all its processes, which `status` and max_memory tell, it was taken for the same.
TEST(Answers, the_memory_of_a_run_that_has_ended_is_that_of_its_largest_process) {
  EventNews event;
  event.kind = "exit";
  event.pid = 7;
  event.text = "exited with code 0";
  event.measured = true;
  event.run_ms = 1'000;
  event.cpu_user_ms = event.cpu_system_ms = 10;
  event.max_rss_kib = 1'564;
  const std::string words = event_words(event);
  EXPECT_NE(words.find(" system, the largest process had 1564 KiB of memory)"), std::string::npos) << words;
}

TEST(Answers, names_as_other_managers_write_them_are_answered_with_how_hearth_does) {
  const auto hint = [](const std::string& name) {
    return refusal({404, -1,
                    R"({"error":{"operation":"find","subject":")" + name +
                        R"(","reason":"no service has that name","hint":"near","remedy":"not_found"}})"})
        .hint;
  };
  EXPECT_EQ(hint("all"), "every service is meant by --all");
  EXPECT_EQ(hint("shop:*"), "@shop are the services with the tag shop, 'shop.*' those of the project shop");
  EXPECT_TRUE(hint("shop:web").starts_with("between project and service stands a dot: shop.web; @shop are"));
  EXPECT_EQ(hint("web"), "near");
  EXPECT_EQ(hint(":web"), "near");
}

TEST(Answers, a_slot_tells_since_when_it_is_as_it_is) {
  const auto since = [](const std::string& members) {
    const auto news = order_news({200, -1, R"({"slots":[{"since":"1970-01-01T00:00:05.250Z",)" + members + "}]}"});
    return news && news->slots.size() == 1 ? news->slots[0].since : -1;
  };
  EXPECT_EQ(since(R"("outcome":"done","state":"stopped")"), milliseconds(5'250));
  EXPECT_EQ(since(R"("outcome":"done","state":"running","has_readiness":true,"ready":true,)"
                  R"("ready_since":"1970-01-01T00:00:07.000Z")"),
            seconds(7));
  EXPECT_EQ(since(R"("outcome":"pending","state":"starting")"), 0);
}

TEST(Answers, a_refusal_is_the_servers_own_error) {
  const Answer answer{409, -1,
                      R"({"error":{"operation":"run","subject":"web","reason":"it is there","hint":"choose another",
                                   "remedy":"conflict","errno":null}})"};
  const Result<AcceptedNews> news = accepted_news(answer);
  ASSERT_FALSE(news.has_value());
  EXPECT_EQ(news.error().remedy, Remedy::conflict);
  EXPECT_EQ(news.error().text(), "cannot run web: it is there; choose another");
}

TEST(Answers, what_is_not_understood_is_an_error_and_no_crash) {
  for (const char* body : {"", "[]", "{", "null", "\"x\""}) {
    EXPECT_FALSE(order_news({200, -1, body}).has_value()) << body;
    EXPECT_FALSE(order_news({500, -1, body}).has_value()) << body;
  }
  EXPECT_TRUE(order_news({200, -1, R"({"slots":[1,null,{"name":5,"index":"x"}],"settled":"yes"})"}).has_value());
}

TEST(Answers, errors_are_written_as_the_server_writes_them) {
  const std::string text = error_json(Error{Remedy::no_access, "open", "/a\"b\xff", "no", "", 13});
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(text, error);
  ASSERT_FALSE(error) << text;
  EXPECT_EQ(value.at("error").at("remedy").as_string(), "no_access");
  EXPECT_EQ(value.at("error").at("errno").as_int64(), 13);
}

}  // namespace
}  // namespace hearth::cli
