// SPDX-License-Identifier: Apache-2.0
//
// TlsFront: takes https and hands on what is in it to a port of 127.0.0.1 that speaks plain HTTP, so that FaultProxy
// serves both. Its certificate may go bad while it is in use.
#pragma once

#include <cstdint>
#include <list>
#include <string>
#include <thread>

#include "s3overlay/mutex.h"
#include "s3overlay/unique_fd.h"
#include "support/tls/certificate.h"

namespace s3overlay::testing {

// Thread-safe.
class TlsFront {
 public:
  TlsFront(uint16_t port_behind, TlsContextPtr context);
  ~TlsFront();
  TlsFront(const TlsFront&) = delete;
  TlsFront& operator=(const TlsFront&) = delete;

  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_); }

  // What connections show from now on; those that are open are cut, and no session of theirs is taken up again.
  void Replace(TlsContextPtr context);

 private:
  struct Connection {
    UniqueFd client;
    UniqueFd behind;
    std::thread thread;
  };

  void Accept();
  void Start(UniqueFd client);
  void Serve(const Connection& connection, SSL* tls);
  void CutConnections() S3OVERLAY_REQUIRES(mu_);

  const uint16_t port_behind_;
  const UniqueFd listener_;
  uint16_t port_ = 0;

  Mutex mu_;
  TlsContextPtr context_ S3OVERLAY_GUARDED_BY(mu_);
  std::list<Connection> connections_ S3OVERLAY_GUARDED_BY(mu_);  // All that ever were: a test has few.

  std::thread acceptor_;
};

}  // namespace s3overlay::testing
