// SPDX-License-Identifier: Apache-2.0
//
// Where every server of the tests listens: on 127.0.0.1, and nowhere else.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstdint>

namespace s3overlay::testing {

// `port` 0: any that is free.
inline sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

}  // namespace s3overlay::testing
