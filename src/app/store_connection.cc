// SPDX-License-Identifier: Apache-2.0
#include "app/store_connection.h"

#include "app/watched_store.h"
#include "credentials/chain.h"
#include "http/curl_transport.h"
#include "s3/breaker_store.h"
#include "s3/s3_store.h"

namespace s3overlay {
namespace {

std::unique_ptr<HttpTransport> MakeTransport(const StoreConfig& config, const Clock& clock) {
  CurlTransportOptions options;
  options.ca_bundle = config.ca_bundle;
  return std::make_unique<CurlTransport>(std::move(options), clock);
}

S3StoreOptions StoreOptions(const StoreConfig& config) {
  S3StoreOptions options;
  options.endpoint = config.endpoint;
  options.region = config.region;
  options.addressing = config.addressing;
  return options;
}

}  // namespace

StoreConnection::StoreConnection(const StoreAccess& access, const Clock& clock)
    : transport_(MakeTransport(access.store, clock)),
      credentials_(MakeCredentialChain({.environment = access.environment,
                                        .anonymous = access.store.anonymous,
                                        .reload = access.reload_environment})) {}

StoreConnection::StoreConnection(const StoreAccess& access, const std::string& bucket,
                                 std::function<void(bool available)> on_change, const Clock& clock, Metrics& metrics)
    : StoreConnection(access, clock) {
  BreakerStoreOptions options;
  options.probe_bucket = bucket;
  options.on_change = std::move(on_change);
  auto breaker = std::make_unique<BreakerStore>(
      std::make_unique<S3Store>(StoreOptions(access.store), *transport_, *credentials_, clock, metrics),
      std::move(options), clock, metrics);
  const StatusSource* const status = breaker.get();
  store_ = std::make_unique<WatchedStore>(std::move(breaker), status);
}

std::unique_ptr<StoreConnection> StoreConnection::ForOneCommand(const StoreAccess& access, const Clock& clock,
                                                                Metrics& metrics) {
  std::unique_ptr<StoreConnection> connection(new StoreConnection(access, clock));
  connection->store_ =
      std::make_unique<WatchedStore>(std::make_unique<S3Store>(StoreOptions(access.store), *connection->transport_,
                                                               *connection->credentials_, clock, metrics),
                                     nullptr);
  return connection;
}

StoreConnection::~StoreConnection() = default;

ObjectStore& StoreConnection::store() { return *store_; }

StatusObject StoreConnection::GetStatus() const { return store_->GetStatus(); }

}  // namespace s3overlay
