// SPDX-License-Identifier: Apache-2.0
//
// Layer: one source of the overlay at its place below the mountpoint, and the translation of paths and entries between
// the two.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "s3overlay/file_source.h"

namespace s3overlay {

struct OverlayLayer {
  std::string spec;  // As the user wrote it; for messages.
  std::string at;    // Where it lies below the mountpoint, as a path; "" is the root.
  std::unique_ptr<FileSource> source;
  bool local = false;  // A local directory: its space is what statfs reports.
};

// How a path of the overlay lies to a layer's place.
enum class Placement {
  kElsewhere,  // The layer has nothing to do with it.
  kAbove,      // It is a directory on the way to the layer, and exists because of that.
  kWithin,     // The layer's source is to be asked.
};

// Constant after construction; thread-safe as its source is.
class Layer {
 public:
  Layer(OverlayLayer layer, int index) : layer_(std::move(layer)), index_(index) {}

  int index() const { return index_; }
  const std::string& spec() const { return layer_.spec; }
  bool local() const { return layer_.local; }
  bool is_at_root() const { return layer_.at.empty(); }
  FileSource& source() const { return *layer_.source; }

  Placement Place(std::string_view path) const;

  // True where `path` is a directory by the configuration alone: the layer's place or a directory above it.
  bool MakesDirectory(std::string_view path) const;

  // `path` as the source knows it. Only where it is kWithin.
  std::string_view Inner(std::string_view path) const;

  // The name in the directory `path` that leads to this layer. Only where it is kAbove.
  std::string_view NameTowards(std::string_view path) const;

  // An entry of the source as an entry of the overlay, and back.
  Entry Adopt(Entry entry) const;
  Entry Release(const Entry& entry) const;

  // The directory at `path` that exists by the configuration alone.
  Entry MakeDirectory(std::string_view path) const;

 private:
  const OverlayLayer layer_;
  const int index_;
};

}  // namespace s3overlay
