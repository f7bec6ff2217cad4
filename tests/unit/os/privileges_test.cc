// Who asks for what, of a hearth that may do what: the table of os/privileges.h and its refusals.
#include "os/privileges.h"

#include <cerrno>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/spawn_plan.h"

namespace hearth::os {
namespace {

using ::testing::HasSubstr;
using wire::plan_bounds;
using wire::plan_capabilities;
using wire::plan_no_new_privs;

constexpr CapabilitySet known = capability_bit(41) - 1, chown = capability_bit(0), setpcap = capability_bit(8),
                        net_bind = capability_bit(10), sys_admin = capability_bit(21);
constexpr Privileges root{0, known, known, known, 0};
constexpr Privileges ordinary{1000, known, 0, known, 0};

struct Asked {
  ProcessSettings process;
  Asked capabilities(CapabilitySet set) && {
    process.capabilities = set;
    return *this;
  }
  Asked bound(CapabilitySet set) && {
    process.capability_bounding_set = set;
    return *this;
  }
  Asked user(std::uint32_t uid) && {
    process.uid = uid;
    return *this;
  }
  Asked no_new_privs() && {
    process.no_new_privs = true;
    return *this;
  }
};

using Sets = std::vector<CapabilitySet>;
// Flags, bounding, capabilities, ambient.
Sets planned(const Asked& asked, const Privileges& own) {
  const Result<PrivilegePlan> plan = plan_privileges(asked.process, own, "shop.web.0");
  EXPECT_TRUE(plan) << plan.error().text();
  if (!plan) return {};
  return {plan->flags, plan->bounding, plan->capabilities, plan->ambient};
}
Error refusal(const Asked& asked, const Privileges& own) {
  const Result<PrivilegePlan> plan = plan_privileges(asked.process, own, "shop.web.0");
  EXPECT_FALSE(plan);
  return plan ? Error() : plan.error();
}

TEST(Privileges, of_who_says_nothing_are_as_ever) {
  EXPECT_EQ(planned(Asked(), root), (Sets{0, 0, 0, 0}));
  EXPECT_EQ(planned(Asked(), ordinary), (Sets{0, 0, 0, 0}));
  EXPECT_EQ(planned(Asked().no_new_privs(), ordinary), (Sets{plan_no_new_privs, 0, 0, 0}));
}

TEST(Privileges, of_root_end_at_its_bound) {
  EXPECT_EQ(planned(Asked().bound(net_bind), root), (Sets{plan_bounds, net_bind, 0, 0}));
  EXPECT_EQ(planned(Asked().capabilities(net_bind), root),
            (Sets{plan_bounds | plan_capabilities, net_bind, net_bind, 0}));
  EXPECT_EQ(planned(Asked().capabilities(net_bind).bound(net_bind | chown), root),
            (Sets{plan_bounds | plan_capabilities, net_bind, net_bind, 0}))
      << "with a wider bound an exec would give it back";
  EXPECT_EQ(planned(Asked().capabilities(0), root), (Sets{plan_bounds | plan_capabilities, 0, 0, 0}));
}

TEST(Privileges, of_another_user_are_ambient) {
  EXPECT_EQ(planned(Asked().capabilities(net_bind).user(33), root),
            (Sets{plan_bounds | plan_capabilities, net_bind, net_bind, net_bind}));
  EXPECT_EQ(planned(Asked().capabilities(net_bind).bound(all_capabilities).user(33), root),
            (Sets{plan_bounds | plan_capabilities, known, net_bind, net_bind}));
  EXPECT_EQ(planned(Asked().bound(net_bind).user(33), root), (Sets{plan_bounds, net_bind, 0, 0}));
}

TEST(Privileges, of_all_are_those_that_there_are) {
  const Privileges less{0, known, known & ~sys_admin, known & ~sys_admin, 0};
  EXPECT_EQ(planned(Asked().capabilities(all_capabilities & ~chown).user(33), less),
            (Sets{plan_bounds | plan_capabilities, known & ~chown, known & ~sys_admin & ~chown,
                  known & ~sys_admin & ~chown}));
  EXPECT_EQ(planned(Asked().bound(all_capabilities), ordinary), (Sets{plan_bounds, known, 0, 0}))
      << "a bound that takes nothing away needs no privilege";
}

TEST(Privileges, that_hearth_has_not_are_refused) {
  const Error container = refusal(Asked().capabilities(sys_admin | net_bind), {0, known, net_bind, net_bind, 0});
  EXPECT_EQ(container.code, EPERM);
  EXPECT_THAT(container.text(), HasSubstr("cannot start shop.web.0: hearth itself has not sys_admin"));
  EXPECT_THAT(container.text(), HasSubstr("--cap-add"));
  const Error user = refusal(Asked().capabilities(net_bind).no_new_privs(), ordinary);
  EXPECT_EQ(user.remedy, Remedy::no_access);
  EXPECT_THAT(user.text(), HasSubstr("use a hearth of root"));
}

TEST(Privileges, of_an_ordinary_users_hearth_are_bound_by_no_new_privs_alone) {
  const Error open = refusal(Asked().capabilities(0), ordinary);
  EXPECT_EQ(open.code, EPERM);
  EXPECT_THAT(open.text(), HasSubstr("write no_new_privs = true"));
  EXPECT_EQ(planned(Asked().capabilities(0).no_new_privs(), ordinary),
            (Sets{plan_no_new_privs | plan_capabilities, 0, 0, 0}));
  EXPECT_EQ(planned(Asked().bound(0).no_new_privs(), ordinary), (Sets{plan_no_new_privs | plan_capabilities, 0, 0, 0}));
}

TEST(Privileges, of_a_hearth_that_has_no_new_privs_itself_are_bound_by_that) {
  Privileges held = ordinary;
  held.no_new_privs = true;
  EXPECT_EQ(planned(Asked().capabilities(0), held), (Sets{plan_capabilities, 0, 0, 0}));
}

TEST(Privileges, that_a_unit_has_given_hearth_can_be_passed_on) {
  const Privileges given{1000, known, net_bind | chown, known, net_bind | chown};
  EXPECT_EQ(planned(Asked().capabilities(net_bind).no_new_privs(), given),
            (Sets{plan_no_new_privs | plan_capabilities, 0, net_bind, net_bind}));
  EXPECT_EQ(planned(Asked().bound(chown).no_new_privs(), given),
            (Sets{plan_no_new_privs | plan_capabilities, 0, chown, chown}));
  EXPECT_EQ(planned(Asked().capabilities(net_bind), {1000, known, net_bind | setpcap, known, 0}),
            (Sets{plan_bounds | plan_capabilities, net_bind, net_bind, net_bind}));
}

TEST(Privileges, with_names_that_the_kernel_does_not_know_are_refused_by_name) {
  const Privileges old{0, capability_bit(38) - 1, capability_bit(38) - 1, capability_bit(38) - 1, 0};
  const CapabilitySet bpf = capability_bit(39);
  EXPECT_THAT(refusal(Asked().capabilities(bpf), old).text(),
              HasSubstr("does not know the capability bpf; leave it out"));
  EXPECT_THAT(refusal(Asked().bound(all_capabilities & ~bpf), old).text(), HasSubstr("capability bpf"))
      << "what it allows would stay allowed";
  EXPECT_EQ(planned(Asked().bound(all_capabilities & ~chown), old), (Sets{plan_bounds, old.known & ~chown, 0, 0}));
}

TEST(Privileges, beyond_their_bound_are_refused_whoever_wrote_them) {
  const Error error = refusal(Asked().capabilities(net_bind).bound(chown), root);
  EXPECT_EQ(error.remedy, Remedy::fix_input);
  EXPECT_THAT(error.text(), HasSubstr("capabilities has net_bind_service, and capability_bounding_set has not"));
}

TEST(Privileges, of_this_process_are_read_from_the_kernel) {
  const Privileges own = own_privileges();
  EXPECT_EQ(own.user, ::geteuid());
  EXPECT_NE(own.known & capability_bit(37), 0u) << "Linux 3.16 and later";
  EXPECT_EQ(own.known & capability_bit(62), 0u);
  EXPECT_EQ(own.permitted & ~own.known, 0u);
  EXPECT_EQ(own.bounding & ~own.known, 0u);
}

}  // namespace
}  // namespace hearth::os
