// SPDX-License-Identifier: Apache-2.0
//
// Credentials from a family of environment variables: OVH_S3_* or AWS_*. A family wins whole or is an error: a key of
// one is never paired with a secret of another.
#pragma once

#include <map>
#include <string>

#include "credentials/credential_source.h"

namespace s3overlay {

// Names of the variables. `session_token` is empty where the family has none.
struct EnvironmentFamily {
  std::string label;  // "OVH_S3_*"
  std::string access_key;
  std::string secret_key;
  std::string session_token;
};

EnvironmentFamily OvhFamily();
EnvironmentFamily AwsFamily();

// A variable that is set to nothing counts as unset.
class EnvironmentSource final : public CredentialSource {
 public:
  EnvironmentSource(EnvironmentFamily family, const std::map<std::string, std::string>& environment);

  Result<std::optional<Credentials>> Find(const CallContext& context) override;
  void Refused(const Credentials&) override {}  // The environment of a process does not change.
  std::string Describe() const override;

 private:
  // One variable of the family. `needed` says whether the family works without it.
  struct Variable {
    std::string name;
    std::string value;
    bool needed;
  };
  Variable Read(const std::string& name, bool needed, const std::map<std::string, std::string>& environment) const;
  Result<void> Check(const Variable& variable) const;

  const EnvironmentFamily family_;
  const Variable access_key_;
  const Variable secret_key_;
  const Variable session_token_;
};

}  // namespace s3overlay
