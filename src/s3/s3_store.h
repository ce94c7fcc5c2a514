// SPDX-License-Identifier: Apache-2.0
//
// S3Store: the ObjectStore that speaks S3 over HTTP. It decides what an answer means: what is proof of absence
// (s3/bucket_proof), what is a denial, and which bytes belong to the pinned version (s3/response_check).
//
// Source: S3 API reference, HeadObject, GetObject, ListObjectsV2, "Error responses".
#pragma once

#include <memory>
#include <string>

#include "s3/addressing.h"
#include "s3/bucket_proof.h"
#include "s3/pacer.h"
#include "s3/retry_loop.h"
#include "s3/signed_sender.h"
#include "s3/version_memory.h"
#include "s3overlay/clock.h"
#include "s3overlay/credentials.h"
#include "s3overlay/http_transport.h"
#include "s3overlay/metrics.h"
#include "s3overlay/object_store.h"

namespace s3overlay {

struct S3StoreOptions {
  std::string endpoint;                       // See NormalizeEndpoint.
  std::string region = "us-east-1";           // Part of the signature; most stores other than AWS take any.
  Addressing addressing = Addressing::kAuto;  // Change it for stores that refuse paths, or host names.
  int max_retries = 10;                       // An upper bound; CallContext::max_retries is what counts below it.
  Duration retry_base = std::chrono::milliseconds(100);
  Duration retry_cap = std::chrono::seconds(5);
  Duration bucket_proof_ttl = std::chrono::seconds(60);  // How long a HEAD's 404 is believed without asking further.
};

// Thread-safe. Transport, provider, clock and metrics outlive it.
class S3Store final : public ObjectStore {
 public:
  S3Store(S3StoreOptions options, HttpTransport& transport, CredentialProvider& credentials, const Clock& clock,
          Metrics& metrics);
  // With waits of the caller's own; for tests.
  S3Store(S3StoreOptions options, HttpTransport& transport, CredentialProvider& credentials, const Clock& clock,
          Metrics& metrics, std::unique_ptr<s3::Pacer> pacer);

  Result<ObjectMetadata> Head(const std::string& bucket, const std::string& key, const CallContext& context) override;
  Result<ListPage> List(const ListRequest& request, const CallContext& context) override;
  Result<void> GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                        const CallContext& context) override;
  std::string url() const override { return url_; }
  bool IsAway() const override { return false; }  // It has no memory of failures: that is BreakerStore.

 private:
  Result<ObjectMetadata> HeadOnce(const std::string& bucket, const std::string& key, const CallContext& context);
  Result<ObjectMetadata> ProveAbsence(const std::string& bucket, const std::string& key, const CallContext& context);
  Result<ObjectMetadata> AskByGet(const std::string& bucket, const std::string& key, const CallContext& context);
  s3::Failure Explain(s3::Failure failure, const std::string& bucket, const std::string& key,
                      const CallContext& context);
  Result<bool> IsListed(const std::string& bucket, const std::string& key, const CallContext& context);

  const std::string url_;
  Metrics& metrics_;

  const std::unique_ptr<s3::Pacer> pacer_;
  s3::SignedSender sender_;
  const s3::RetryLoop loop_;
  s3::BucketProof proof_;
  s3::VersionMemory versions_;
};

}  // namespace s3overlay
