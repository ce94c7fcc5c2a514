// SPDX-License-Identifier: Apache-2.0
//
// The only place where an Error becomes an errno.
#pragma once

#include "s3overlay/result.h"

namespace s3overlay {

// What a program sees of `error`; docs/semantics.md says when. Never 0.
int ErrnoOf(const Error& error);

}  // namespace s3overlay
