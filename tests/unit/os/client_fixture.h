// A client on a link to a keeper that is not one.
#pragma once

#include <memory>

#include <gtest/gtest.h>

#include "os/keeper_client.h"
#include "unit/os/fake_keeper.h"

namespace hearth::test {

struct ClientFixture : ::testing::Test {
  FakeKeeper keeper;
  OrderMaker maker;
  std::unique_ptr<os::KeeperLink> link = keeper.connect();
  std::unique_ptr<os::KeeperClient> client = make_client();

  std::unique_ptr<os::KeeperClient> make_client() {
    return std::make_unique<os::KeeperClient>(
        *link, os::CgroupTree(), os::ClientOptions{keeper.instance().directory, os::NofileLimit{256, 512}});
  }
  void restart_supervisor() {
    client.reset();
    link.reset();
    link = keeper.connect();
    client = make_client();
  }
};

}  // namespace hearth::test
