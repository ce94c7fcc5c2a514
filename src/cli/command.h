// SPDX-License-Identifier: Apache-2.0
//
// The command line: the table of commands, and what they share. One file a command; a new one is a file, a line here
// and a line in the table of command.cc.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace s3overlay {

// Runs what `argv` asks for and returns the exit code (app/exit_code.h). Never throws.
int RunCommandLine(int argc, const char* const* argv);

// What a command does once its arguments are understood; returns the exit code.
using Action = std::function<int()>;

// Each adds one command to `root`; when that is the one asked for, parsing leaves what is to be done in `action`, which
// outlives the root.
void AddMountCommand(CLI::App& root, Action& action);
void AddUmountCommand(CLI::App& root, Action& action);
void AddResolveCommand(CLI::App& root, Action& action);
void AddCatCommand(CLI::App& root, Action& action);
void AddLsCommand(CLI::App& root, Action& action);
void AddStatusCommand(CLI::App& root, Action& action);
void AddCacheCommand(CLI::App& root, Action& action);

}  // namespace s3overlay
