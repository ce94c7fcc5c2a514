// SPDX-License-Identifier: Apache-2.0
//
// StoreConnection: one S3 store with all that is around it, from the wire to the breaker.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "config/mount_config.h"
#include "s3overlay/clock.h"
#include "s3overlay/credentials.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/metrics.h"
#include "s3overlay/object_store.h"
#include "s3overlay/status_source.h"

namespace s3overlay {

class WatchedStore;

// A store, and what to sign its requests with.
struct StoreAccess {
  StoreConfig store;
  const Environment& environment;
  std::function<std::optional<Environment>()> reload_environment{};  // As MountConfig's.
};

// Thread-safe.
class StoreConnection {
 public:
  // For the layers of `bucket`; clock and metrics outlive it. `on_change` is called on a thread of the store when it
  // becomes available or is taken to be away; may be empty.
  StoreConnection(const StoreAccess& access, const std::string& bucket, std::function<void(bool available)> on_change,
                  const Clock& clock, Metrics& metrics);
  // The same without a breaker and its thread: for one command that ends soon.
  static std::unique_ptr<StoreConnection> ForOneCommand(const StoreAccess& access, const Clock& clock,
                                                        Metrics& metrics);
  ~StoreConnection();

  ObjectStore& store();
  StatusObject GetStatus() const;

 private:
  StoreConnection(const StoreAccess& access, const Clock& clock);

  const std::unique_ptr<HttpTransport> transport_;
  const std::unique_ptr<CredentialProvider> credentials_;
  std::unique_ptr<WatchedStore> store_;  // Last: it uses the others.
};

}  // namespace s3overlay
