// SPDX-License-Identifier: Apache-2.0
#include "credentials/environment_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace s3overlay {
namespace {

bool IsWhitespaceOrControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte <= ' ' || byte == 0x7f;
}

Error Fault(std::string message) { return Error{ErrorCode::kCredentials, std::move(message)}; }

}  // namespace

EnvironmentFamily OvhFamily() { return {"OVH_S3_*", "OVH_S3_ACCESS_KEY", "OVH_S3_SECRET_KEY", ""}; }

EnvironmentFamily AwsFamily() { return {"AWS_*", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}; }

EnvironmentSource::EnvironmentSource(EnvironmentFamily family, const std::map<std::string, std::string>& environment)
    : family_(std::move(family)),
      access_key_(Read(family_.access_key, true, environment)),
      secret_key_(Read(family_.secret_key, true, environment)),
      session_token_(Read(family_.session_token, false, environment)) {}

EnvironmentSource::Variable EnvironmentSource::Read(const std::string& name, bool needed,
                                                    const std::map<std::string, std::string>& environment) const {
  const auto found = environment.find(name);
  return {name, found == environment.end() ? "" : found->second, needed};
}

Result<void> EnvironmentSource::Check(const Variable& variable) const {
  const std::string& value = variable.value;
  if (value.empty() && !variable.needed) return {};
  if (value.empty()) {
    return Fault(fmt::format("{} is not set, but other variables of {} are: set it, or unset those", variable.name,
                             family_.label));
  }
  if (IsWhitespaceOrControl(value.front()) || IsWhitespaceOrControl(value.back())) {
    return Fault(fmt::format("the value of {} starts or ends with a space or line break: remove it", variable.name));
  }
  if (std::any_of(value.begin(), value.end(), IsWhitespaceOrControl)) {
    return Fault(fmt::format("the value of {} holds a space or control character", variable.name));
  }
  return {};
}

Result<std::optional<Credentials>> EnvironmentSource::Find(const CallContext&) {
  if (access_key_.value.empty() && secret_key_.value.empty() && session_token_.value.empty()) {
    return std::optional<Credentials>();
  }
  for (const Variable* variable : {&access_key_, &secret_key_, &session_token_}) {
    S3OVERLAY_RETURN_IF_ERROR(Check(*variable));
  }
  Credentials credentials;
  credentials.access_key = access_key_.value;
  credentials.secret_key = secret_key_.value;
  credentials.session_token = session_token_.value;
  credentials.origin = Describe();
  return std::optional<Credentials>(std::move(credentials));
}

std::string EnvironmentSource::Describe() const { return family_.label + " in the environment"; }

}  // namespace s3overlay
