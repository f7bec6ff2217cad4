#include "base/result.h"

#include <cerrno>

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(Error, SaysWhatHappenedToWhatWhyAndWhatToDoNext) {
  const Error error{Remedy::conflict, "start", "web", "port 80 is in use", "stop nginx first", 0};
  EXPECT_EQ(error.text(), "cannot start web: port 80 is in use; stop nginx first");
}

TEST(Error, LeavesOutWhatItDoesNotKnow) {
  EXPECT_EQ((Error{Remedy::try_later, "fork", "", "", "", 0}).text(), "cannot fork");
  EXPECT_EQ((Error{Remedy::try_later, "open", "/x", "", "", 0}).text(), "cannot open /x");
  EXPECT_EQ((Error{Remedy::try_later, "wait", "", "too long", "", 0}).text(), "cannot wait: too long");
}

TEST(Error, FromErrnoIsNamedByItsRemedy) {
  const auto remedy = [](int code) { return errno_error("open", "/x", code).remedy; };
  for (const int code : {ENOSPC, EMFILE, ENFILE, ENOMEM, EAGAIN, EINTR}) EXPECT_EQ(remedy(code), Remedy::try_later);
  for (const int code : {EACCES, EPERM, EROFS}) EXPECT_EQ(remedy(code), Remedy::no_access);
  for (const int code : {ENOENT, ENOTDIR, ESRCH}) EXPECT_EQ(remedy(code), Remedy::not_found);
  for (const int code : {EEXIST, EBUSY, EADDRINUSE, ENOTEMPTY}) EXPECT_EQ(remedy(code), Remedy::conflict);
  for (const int code : {EINVAL, ENAMETOOLONG, E2BIG, ENOEXEC}) EXPECT_EQ(remedy(code), Remedy::fix_input);
  for (const int code : {ENOSYS, EOPNOTSUPP}) EXPECT_EQ(remedy(code), Remedy::environment);
}

TEST(Error, FromErrnoKeepsTheCodeAndHelpsWhereItCan) {
  const Error full = errno_error("write", "/log", ENOSPC);
  EXPECT_EQ(full.code, ENOSPC);
  EXPECT_EQ(full.text(), "cannot write /log: No space left on device; free some space or raise the quota");
}

TEST(Result, CarriesAValueOrAnError) {
  const Result<int> good = 4;
  const Result<int> bad = failure(Remedy::fix_input, "parse", "x", "not a number");
  EXPECT_EQ(good.value(), 4);
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().text(), "cannot parse x: not a number");
  const Status status = errno_failure("open", "/x", ENOENT);
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().remedy, Remedy::not_found);
}

}  // namespace
}  // namespace hearth
