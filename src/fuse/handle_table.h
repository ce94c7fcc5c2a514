// SPDX-License-Identifier: Apache-2.0
//
// HandleTable: owns what the kernel's file handles stand for. A handle is an address, so that a call finds it without a
// lock; the table is there for the handles that are never released, because the mount ends while files are open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

#include "s3overlay/mutex.h"

namespace s3overlay {

// Thread-safe.
template <typename Handle>
class HandleTable {
 public:
  // What goes into fuse_file_info::fh.
  uint64_t Add(std::unique_ptr<Handle> handle) S3OVERLAY_EXCLUDES(mu_) {
    Handle* const address = handle.get();
    MutexLock lock(mu_);
    handles_.emplace(address, std::move(handle));
    return reinterpret_cast<uint64_t>(address);
  }

  // The handle lives until Take or Clear.
  static Handle* At(uint64_t number) { return reinterpret_cast<Handle*>(number); }

  // Null for a number that is not in the table.
  std::unique_ptr<Handle> Take(uint64_t number) S3OVERLAY_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    auto node = handles_.extract(At(number));
    return node.empty() ? nullptr : std::move(node.mapped());
  }

  // No call on a handle may be under way.
  void Clear() S3OVERLAY_EXCLUDES(mu_) {
    std::unordered_map<Handle*, std::unique_ptr<Handle>> gone;
    MutexLock lock(mu_);
    gone.swap(handles_);
  }

  size_t size() const S3OVERLAY_EXCLUDES(mu_) {
    MutexLock lock(mu_);
    return handles_.size();
  }

 private:
  mutable Mutex mu_;
  std::unordered_map<Handle*, std::unique_ptr<Handle>> handles_ S3OVERLAY_GUARDED_BY(mu_);
};

}  // namespace s3overlay
