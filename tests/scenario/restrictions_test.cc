// A machine that does not hold what a specification asks for: it is started, and said for as long as it is so.
#include <algorithm>

#include "scenario/stage.h"

namespace hearth::scenario {
namespace {

class Restrictions : public Scenario {
 protected:
  ServiceSpec held(const std::string& name) {
    ServiceSpec spec = service(name);
    spec.process.edit().sandbox.edit().limits_writing = true;
    return spec;
  }
  std::vector<std::string> said_of(const std::string& slot) {
    std::vector<std::string> texts;
    for (const Note& note : stage.machine().supervisor().status().notes)
      if (note.slot == slot && note.at == 0) texts.push_back(note.text);
    return texts;
  }
  std::ptrdiff_t events_about(const std::string& text) {
    const std::vector<EventRecord>& journal = stage.machine().store_port.journal();
    return std::count_if(journal.begin(), journal.end(), [&](const EventRecord& event) {
      return event.what == Happening::note && event.service == "p.web.0" && event.text == text;
    });
  }
};

TEST_F(Restrictions, ThatDoNotHoldAreSaidToWhoAppliesInAnEventAndInStatusAsLongAsItIsSo) {
  stage.machine().keeper_port.open_sandboxes = "it is open";
  const sim::ClientCall& up = stage.up({held("web"), service("free")});
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_EQ((*up.answer)->notes, std::vector<std::string>{"web: it is open"});
  EXPECT_EQ(said_of("p.web.0"), std::vector<std::string>{"p.web.0: it is open"});
  EXPECT_TRUE(said_of("p.free.0").empty());
  EXPECT_EQ(events_about("it is open"), 1);
  stage.up({held("web"), service("free")});
  stage.run_ms(500);
  EXPECT_EQ(events_about("it is open"), 1) << "nothing is new";
  stage.machine().keeper_port.open_sandboxes.clear();
  EXPECT_TRUE(said_of("p.web.0").empty());
}

TEST_F(Restrictions, ThatDoNotHoldForManyAreSaidToWhoAppliesInOneLine) {
  stage.machine().keeper_port.open_sandboxes = "it is open";
  const sim::ClientCall& up =
      stage.up({held("a"), service("free"), held("b"), held("c"), held("d"), held("e"), held("f")});
  stage.run_until([&] { return stage.is_ready("f"); });
  EXPECT_EQ((*up.answer)->notes, std::vector<std::string>{"a, b, c, d and 2 more: it is open"});
  EXPECT_EQ(said_of("p.f.0"), std::vector<std::string>{"p.f.0: it is open"}) << "who asks for one is told of that one";
}

// Their orders would be carried out outside of it.
TEST_F(Restrictions, OfASandboxAreKnownByTheLabelOfItsRun) {
  stage.up({service("free")});
  stage.run_until([&] { return stage.is_ready("free"); });
  EXPECT_FALSE(stage.machine().supervisor().has_sandboxes());
  ServiceSpec filtered = service("filtered");
  filtered.process.edit().sandbox.edit().deny_syscalls = {"@swap"};
  stage.up({held("web"), filtered, service("free")});
  stage.run_until([&] { return stage.is_ready("web") && stage.is_ready("filtered"); });
  EXPECT_TRUE(stage.machine().supervisor().has_sandboxes());
  EXPECT_TRUE(stage.machine().supervisor().is_sandboxed("p.web.0"));
  EXPECT_TRUE(stage.machine().supervisor().is_sandboxed("p.filtered.0"));
  EXPECT_FALSE(stage.machine().supervisor().is_sandboxed("p.free.0"));
  EXPECT_TRUE(stage.machine().supervisor().is_sandboxed("p.gone.0")) << "what it was is not known any more";
}

TEST_F(Restrictions, ThatHoldAreNotTalkedAbout) {
  const sim::ClientCall& up = stage.up({held("web")});
  stage.run_until([&] { return stage.is_ready("web"); });
  EXPECT_TRUE((*up.answer)->notes.empty());
  EXPECT_TRUE(said_of("p.web.0").empty());
}

}  // namespace
}  // namespace hearth::scenario
