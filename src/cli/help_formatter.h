// SPDX-License-Identifier: Apache-2.0
//
// How the help of a command looks: our own usage line, and descriptions that are wrapped.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace s3overlay {

// Gives `app` --help (and -h), the usage line and the text after the options.
void SetUpHelp(CLI::App& app, std::string usage, std::string footer);

}  // namespace s3overlay
