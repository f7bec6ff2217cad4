// Which pages a supervisor goes on from.
#include "supervisor/head.h"

#include <cstdlib>
#include <memory>

#include <gtest/gtest.h>

#include "supervisor/supervisor.h"

namespace hearth::supervisor {
namespace {

struct Free {
  void operator()(wire::DecisionPage* page) const { std::free(page); }
};
using Page = std::unique_ptr<wire::DecisionPage, Free>;

// Zeroed as a new memfd is, and as sparse.
Page new_page() {
  return Page(static_cast<wire::DecisionPage*>(std::calloc(1, sizeof(wire::DecisionPage))));
}

TEST(Readable, ANewPageIsNot) {
  EXPECT_FALSE(Supervisor::readable(*new_page()));
}

TEST(Readable, APageIsFromItsFirstCommitOn) {
  const Page page = new_page();
  wire::decision_page_init(*page, record_version);
  wire::PageWriter writer(*page);
  const Head head;
  writer.set_head(&head, sizeof head);
  EXPECT_FALSE(Supervisor::readable(*page)) << "written, but not published";
  writer.publish();
  EXPECT_TRUE(Supervisor::readable(*page));
}

TEST(Readable, OneWithRecordsOfAnotherVersionIsNot) {
  const Page page = new_page();
  wire::decision_page_init(*page, record_version + 1);
  wire::PageWriter writer(*page);
  const Head head;
  writer.set_head(&head, sizeof head);
  writer.publish();
  EXPECT_FALSE(Supervisor::readable(*page));
}

}  // namespace
}  // namespace hearth::supervisor
