// SPDX-License-Identifier: Apache-2.0
#include "credentials/chain.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>
#include <vector>

#include "credentials/credential_source.h"
#include "credentials/environment_source.h"

namespace s3overlay {
namespace {

using Sources = std::vector<std::unique_ptr<CredentialSource>>;

// In the order in which they are asked.
Sources MakeSources(const CredentialOptions& options) {
  Sources sources;
  sources.push_back(std::make_unique<EnvironmentSource>(OvhFamily(), options.environment));
  sources.push_back(std::make_unique<EnvironmentSource>(AwsFamily(), options.environment));
  return sources;
}

class CredentialChain final : public CredentialProvider {
 public:
  explicit CredentialChain(Sources sources) : sources_(std::move(sources)) {}

  Result<std::optional<Credentials>> Get(const CallContext& context) override {
    for (const auto& source : sources_) {
      Result<std::optional<Credentials>> found = source->Find(context);
      if (!found || found->has_value()) return found;
    }
    return NothingFound();
  }

  void Refused(const Credentials& credentials) override {
    for (const auto& source : sources_) source->Refused(credentials);
  }

 private:
  Error NothingFound() const {
    std::vector<std::string> tried;
    for (const auto& source : sources_) tried.push_back(source->Describe());
    return Error{
        ErrorCode::kCredentials,
        fmt::format("no credentials found (tried: {}); set OVH_S3_ACCESS_KEY and OVH_S3_SECRET_KEY, or "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or pass --no-sign-request for a public bucket",
                    fmt::join(tried, ", "))};
  }

  const Sources sources_;
};

class AnonymousProvider final : public CredentialProvider {
 public:
  Result<std::optional<Credentials>> Get(const CallContext&) override { return std::optional<Credentials>(); }
  void Refused(const Credentials&) override {}
};

}  // namespace

std::unique_ptr<CredentialProvider> MakeCredentialChain(CredentialOptions options) {
  if (options.anonymous) return std::make_unique<AnonymousProvider>();
  return std::make_unique<CredentialChain>(MakeSources(options));
}

}  // namespace s3overlay
