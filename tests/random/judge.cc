// SPDX-License-Identifier: Apache-2.0
#include "random/judge.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>

namespace s3overlay::testing {
namespace {

Verdict DishonestUnlessListed(int error) {
  if (IsHonest(error)) return std::nullopt;
  return fmt::format("no honest error: {}", ::strerrorname_np(error));
}

}  // namespace

// ENOENT too: it says that nothing is mounted, or that a file is not there. ENOTCONN, ECONNABORTED and ENODEV: the
// daemon has ended.
bool IsHonest(int error) {
  switch (error) {
    case EIO:
    case ESTALE:
    case ETIMEDOUT:
    case EACCES:
    case ENOENT:
    case ENOTCONN:
    case ECONNABORTED:
    case ENODEV: return true;
    default: return false;
  }
}

Verdict LenientJudge::OnOpenError(uint16_t, int error, const Attempt&) const { return DishonestUnlessListed(error); }

Verdict LenientJudge::OnListError(const std::string&, int error, const Attempt&) const {
  return DishonestUnlessListed(error);
}

Verdict LenientJudge::OnReadError(const HandleCheck&, int error, const Attempt&, const Attempt&) const {
  return DishonestUnlessListed(error);
}

}  // namespace s3overlay::testing
