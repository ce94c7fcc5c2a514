// SPDX-License-Identifier: Apache-2.0
//
// Outage: a way in which a store comes to be out of reach of a mount that is in use, or to refuse everything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/mount/fault_proxy.h"
#include "support/mount/sandbox.h"

namespace s3overlay::testing {

class Outage {
 public:
  using MountWith = std::function<void(const std::vector<std::string>& arguments)>;

  virtual ~Outage() = default;

  // Calls `mount` where the way to the store is one that can be cut like this.
  virtual void Mount(const MountWith& mount) { mount({}); }
  virtual void Begin() = 0;
  virtual void End() = 0;
};

// Of the store behind the proxy, for a mount in the sandbox; both outlive it.
using MakeOutage = std::function<std::unique_ptr<Outage>(FaultProxy&, Sandbox&)>;

MakeOutage StoreThat(FaultProxy::Store store);
MakeOutage EveryAnswer(Fault fault);

// Packets to the store vanish, in a network of the mount's own.
MakeOutage PacketsThatVanish();

// The store's name: "gone" or "silent", as resolver_shim.cc has it.
MakeOutage NameThatIs(const std::string& state);

enum class BadCertificate { kExpired, kOfAnotherHost, kOfAStranger };
MakeOutage CertificateThatIs(BadCertificate kind);

}  // namespace s3overlay::testing
