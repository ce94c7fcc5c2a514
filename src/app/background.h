// SPDX-License-Identifier: Apache-2.0
//
// Background: the way of a daemon into the background. The parent waits until the mount answers, and ends as it ended.
#pragma once

#include <optional>
#include <string>

#include "s3overlay/unique_fd.h"

namespace s3overlay {

class Background {
 public:
  // In the foreground there is nobody to tell: everything goes to this process's own standard error.
  Background() = default;

  // Forks; no other thread may exist. In the parent: waits for the child's word, and returns the exit code. In the
  // child, which has left session and working directory: nothing, and `*out` leads to the parent.
  static std::optional<int> Fork(Background* out);

  // The mount answers: lets go of standard input and output, and of the parent. False when the parent has gone away.
  bool Succeed();

  // Tells the reason why there is no mount; returns `exit_code`.
  int Fail(int exit_code, const std::string& reason);

 private:
  explicit Background(UniqueFd to_parent) : to_parent_(std::move(to_parent)) {}

  UniqueFd to_parent_;
};

}  // namespace s3overlay
