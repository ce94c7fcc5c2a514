// SPDX-License-Identifier: Apache-2.0
//
// SignedSender: one signed exchange with the store. No retries, and nothing about what the answer means.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "s3/addressing.h"
#include "s3/failure.h"
#include "s3overlay/clock.h"
#include "s3overlay/credentials.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/metrics.h"
#include "s3overlay/result.h"

namespace s3overlay::s3 {

// A request in S3's own terms.
struct StoreRequest {
  std::string method = "GET";
  std::string bucket{};
  std::string key{};                                         // Empty: the bucket itself. Raw bytes.
  std::vector<std::pair<std::string, std::string>> query{};  // Raw; encoded when sent.
  std::vector<HttpHeader> headers{};
  Metric metric = Metric::kS3Gets;  // What a request of this kind counts as.
  std::string subject{};            // "GET s3://bucket/key bytes=0-9"; for messages and the log.
};

struct SenderOptions {
  Result<std::string> endpoint;  // Normalised; an error is the answer to every request.
  std::string region;
  Addressing addressing = Addressing::kAuto;
};

// Thread-safe.
class SignedSender {
 public:
  SignedSender(SenderOptions options, HttpTransport& transport, CredentialProvider& provider, const Clock& clock,
               Metrics& metrics);

  // Only answers below 300 reach `sink`; others become a failure, their bodies are collected aside (64 KiB at most).
  // Redirects are answers like any other: credentials never follow one. `attempt` is for the log.
  std::optional<Failure> Send(const StoreRequest& request, int attempt, const HttpSink& sink,
                              const CallContext& context);

  // Signs with the store's time from now on.
  void SetClock(WallTime store_time);

  // Tells the provider that these were refused; true when it has others now.
  bool RenewCredentials(const Credentials& refused, const CallContext& context);

  // Changes whenever later requests are signed with a better clock or other credentials than earlier ones.
  uint64_t signing_epoch() const { return epoch_.load(); }

 private:
  WallTime StoreNow() const { return clock_.WallNow() + Duration(offset_.load()); }
  Result<HttpRequest> Build(const StoreRequest& request, const std::optional<Credentials>& credentials) const;
  std::optional<Failure> Exchange(const StoreRequest& request, const HttpRequest& signed_request, const HttpSink& sink,
                                  const CallContext& context, int* status);

  const SenderOptions options_;
  HttpTransport& transport_;
  CredentialProvider& provider_;
  const Clock& clock_;
  Metrics& metrics_;

  std::atomic<Duration::rep> offset_{0};  // The store's clock minus ours.
  std::atomic<uint64_t> epoch_{0};
};

}  // namespace s3overlay::s3
