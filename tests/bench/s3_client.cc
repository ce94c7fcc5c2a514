// SPDX-License-Identifier: Apache-2.0
//
// The plain S3 client of the benchmarks: signed GETs or PUTs over so many connections, each a thread with a curl handle
// of its own. As a downloader of ranges it is what the mount is held against.
//
// Usage: s3_client get|put ENDPOINT CONNECTIONS <LIST
//   get: each line of LIST is   /bucket/key[?query] OFFSET SIZE   (SIZE 0: all of it, without a Range)
//   put: each line of LIST is   /bucket/key FILE
// Keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Prints one JSON line; the checksum is the sum of the XXH3-64
// of each answer, seeded with its offset, as reader's "parts" and "files" make it. Exits 1 at the first failure.
#include <curl/curl.h>
#include <sys/resource.h>
#include <xxhash.h>

#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

struct Item {
  std::string path;
  uint64_t offset = 0;
  uint64_t size = 0;
  std::string file;
};

struct Totals {
  std::atomic<uint64_t> bytes = 0;
  std::atomic<uint64_t> checksum = 0;
};

struct Job {
  bool is_get = true;
  std::string endpoint;
  size_t connections = 1;
  std::vector<Item> items;
  std::atomic<size_t> next = 0;
  Totals totals;
};

std::string Environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A curl handle and the answer that it is receiving.
class Connection {
 public:
  explicit Connection(const Job& job) : job_(job), hash_(XXH3_createState()), curl_(curl_easy_init()) {
    headers_ = curl_slist_append(headers_, "x-amz-content-sha256: UNSIGNED-PAYLOAD");
    keys_ = Environment("AWS_ACCESS_KEY_ID") + ":" + Environment("AWS_SECRET_ACCESS_KEY");
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl_, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl_, CURLOPT_BUFFERSIZE, 512L * 1024);
    curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(curl_, CURLOPT_AWS_SIGV4, "aws:amz:us-east-1:s3");
    curl_easy_setopt(curl_, CURLOPT_USERPWD, keys_.c_str());
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &Connection::OnBody);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, this);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    curl_easy_cleanup(curl_);
    curl_slist_free_all(headers_);
    XXH3_freeState(hash_);
  }

  void Exchange(const Item& item, Totals& totals) {
    received_ = 0;
    XXH3_64bits_reset_withSeed(hash_, item.offset);
    curl_easy_setopt(curl_, CURLOPT_URL, (job_.endpoint + item.path).c_str());
    if (job_.is_get) {
      Get(item);
    } else {
      Put(item);
    }
    totals.bytes += received_;
    totals.checksum += XXH3_64bits_digest(hash_);
  }

 private:
  void Get(const Item& item) {
    std::string range;
    if (item.size != 0) range = std::to_string(item.offset) + "-" + std::to_string(item.offset + item.size - 1);
    curl_easy_setopt(curl_, CURLOPT_RANGE, range.empty() ? nullptr : range.c_str());
    Perform(item);
    if (item.size != 0 && received_ != item.size) Fail(item, "short answer");
  }

  void Put(const Item& item) {
    std::ifstream file(item.file, std::ios::binary);
    if (!file) Fail(item, "its file cannot be read");
    const std::string body{std::istreambuf_iterator<char>(file), {}};
    curl_easy_setopt(curl_, CURLOPT_CUSTOMREQUEST, "PUT");
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    Perform(item);
  }

  void Perform(const Item& item) {
    const CURLcode code = curl_easy_perform(curl_);
    if (code != CURLE_OK) Fail(item, curl_easy_strerror(code));
  }

  [[noreturn]] static void Fail(const Item& item, const char* why) {
    std::fprintf(stderr, "s3_client: %s: %s\n", item.path.c_str(), why);
    std::_Exit(1);
  }

  static size_t OnBody(char* data, size_t, size_t size, void* self) {
    auto& connection = *static_cast<Connection*>(self);
    XXH3_64bits_update(connection.hash_, data, size);
    connection.received_ += size;
    return size;
  }

  const Job& job_;
  XXH3_state_t* const hash_;
  CURL* const curl_;
  curl_slist* headers_ = nullptr;
  std::string keys_;
  uint64_t received_ = 0;
};

void Work(Job& job) {
  Connection connection(job);
  for (;;) {
    const size_t index = job.next++;
    if (index >= job.items.size()) return;
    connection.Exchange(job.items[index], job.totals);
  }
}

std::vector<Item> ReadList(bool is_get) {
  std::vector<Item> items;
  std::string line;
  while (std::getline(std::cin, line)) {
    std::istringstream fields(line);
    Item item;
    fields >> item.path;
    if (is_get) {
      fields >> item.offset >> item.size;
    } else {
      fields >> item.file;
    }
    items.push_back(std::move(item));
  }
  return items;
}

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc == 4 ? argv[1] : "";
  if (mode != "get" && mode != "put") {
    std::fprintf(stderr, "usage: s3_client get|put ENDPOINT CONNECTIONS <LIST\n");
    return 2;
  }
  curl_global_init(CURL_GLOBAL_ALL);
  Job job;
  job.is_get = mode == "get";
  job.endpoint = argv[2];
  job.connections = std::strtoul(argv[3], nullptr, 10);
  job.items = ReadList(job.is_get);
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::thread> threads;
  for (size_t i = 0; i < job.connections; ++i) threads.emplace_back(Work, std::ref(job));
  for (std::thread& thread : threads) thread.join();
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("{\"bytes\": %" PRIu64 ", \"operations\": %zu, \"checksum\": \"%016" PRIx64
              "\", \"seconds\": %.9f, \"cpu_s\": %.6f}\n",
              job.totals.bytes.load(), job.items.size(), job.totals.checksum.load(), seconds.count(), CpuSeconds());
  return 0;
}
