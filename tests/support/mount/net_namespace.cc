// SPDX-License-Identifier: Apache-2.0
#include "support/mount/net_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

#include "support/mount/process.h"

namespace s3overlay::testing {
namespace {

constexpr const char* kThisNetwork = "/proc/thread-self/ns/net";

UniqueFd OpenThisNetwork() { return UniqueFd(::open(kThisNetwork, O_RDONLY | O_CLOEXEC)); }

// A new network has its loopback device down.
bool BringUpLoopback() {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return ::ioctl(socket.get(), SIOCSIFFLAGS, &request) == 0;
}

}  // namespace

// On a thread that ends, so that this one stays where it is.
NetNamespace::NetNamespace() {
  std::thread maker([this] {
    if (::unshare(CLONE_NEWNET) == 0 && BringUpLoopback()) fd_ = OpenThisNetwork();
  });
  maker.join();
  if (!fd_.is_open()) throw std::runtime_error("no network namespace is to be had; root is needed");
}

NetNamespace::Visit::Visit(const NetNamespace& network) : home_(OpenThisNetwork()) {
  if (::setns(network.fd_.get(), CLONE_NEWNET) != 0) throw std::runtime_error("setns failed");
}

NetNamespace::Visit::~Visit() { EXPECT_EQ(::setns(home_.get(), CLONE_NEWNET), 0) << std::strerror(errno); }

void NetNamespace::Drop(uint16_t port) const {
  Filter(
      fmt::format("add table inet silence; add chain inet silence in {{ type filter hook input priority 0; }}; "
                  "add rule inet silence in tcp dport {} drop",
                  port));
}

void NetNamespace::LetPass() const { Filter("delete table inet silence"); }

void NetNamespace::Filter(const std::string& commands) const {
  const Visit visit(*this);
  const ProcessResult result = Process({"nft", commands}, {"LC_ALL=C.UTF-8"}).Wait();
  EXPECT_EQ(result.exit_code, 0) << "nft: " << result.err;
}

}  // namespace s3overlay::testing
