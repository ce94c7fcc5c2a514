// SPDX-License-Identifier: Apache-2.0
//
// A library to be preloaded into one process (ld.so(8)): there the name "s3" is 127.0.0.1 as long as the file named by
// S3OVERLAY_TEST_RESOLVER says "up". If it says "gone" there is no such name, and if "silent" no name server answers,
// for as long as resolv.conf(5) would have it. All other names are what they are.
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace {

constexpr int kStepsOfSilence = 200;  // Of a tenth of a second.

bool Says(const char* word) {
  const char* const path = std::getenv("S3OVERLAY_TEST_RESOLVER");
  const int fd = path == nullptr ? -1 : ::open(path, O_RDONLY | O_CLOEXEC);
  char said[16] = {};
  if (fd < 0 || ::read(fd, said, sizeof said - 1) < 0) said[0] = '\0';
  if (fd >= 0) ::close(fd);
  return std::strcmp(said, word) == 0;
}

}  // namespace

extern "C" int getaddrinfo(const char* node, const char* service, const addrinfo* hints, addrinfo** result) {
  static const auto real = reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (node == nullptr || std::strcmp(node, "s3") != 0) return real(node, service, hints, result);
  for (int i = 0; i < kStepsOfSilence && Says("silent"); ++i) ::usleep(100'000);
  if (Says("silent")) return EAI_AGAIN;
  if (Says("gone")) return EAI_NONAME;
  return real("127.0.0.1", service, hints, result);
}
