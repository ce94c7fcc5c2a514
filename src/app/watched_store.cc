// SPDX-License-Identifier: Apache-2.0
#include "app/watched_store.h"

#include "s3overlay/log.h"

namespace s3overlay {
namespace {

bool IsFault(ErrorCode code) { return code == ErrorCode::kCredentials || code == ErrorCode::kMisconfigured; }

}  // namespace

Result<ObjectMetadata> WatchedStore::Head(const std::string& bucket, const std::string& key,
                                          const CallContext& context) {
  return Watched(store_->Head(bucket, key, context));
}

Result<ListPage> WatchedStore::List(const ListRequest& request, const CallContext& context) {
  return Watched(store_->List(request, context));
}

Result<void> WatchedStore::GetRange(const ObjectId& object, ByteRange range, const ByteSink& sink,
                                    const CallContext& context) {
  return Watched(store_->GetRange(object, range, sink, context));
}

StatusObject WatchedStore::GetStatus() const {
  StatusObject status = inner_status_ != nullptr ? inner_status_->GetStatus() : StatusObject{};
  const MutexLock lock(mu_);
  status.push_back({"fault", fault_.empty() ? StatusValue{} : StatusValue{fault_}});
  return status;
}

template <typename T>
Result<T> WatchedStore::Watched(Result<T> outcome) {
  if (outcome) {
    RecordSuccess();
  } else if (IsFault(outcome.error().code)) {
    RecordFault(outcome.error());
  }
  return outcome;
}

void WatchedStore::RecordFault(const Error& error) {
  {
    const MutexLock lock(mu_);
    const bool known = !fault_.empty();
    fault_ = error.message;
    faulty_ = true;
    if (known) return;
  }
  log::Error("store {} cannot be used: {}", store_->url(), error.message);
}

void WatchedStore::RecordSuccess() {
  if (!faulty_) return;
  {
    const MutexLock lock(mu_);
    if (fault_.empty()) return;
    fault_.clear();
    faulty_ = false;
  }
  log::Info("store {} can be used again", store_->url());
}

}  // namespace s3overlay
