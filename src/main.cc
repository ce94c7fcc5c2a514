// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include "cli/command.h"

namespace {

// Where one is closed, the next file to be opened would take its number, and be written to as if it were the terminal.
void FillStandardDescriptors() {
  int fd = STDIN_FILENO;
  while (fd >= 0 && fd <= STDERR_FILENO) fd = ::open("/dev/null", O_RDWR);
  if (fd >= 0) ::close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  FillStandardDescriptors();
  return s3overlay::RunCommandLine(argc, argv);
}
