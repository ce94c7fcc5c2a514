// SPDX-License-Identifier: Apache-2.0
//
// NetNamespace: a network of a test's own, with nothing in it but a loopback device and the packet filter. What is
// dropped there is dropped for nobody else. Needs root (network_namespaces(7)).
#pragma once

#include <cstdint>
#include <string>

#include "s3overlay/unique_fd.h"

namespace s3overlay::testing {

class NetNamespace {
 public:
  // Throws where the kernel has none to give.
  NetNamespace();

  // As long as it lives, sockets that this thread makes, and processes that it starts, are in that network.
  class Visit {
   public:
    explicit Visit(const NetNamespace& network);
    ~Visit();
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;

   private:
    const UniqueFd home_;
  };

  // Packets to that TCP port vanish without a word, on connections that are open too; nft(8) does it.
  void Drop(uint16_t port) const;
  void LetPass() const;

 private:
  void Filter(const std::string& commands) const;

  UniqueFd fd_;
};

}  // namespace s3overlay::testing
