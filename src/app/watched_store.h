// SPDX-License-Identifier: Apache-2.0
//
// WatchedStore: an ObjectStore that remembers whether its bucket can be used at all. Refused credentials and a bucket
// that is gone are faults of the mount and not of a path: logged once as an error, and shown in `status` until the
// store answers properly again.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "s3overlay/mutex.h"
#include "s3overlay/object_store.h"
#include "s3overlay/status_source.h"

namespace s3overlay {

// Thread-safe.
class WatchedStore final : public ObjectStore, public StatusSource {
 public:
  // `store` is owned; `inner_status` is the same store's, and may be null.
  WatchedStore(std::unique_ptr<ObjectStore> store, const StatusSource* inner_status)
      : store_(std::move(store)), inner_status_(inner_status) {}

  Result<ObjectMetadata> Head(const std::string& bucket, const std::string& key, const CallContext& context) override;
  Result<ListPage> List(const ListRequest& request, const CallContext& context) override;
  Result<void> GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                        const CallContext& context) override;
  std::string url() const override { return store_->url(); }
  bool IsAway() const override { return store_->IsAway(); }

  // That of the store, and `fault`: what is wrong, or null.
  StatusObject GetStatus() const override S3OVERLAY_EXCLUDES(mu_);

 private:
  template <typename T>
  Result<T> Watched(Result<T> outcome);
  void RecordFault(const Error& error) S3OVERLAY_EXCLUDES(mu_);
  void RecordSuccess() S3OVERLAY_EXCLUDES(mu_);

  const std::unique_ptr<ObjectStore> store_;
  const StatusSource* const inner_status_;

  std::atomic<bool> faulty_{false};  // Spares the usual call the lock.

  mutable Mutex mu_;
  std::string fault_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay
