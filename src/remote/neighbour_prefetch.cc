// SPDX-License-Identifier: Apache-2.0
#include "remote/neighbour_prefetch.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "remote/key_mapping.h"

namespace s3overlay {
namespace {

constexpr size_t kLongestEnding = 16;  // With its dot.

// The kind of file that a name tells of, if any. A number tells of none ("chunk.000001"), nor does what is longer than
// any kind: each such name would be a series of its own, found by a look at all the names.
std::string_view EndingOf(std::string_view name) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || name.size() - dot > kLongestEnding) return {};
  const std::string_view ending = name.substr(dot);
  const bool is_number = ending.find_first_not_of("0123456789", 1) == std::string_view::npos;
  return is_number ? std::string_view() : ending;
}

}  // namespace

NeighbourPrefetch::NeighbourPrefetch(NeighbourPrefetchOptions options, ObjectCatalog& catalog, ObjectStore& store,
                                     BlockFetcher& fetcher)
    : options_(options), catalog_(catalog), store_(store), fetcher_(fetcher) {}

NeighbourPrefetch::~NeighbourPrefetch() {
  MutexLock lock(mu_);
  while (!series_.empty()) Drop(series_.begin());
}

void NeighbourPrefetch::OnOpen(std::string_view path, uint64_t size) {
  if (size > options_.small_file) return;
  const std::string_view directory = ParentPath(path);
  const std::string_view name = LastComponent(path);
  const auto listing = catalog_.List(directory, {.may_block = false});
  if (!listing) return;
  MutexLock lock(mu_);
  Series& series = SeriesOf(directory, EndingOf(name), *listing);
  const CatalogListing& names = **listing;
  const auto at = std::ranges::lower_bound(series.files, name, {}, [&](uint32_t file) { return names.NameAt(file); });
  if (at == series.files.end() || names.NameAt(*at) != name) return;
  bool refused = false;
  // As much as any handle may have: a directory is one more who prefetches.
  const uint64_t most = fetcher_.GetPrefetchShare() / series.mean_size;
  for (const size_t next : series.ahead.OnOpen(static_cast<size_t>(at - series.files.begin()), most)) {
    if (!refused) {
      const auto object = std::make_shared<PinnedObject>(names.At(series.files[next]).object->id, store_);
      const uint64_t whole = object->id.size;
      refused = fetcher_.Prefetch(object, {0, whole}, series.token) != whole;
    }
    if (refused) series.ahead.OnRefused(next);
  }
}

NeighbourPrefetch::Series& NeighbourPrefetch::SeriesOf(std::string_view directory, std::string_view ending,
                                                       const ListingPtr& listing) {
  const auto found = std::ranges::find_if(
      series_, [&](const Series& series) { return series.directory == directory && series.ending == ending; });
  // A newer listing may have other files, or other versions of them.
  if (found != series_.end() && found->listing.lock() == listing) {
    series_.splice(series_.begin(), series_, found);
    return series_.front();
  }
  if (found != series_.end()) Drop(found);
  if (series_.size() >= options_.max_series) Drop(std::prev(series_.end()));
  series_.push_front(MakeSeries(directory, ending, listing));
  return series_.front();
}

NeighbourPrefetch::Series NeighbourPrefetch::MakeSeries(std::string_view directory, std::string_view ending,
                                                        const ListingPtr& listing) const {
  std::vector<uint32_t> files;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < listing->size(); ++i) {
    const bool is_small = listing->SizeAt(i) > 0 && listing->SizeAt(i) <= options_.small_file;
    if (!is_small || listing->IsArchivedAt(i) || EndingOf(listing->NameAt(i)) != ending) continue;
    files.push_back(i);
    bytes += listing->SizeAt(i);
  }
  const size_t count = files.size();
  return {.directory = std::string(directory),
          .ending = std::string(ending),
          .listing = listing,
          .files = std::move(files),
          .mean_size = std::max<uint64_t>(1, bytes / std::max<size_t>(1, count)),
          .ahead = DirectoryReadahead(count),
          .token = std::make_shared<std::atomic<bool>>(false)};
}

void NeighbourPrefetch::Drop(std::list<Series>::iterator series) {
  fetcher_.Abandon(series->token);
  series_.erase(series);
}

}  // namespace s3overlay
