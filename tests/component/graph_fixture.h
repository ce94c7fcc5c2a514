// SPDX-License-Identifier: Apache-2.0
//
// A graph that can be ended and started again, what its store and its directory hold, and how programs look at it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

#include "component/overlay_graph.h"
#include "support/eventually.h"
#include "support/listings.h"
#include "support/object_bytes.h"

namespace s3overlay::testing {

class GraphTest : public ::testing::Test {
 protected:
  void SetUp() override { Start(); }

  void Start() { graph_ = std::make_unique<OverlayGraph>(around_); }
  void Stop() { graph_ = nullptr; }
  void Restart() {
    Stop();
    Start();
  }

  MemoryObjectStore& store() { return around_.store; }
  OverlaySource& overlay() { return graph_->overlay(); }

  // Puts an object, or writes a local file, whose bytes are nobody else's; the answer is what they are.
  std::string Put(const std::string& path, size_t size) {
    std::string bytes = MakeBytes("object " + path, size);
    store().Put("b", "p/" + path, bytes);
    return bytes;
  }
  std::string WriteLocal(const std::string& path, size_t size) {
    std::string bytes = MakeBytes("local " + path, size);
    around_.local.Write(path, bytes);
    return bytes;
  }
  void LetAnswersExpire() { around_.clock.Advance(kMetadataTtl + std::chrono::seconds(1)); }

  Entry Find(const std::string& path) {
    auto entry = overlay().Lookup(path, {});
    if (!entry) throw std::runtime_error(path + ": " + entry.error().message);
    return *std::move(entry);
  }
  std::shared_ptr<OpenFile> Open(const std::string& path) {
    auto file = overlay().Open(Find(path), {});
    if (!file) throw std::runtime_error(path + ": " + file.error().message);
    return *std::move(file);
  }
  // The error's name where the read fails.
  static std::string Read(OpenFile& file, uint64_t offset, size_t size) {
    std::string bytes(size, '\0');
    const auto read = file.Read(offset, std::as_writable_bytes(std::span(bytes)), {});
    if (!read) return std::string(ErrorCodeName(read.error().code));
    bytes.resize(*read);
    return bytes;
  }
  // All of a file, from lookup on; the error's name where something fails.
  std::string Content(const std::string& path) {
    const auto entry = overlay().Lookup(path, {});
    if (!entry) return std::string(ErrorCodeName(entry.error().code));
    const auto file = overlay().Open(*entry, {});
    if (!file) return std::string(ErrorCodeName(file.error().code));
    return Read(**file, 0, entry->attributes.size + 1);
  }
  // "name@layer name@layer", with a ! after a degraded listing.
  std::string Names(const std::string& path) {
    const auto listing = overlay().List(path, {});
    if (!listing) return std::string(ErrorCodeName(listing.error().code));
    std::string text;
    for (const ListedEntry& listed : EntriesOf(**listing)) {
      text += (text.empty() ? "" : " ") + listed.name + "@" + std::to_string(listed.entry.layer);
    }
    return (*listing)->terms().degraded ? text + "!" : text;
  }

  // A block reaches the cache after its readers.
  bool IsWhollyCached(const std::string& path) {
    return Eventually([&, entry = Find(path)] { return overlay().GetCacheShare(entry).complete; });
  }
  bool IsPartlyCached(const std::string& path) {
    return Eventually([&, entry = Find(path)] { return overlay().GetCacheShare(entry).bytes > 0; });
  }

  Surroundings around_;
  std::unique_ptr<OverlayGraph> graph_;

 private:
  std::string MakeBytes(const std::string& name, size_t size) {
    const auto bytes = BytesOf(MakeObject(name, size, std::to_string(++made_)), {0, size});
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  int made_ = 0;
};

}  // namespace s3overlay::testing
