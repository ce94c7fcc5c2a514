// SPDX-License-Identifier: Apache-2.0
#include "credentials/chain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "s3overlay/clock.h"
#include "s3overlay/mutex.h"

#include "credentials/credential_source.h"
#include "credentials/environment_source.h"

namespace s3overlay {
namespace {

using Sources = std::vector<std::unique_ptr<CredentialSource>>;

// In the order in which they are asked.
Sources MakeSources(const std::map<std::string, std::string>& environment) {
  Sources sources;
  sources.push_back(std::make_unique<EnvironmentSource>(OvhFamily(), environment));
  sources.push_back(std::make_unique<EnvironmentSource>(AwsFamily(), environment));
  return sources;
}

class CredentialChain final : public CredentialProvider {
 public:
  explicit CredentialChain(CredentialOptions options)
      : reload_(std::move(options.reload)),
        sources_(std::make_shared<const Sources>(MakeSources(options.environment))) {}

  Result<std::optional<Credentials>> Get(const CallContext& context) override {
    const auto sources = Current();
    Result<std::optional<Credentials>> found = FindIn(*sources, context);
    if (!found || found->has_value()) return found;
    return NothingFound(*sources);
  }

  void Refused(const Credentials& credentials) override {
    for (const auto& source : *Current()) source->Refused(credentials);
    if (reload_) Reload();
  }

 private:
  // The first that one of them has.
  static Result<std::optional<Credentials>> FindIn(const Sources& sources, const CallContext& context) {
    for (const auto& source : sources) {
      Result<std::optional<Credentials>> found = source->Find(context);
      if (!found || found->has_value()) return found;
    }
    return std::optional<Credentials>();
  }

  std::shared_ptr<const Sources> Current() const {
    MutexLock lock(mu_);
    return sources_;
  }

  void Reload() {
    {
      MutexLock lock(mu_);
      const TimePoint now = clock_.Now();
      if (reloaded_at_ != TimePoint::min() && now - reloaded_at_ < kReloadPause) return;
      reloaded_at_ = now;
    }
    const auto environment = reload_();
    if (!environment) return;
    auto sources = std::make_shared<const Sources>(MakeSources(*environment));
    // A file that is being written may lack them: the old ones will be refused again, and it is read again.
    const auto found = FindIn(*sources, {});
    if (!found || !found->has_value()) return;
    MutexLock lock(mu_);
    sources_ = std::move(sources);
  }

  static Error NothingFound(const Sources& sources) {
    std::vector<std::string> tried;
    for (const auto& source : sources) tried.push_back(source->Describe());
    return Error{
        ErrorCode::kCredentials,
        fmt::format("no credentials found (tried: {}); set OVH_S3_ACCESS_KEY and OVH_S3_SECRET_KEY, or "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass --no-sign-request for a public bucket",
                    fmt::join(tried, ", "))};
  }

  static constexpr Duration kReloadPause = std::chrono::seconds(1);

  const std::function<std::optional<std::map<std::string, std::string>>()> reload_;
  const SystemClock clock_;

  mutable Mutex mu_;
  std::shared_ptr<const Sources> sources_ S3OVERLAY_GUARDED_BY(mu_);
  TimePoint reloaded_at_ S3OVERLAY_GUARDED_BY(mu_) = TimePoint::min();
};

class AnonymousProvider final : public CredentialProvider {
 public:
  Result<std::optional<Credentials>> Get(const CallContext&) override { return std::optional<Credentials>(); }
  void Refused(const Credentials&) override {}
};

}  // namespace

std::unique_ptr<CredentialProvider> MakeCredentialChain(CredentialOptions options) {
  if (options.anonymous) return std::make_unique<AnonymousProvider>();
  return std::make_unique<CredentialChain>(std::move(options));
}

}  // namespace s3overlay
